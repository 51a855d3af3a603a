"""Checks of this room's settings, at start and in `manage.py check`: each says what to set."""

from typing import Any

from django.conf import settings
from django.core.checks import CheckMessage, Error, Warning  # noqa: A004 - Django's own names

from samba.names import is_user

SHORTEST_SECRET = 32
LONGEST_PREFIX = 16


def check_samba(**_kwargs: Any) -> list[CheckMessage]:
    """That the users' prefix can begin a unix user's name, and that the secret is one."""
    found: list[CheckMessage] = []
    prefix = settings.SAMBA_USER_PREFIX
    if not is_user(prefix) or len(prefix) > LONGEST_PREFIX:
        found.append(
            Error(
                f"SAMBA_USER_PREFIX cannot begin the name of a unix user: {prefix!r}",
                hint="Set lower-case letters, digits, - and _, a letter first, 16 at most, such as smb-.",
                id="samba.E001",
            )
        )
    secret = settings.SAMBA_SECRET_KEY
    make = 'Make one with: python3 -c "import secrets; print(secrets.token_urlsafe(48))"'
    if secret and len(secret) < SHORTEST_SECRET:
        words = "SAMBA_SECRET_KEY is short: whoever guesses it knows the passwords of all shares."
        found.append(Warning(words, hint=make, id="samba.W002"))
    others = {settings.SECRET_KEY, settings.VM_PASS_SECRET, *settings.GESTION_ENCRYPTION_KEYS}
    if secret and secret in others:
        words = "SAMBA_SECRET_KEY has another purpose, too: replacing one would need the other."
        found.append(Warning(words, hint=f"Give each its own value. {make}", id="samba.W003"))
    return found
