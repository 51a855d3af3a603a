"""System checks of this room's settings."""

from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.checks import CheckMessage, Tags, Warning, register  # noqa: A004 - Django's own names

from fabrun import catalogue


@register(Tags.files)
def check_folder(**_kwargs: Any) -> list[CheckMessage]:
    """WIZARDS_FOLDER: without it none of one's own wizards is there."""
    if not settings.WIZARDS_FOLDER or Path(settings.WIZARDS_FOLDER).is_dir():
        return []
    words = f"WIZARDS_FOLDER is no folder here: {settings.WIZARDS_FOLDER}"
    hint = "Set WIZARDS_FOLDER to the folder with your own wizards, or leave it out."
    return [Warning(words, hint=hint, id="wizards.W001")]


@register(Tags.files)
def check_setup_script(**_kwargs: Any) -> list[CheckMessage]:
    """SETUP_FABRIC_SCRIPT: that its file is there and can have it. Running the file would take a start too long."""
    module, _dot, task = settings.SETUP_FABRIC_SCRIPT.partition(".")
    if not settings.SETUP_FABRIC_SCRIPT or not catalogue.folder().is_dir():  # which is told already
        return []
    path = catalogue.folder() / f"{module}.py"
    if task and module.isidentifier() and path.is_file():
        return []
    words = f"SETUP_FABRIC_SCRIPT is no script of FABRIC_FOLDER: {settings.SETUP_FABRIC_SCRIPT}"
    hint = "Set it to a script as the page Scripts calls it, such as server.setup, or to nothing: SETUP_FABRIC_SCRIPT="
    return [Warning(words, hint=hint, id="wizards.W002")]
