"""Rules for what a person types about a server; each refuses whatever could be read as anything else."""

import re

from django.core.exceptions import ValidationError
from django.utils.translation import gettext_lazy as _

_LABEL = r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?"
_DOMAIN = re.compile(rf"{_LABEL}(\.{_LABEL})*", re.IGNORECASE)
_KEYMANAGER_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")
_INTERFACE = re.compile(r"[A-Za-z][A-Za-z0-9._-]{0,14}")
_UNIX_NAME = re.compile(r"[a-z_][a-z0-9_.-]{0,30}[a-z0-9_$-]?")
_FOLDER = re.compile(r"/[^\x00-\x1f\x7f]*")


def validate_server_name(value: str) -> None:
    """A domain name (RFC 1123, section 2.1)."""
    if not _DOMAIN.fullmatch(value) or len(value) > 253:
        raise ValidationError(_("Enter a domain name: letters, digits, hyphens and dots."))


def validate_keymanager_name(value: str) -> None:
    """A name that is one part of a URL's path."""
    if not _KEYMANAGER_NAME.fullmatch(value):
        raise ValidationError(
            _("Enter letters, digits, dots, hyphens and underscores, a letter or digit first.")
        )


def validate_connection(value: str) -> None:
    """An SSH connection string in the seed's syntax."""
    from hosts.address import BadConnection, parse_connection

    try:
        parse_connection(value)
    except BadConnection as error:
        raise ValidationError(str(error)) from error


def validate_interface(value: str) -> None:
    """A network interface's name (at most 15 characters, IFNAMSIZ - 1)."""
    if not _INTERFACE.fullmatch(value):
        raise ValidationError(_("Enter an interface name such as vmbr0 or eth0."))


def validate_unix_name(value: str) -> None:
    """A unix user's name as useradd(8) takes it."""
    if not _UNIX_NAME.fullmatch(value):
        raise ValidationError(
            _("Enter a unix user name: lower-case letters, digits, _ and -, not a digit or - first.")
        )


def validate_folder(value: str) -> None:
    """An absolute folder without `..` parts or control characters."""
    if not _FOLDER.fullmatch(value) or ".." in value.split("/"):
        raise ValidationError(_("Enter an absolute folder such as /srv/shares, without “..”."))
