"""Rules for names of shares, their folders, users and comments; each refuses whatever Samba could read otherwise.

Three things, each with rules of its own: the name is what clients see ([MS-FSCC] 2.1.6), the folder is what lies on
disk (path_resolution(7)), and the user is one of the server's (useradd(8)).
"""

import re
import unicodedata
from collections.abc import Container
from typing import Any

from django.core.exceptions import ValidationError
from django.utils.translation import gettext_lazy as _

from pages.hidden import hidden_in, name_of

LONGEST_USER = 32  # useradd(8)
LONGEST_NAME = 80  # [MS-FSCC] 2.1.6, in the 16-bit units of SMB
LONGEST_PART = 255  # bytes of a file's name on Linux
PREFIX = r"[a-z_][a-z0-9_-]*"
NOT_IN_NAMES = '"/\\[]:|<>+=;,*?%'  # [MS-FSCC] 2.1.6, and % that Samba replaces
# Patterns that Python and PostgreSQL read alike, for the constraints.
BAD_NAME = r'["/\\\[\]:|<>+=;,*?%\u0001-\u001f\u007f]|[. ]$|^ |  '
BAD_FOLDER = r"[\u0001-\u001f\u007f]|  |%[A-Za-z$(%]|(^|/)\.{0,2}(/|$)"
BAD_COMMENT = r"[\u0001-\u001f\u007f]|  |%[A-Za-z$(%]"
# Sections with a meaning of their own (smb.conf(5), SPECIAL SECTIONS), and shares that Samba or Windows make.
RESERVED = ("global", "globals", "homes", "printers", "print$", "ipc$", "admin$", "netlogon", "sysvol")
_PLAIN = re.compile(r"[a-z0-9](?:[a-z0-9_-]*[a-z0-9])?", re.ASCII)
_USER = re.compile(PREFIX, re.ASCII)
_REPLACED = re.compile(r"%[A-Za-z$(%]")  # smb.conf(5), VARIABLE SUBSTITUTIONS


def same_name(name: str) -> str:
    """What names have in common that are one share to a client: case and how an accent is written do not count.

    Letter by letter, as Samba does it: the sigma at a word's end is no other one.
    """
    return "".join(letter.lower() for letter in unicodedata.normalize("NFC", name)).replace("ς", "σ")


def is_share_name(value: str) -> bool:
    """Whether this can be a share's name."""
    return _passes(validate_share_name, value)


def is_folder(value: str) -> bool:
    """Whether this can be a share's folder, seen from the base folder."""
    return _passes(validate_share_folder, value)


def is_comment(value: str) -> bool:
    """Whether Samba can be made to show this comment as it is; the empty one too."""
    return not value or _passes(validate_comment, value)


def is_user(value: str) -> bool:
    """Whether this can be the unix user of a share."""
    return bool(_USER.fullmatch(value)) and len(value) <= LONGEST_USER


def free_user(prefix: str, name: str, taken: Container[str]) -> str:
    """The unix user for a share of this name: the prefix and the name, as far as Linux takes it; none that is taken."""
    word = name if _PLAIN.fullmatch(name) else _plain(name)
    number = 1
    while True:
        end = f"-{number}" if number > 1 else ""
        user = prefix + word[: LONGEST_USER - len(prefix) - len(end)].rstrip("-_") + end
        if user not in taken:
            return user
        number += 1


def _plain(name: str) -> str:
    """Letters without accents, digits, - and _; "share" where the name has none, as in Japanese."""
    letters = unicodedata.normalize("NFKD", name.replace("ß", "ss")).lower()
    letters = "".join(letter for letter in letters if not unicodedata.combining(letter))
    return re.sub(r"[^a-z0-9_]+", "-", letters).strip("-_") or "share"


def validate_share_name(value: str) -> None:
    """A name that every client can ask for, and that is one section of smb.conf."""
    _validate_visible(value)
    if found := next((letter for letter in value if letter in NOT_IN_NAMES), ""):
        raise _error(
            _("A share's name cannot have %(letter)s in it; none of %(all)s can be."),
            letter=found, all=" ".join(NOT_IN_NAMES),
        )  # fmt: skip
    if value != value.strip() or "  " in value:
        raise ValidationError(_("A share's name has no space at an end, and no two of them together."))
    if not value or value.endswith("."):
        raise ValidationError(_("A share's name cannot end with a dot: Windows leaves it out."))
    if len(value.encode("utf-16-le")) > 2 * LONGEST_NAME:
        raise _error(
            _("A share's name has at most %(most)d characters; an emoji counts as two."), most=LONGEST_NAME
        )
    if "".join(value.lower().split()) in RESERVED:
        raise _error(_("Samba itself uses the name %(name)s. Choose another one."), name=value)


def validate_share_folder(value: str) -> None:
    """A folder below the server's base folder, whose name smb.conf can say."""
    _validate_visible(value)
    parts = value.split("/")
    if any(part in {"", ".", ".."} for part in parts):
        raise ValidationError(
            _("Enter a folder inside the base folder, such as photos or team/photos, without “.” and “..”.")
        )
    if any(len(part.encode()) > LONGEST_PART for part in parts):
        raise _error(_("A part of this path is longer than %(most)d bytes."), most=LONGEST_PART)
    if "lost+found" in parts:
        raise ValidationError(_("lost+found belongs to the file system."))
    _validate_value(value)


def validate_comment(value: str) -> None:
    """One line that Samba shows as it is."""
    _validate_visible(value)
    _validate_value(value)
    if value != value.strip():
        raise ValidationError(_("A comment has no space at an end."))
    first, rest = value[:1], value[1:]
    if first == '"' and (not rest.strip('"') or (rest.endswith("\\") and '"' not in rest)):
        raise ValidationError(_("Samba cannot show a comment like this: put something else at an end."))


def _validate_visible(value: str) -> None:
    if found := hidden_in(value):
        raise _error(
            _("It has the character %(letter)s, which cannot be seen. Take it out."), letter=name_of(found)
        )


def _validate_value(value: str) -> None:
    if "  " in value:
        raise ValidationError(_("It has two spaces together, of which Samba would make one."))
    if found := _REPLACED.search(value):
        raise _error(_("Samba would put something else in the place of %(found)s."), found=found[0])


def _error(text: Any, **values: object) -> ValidationError:
    return ValidationError(text, params=values)


def _passes(validate: Any, value: str) -> bool:
    try:
        validate(value)
    except ValidationError:
        return False
    return True
