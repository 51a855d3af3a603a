"""System checks of this room's settings."""

from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.checks import CheckMessage, Error, Tags, Warning, register  # noqa: A004 - Django's own names


@register(Tags.security)
def check_signed(**_kwargs: Any) -> list[CheckMessage]:
    """GIT_REQUIRE_SIGNED: a misspelt name would demand nothing of anybody."""
    known = {*settings.GIT_REPOS, "*"}
    return [
        Error(
            f"GIT_REQUIRE_SIGNED names “{name}”, which GIT_REPOS does not.",
            hint="Name keys of GIT_REPOS, separated by commas, or * for all of them.",
            id="githooks.E001",
        )
        for name in settings.GIT_REQUIRE_SIGNED
        if name.strip() not in known
    ]


@register(Tags.files)
def check_folders(**_kwargs: Any) -> list[CheckMessage]:
    """GIT_REPOS: that the folders are here. Only a warning, because the worker alone needs them."""
    return [
        Warning(
            f"GIT_REPOS says that “{key}” is in {place}, which is no folder here.",
            hint=f"Clone the repository there, or set GIT_REPOS={key}=/its/folder.",
            id="githooks.W002",
        )
        for key, place in settings.GIT_REPOS.items()
        if not (place.startswith("/") and Path(place).is_dir())
    ]
