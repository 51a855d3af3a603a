"""Root passwords of created containers: computed from VM_PASS_SECRET whenever needed, kept nowhere.

    key       VM_PASS_SECRET, its UTF-8 bytes
    message   "gestion-vm-password-1\\n" + host + "\\n" + server, in UTF-8: both names as the inventory has them
    digest    HMAC-SHA256 (RFC 2104)
    password  the digest in base32 (RFC 4648), its first 32 characters: 160 bits, letters A-Z and digits 2-7

docs/proxmox.md says the same for scripts, with an example. Changing any of it changes every password.
"""

import base64
import hashlib
import hmac

from django.conf import settings
from django.utils.translation import gettext as _

PURPOSE = "gestion-vm-password-1"
CHECK = "gestion-vm-password-check-1"
LENGTH = 32


class NoPasswordSecret(Exception):  # noqa: N818 - told to the person
    """VM_PASS_SECRET is not set; str() says what to do."""

    def __init__(self) -> None:
        super().__init__(
            _("VM_PASS_SECRET is not set, so root of a new container could get no password. Set it first.")
        )


def vm_password(host: str, server: str) -> str:
    """Root's password on a container, by the names of its host and its server at creation.

    Raises NoPasswordSecret, and ValueError for a name with a line end, which could stand for two names.
    """
    if "\n" in host or "\n" in server:
        raise ValueError("A name has no line end.")
    digest = _hmac(f"{PURPOSE}\n{host}\n{server}")
    return base64.b32encode(digest).decode()[:LENGTH]


def secret_mark() -> str:
    """Tells one VM_PASS_SECRET from another, and nothing else about it; raises NoPasswordSecret.

    Kept with each created container, so that a script is told when the secret is no longer the one by which
    that container got its password.
    """
    return _hmac(CHECK).hex()[:16]


def _hmac(message: str) -> bytes:
    if not settings.VM_PASS_SECRET:
        raise NoPasswordSecret
    return hmac.new(settings.VM_PASS_SECRET.encode(), message.encode(), hashlib.sha256).digest()
