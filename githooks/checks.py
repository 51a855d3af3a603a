"""System checks of this room's settings."""

from typing import Any

from django.conf import settings
from django.core.checks import CheckMessage, Error, Tags, register


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
