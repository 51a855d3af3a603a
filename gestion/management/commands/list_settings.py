"""`manage.py list_settings`: every setting, and what is set."""

import os
from typing import Any

from django.core.management.base import BaseCommand

from gestion.settings_table import every_setting


class Command(BaseCommand):
    """Prints names, kinds and what the environment or the file of settings says; secrets stay hidden."""

    help = "List every setting: what is set, and else the default. docs/configuration.md says what each does."

    def handle(self, *_args: Any, **_options: Any) -> None:
        """Print them."""
        for setting in every_setting():
            given = os.environ.get(setting.name)
            if given is not None:
                shown = "(hidden)" if setting.secret and given else given
                self.stdout.write(f"{setting.name}={shown}")
            else:
                default = "computed" if setting.default is None else repr(setting.default)
                self.stdout.write(f"# {setting.name}: {default}")
