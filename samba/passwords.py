"""Passwords of shares: computed from SAMBA_SECRET_KEY whenever needed, kept nowhere.

    key       SAMBA_SECRET_KEY, its UTF-8 bytes
    message   "gestion-samba-password-1\\n" + the share's UUID + "\\n" + the number of its password, in ASCII
    digest    HMAC-SHA256 (RFC 2104)
    password  the digest in base32 (RFC 4648), its first 24 characters: 120 bits, letters A-Z and digits 2-7

docs/samba.md says the same for scripts. Changing any of it changes every password.
"""

import base64
import hashlib
import hmac
from uuid import UUID

from django.conf import settings
from django.utils.translation import gettext as _

from samba.md4 import md4

PURPOSE = "gestion-samba-password-1"
CHECK = "gestion-samba-password-check-1"
LENGTH = 24


class NoShareSecret(Exception):  # noqa: N818 - told to the person
    """SAMBA_SECRET_KEY is not set; str() says what to do."""

    def __init__(self) -> None:
        super().__init__(
            _(
                "SAMBA_SECRET_KEY is not set, so a share could get no password. Whoever runs the panel sets it."
            )
        )


def has_secret() -> bool:
    """Whether passwords can be computed."""
    return bool(settings.SAMBA_SECRET_KEY)


def share_password(uuid: UUID, number: int) -> str:
    """The password of a share, by its UUID and the number that grows when it gets a new one.

    Raises NoShareSecret.
    """
    return base64.b32encode(_hmac(f"{PURPOSE}\n{uuid}\n{number:d}")).decode()[:LENGTH]


def secret_mark() -> str:
    """Tells one SAMBA_SECRET_KEY from another, and nothing else about it; raises NoShareSecret.

    Kept with each share: the server goes on with the password from the old secret until the share gets a new one.
    """
    return _hmac(CHECK).hex()[:16]


def nt_hash(password: str) -> str:
    """What Samba keeps of a password: the MD4 of its UTF-16 ([MS-NLMP] 3.3.1, NTOWFv1), in upper-case hexadecimal."""
    return md4(password.encode("utf-16-le")).hex().upper()


def _hmac(message: str) -> bytes:
    if not settings.SAMBA_SECRET_KEY:
        raise NoShareSecret
    return hmac.new(settings.SAMBA_SECRET_KEY.encode(), message.encode(), hashlib.sha256).digest()
