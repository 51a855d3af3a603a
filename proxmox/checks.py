"""Checks of this room's settings, at start and in `manage.py check`: each says what to set."""

from typing import Any

from django.conf import settings
from django.core.checks import CheckMessage, Error, Warning, register  # noqa: A004 - Django's own names

from proxmox.client.names import is_user, token_parts


@register
def check_proxmox(**_kwargs: Any) -> list[CheckMessage]:
    """That the token or user for Proxmox hosts can be one."""
    found: list[CheckMessage] = []
    who, sign, secret = settings.PROXMOX_TOKEN.partition("=")
    if settings.PROXMOX_TOKEN and not (token_parts(who) and sign and secret):
        found.append(
            Error(
                "PROXMOX_TOKEN is no API token.",
                hint="Set PROXMOX_TOKEN=user@realm!name=secret, as Proxmox showed it, or leave it out.",
                id="proxmox.E001",
            )
        )
    if settings.PROXMOX_USER and not is_user(settings.PROXMOX_USER):
        found.append(
            Error(
                f"PROXMOX_USER is no full user name: {settings.PROXMOX_USER}",
                hint="Set it with its realm, such as PROXMOX_USER=api@pam.",
                id="proxmox.E002",
            )
        )
    if bool(settings.PROXMOX_USER) != bool(settings.PROXMOX_PASS):
        found.append(
            Warning(
                "Only one of PROXMOX_USER and PROXMOX_PASS is set: neither is used.",
                hint="Set both, or PROXMOX_TOKEN instead.",
                id="proxmox.W003",
            )
        )
    return found
