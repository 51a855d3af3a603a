"""`manage.py setup_code`: the code that the first page asks for."""

from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand

from accounts.models import User
from accounts.setup_code import setup_code


class Command(BaseCommand):
    """Prints the code, or that the panel is set up already. `--plain` prints the code alone, or nothing."""

    help = "Print the code that the panel's first page asks for before it makes the first account."

    def add_arguments(self, parser: Any) -> None:
        """Options."""
        parser.add_argument(
            "--plain", action="store_true", help="the code alone; nothing when set up already"
        )

    def handle(self, *args: Any, plain: bool = False, **options: Any) -> None:
        """Print it."""
        if User.objects.exists():
            if not plain:
                self.stdout.write("This panel is set up already.")
        elif plain:
            self.stdout.write(setup_code())
        else:
            self.stdout.write(f"Set-up code: {setup_code()}\nEnter it at {settings.GESTION_URL}setup/")
