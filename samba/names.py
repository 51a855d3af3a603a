"""Rules for names of shares, their folders and their comments; each refuses whatever smb.conf could read otherwise."""

import re

from django.core.exceptions import ValidationError
from django.utils.translation import gettext_lazy as _

from servers.validators import is_smb_value

LONGEST_USER = 32  # useradd(8)
LONGEST_NAME = 31  # of a share: its user has a prefix of one letter at least
SHARE = r"[a-z0-9](?:[a-z0-9_-]*[a-z0-9])?"
_PART = r"[A-Za-z0-9_][A-Za-z0-9._-]*"
FOLDER = rf"{_PART}(?:/{_PART})*"
PREFIX = r"[a-z_][a-z0-9_-]*"
# Sections with a meaning of their own (smb.conf(5), SPECIAL SECTIONS), and shares that Samba or Windows make.
RESERVED = ("global", "homes", "printers", "print", "ipc", "admin", "netlogon", "sysvol")
_SHARE, _FOLDER = re.compile(SHARE, re.ASCII), re.compile(FOLDER, re.ASCII)
_USER = re.compile(PREFIX, re.ASCII)


def is_share_name(value: str) -> bool:
    """Whether this can be a share's name."""
    return bool(_SHARE.fullmatch(value)) and value not in RESERVED


def is_folder(value: str) -> bool:
    """Whether this can be a share's folder, seen from the base folder."""
    return bool(_FOLDER.fullmatch(value))


def is_user(value: str) -> bool:
    """Whether this can be the unix user of a share."""
    return bool(_USER.fullmatch(value)) and len(value) <= LONGEST_USER


def validate_share_name(value: str) -> None:
    """A name that is one section of smb.conf, one part of an address and the end of a unix user's name."""
    if not _SHARE.fullmatch(value):
        raise ValidationError(
            _("Enter lower-case letters, digits, - and _, a letter or digit first and last, such as photos.")
        )
    if value in RESERVED:
        raise ValidationError(_("Samba itself uses the name %(name)s. Choose another one.") % {"name": value})


def validate_share_folder(value: str) -> None:
    """A folder below the server's base folder."""
    if not is_folder(value):
        raise ValidationError(
            _(
                "Enter a folder inside the base folder, such as photos or team/photos: letters, digits, . _ and -, "
                "no part with a dot or - first."
            )
        )
    if any(len(part) > 255 for part in value.split("/")):
        raise ValidationError(_("A part of this path is longer than 255 characters."))


def validate_comment(value: str) -> None:
    """One line that Samba shows as it is."""
    if not is_smb_value(value):
        raise ValidationError(
            _("Enter one line of text without % and \\, two spaces together, or a quotation mark at an end.")
        )


def overlap(folder: str, other: str) -> bool:
    """Whether one of two folders is the other or lies inside it."""
    return folder == other or folder.startswith(f"{other}/") or other.startswith(f"{folder}/")
