"""System checks of this room's settings."""

from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.checks import CheckMessage, Tags, Warning, register  # noqa: A004 - Django's own names


@register(Tags.files)
def check_folder(**_kwargs: Any) -> list[CheckMessage]:
    """FABRIC_FOLDER: without it the page of scripts is empty."""
    if Path(settings.FABRIC_FOLDER).is_dir():
        return []
    words = f"FABRIC_FOLDER is no folder here: {settings.FABRIC_FOLDER}"
    hint = "Set FABRIC_FOLDER to the folder with the Fabric scripts, or leave it out for those of the panel."
    return [Warning(words, hint=hint, id="fabrun.W001")]
