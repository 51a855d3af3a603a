"""Rules for the folders of a backup and for what is left out of it."""

import re
from collections.abc import Iterator

from django.core.exceptions import ValidationError
from django.utils.translation import gettext_lazy as _

from servers.folders import inside
from servers.validators import normal_folder

_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]")
# Folders that belong to the system; `tree`: nothing below them either.
_TREES = "bin boot dev etc lib lib32 lib64 libx32 proc run sbin sys usr var/lib/gestion var/lib/dpkg var/run var/lock"
SYSTEM_TREES = tuple(f"/{tree}" for tree in _TREES.split())
_FOLDERS = (
    " home media mnt opt root srv tmp var var/backups var/cache var/lib var/log var/mail var/spool var/tmp"
)
SYSTEM_FOLDERS = tuple(f"/{folder}" for folder in _FOLDERS.split(" "))


# What is there only while a system runs: nothing of it can be copied, or put back.
LONGEST = 2000  # bytes of an entry: rsync leaves out a line of twice as many, and says so to nobody
RUNNING_SYSTEM = ("/proc", "/sys", "/dev", "/run")


def validate_source(value: str) -> None:
    """An absolute folder, `/` too."""
    _validate(value)
    if inside(value, "/proc") or inside(value, "/sys"):
        raise ValidationError(
            _("Nothing in %(folder)s can be backed up: the kernel makes it up.") % {"folder": value}
        )


def validate_destination(value: str) -> None:
    """An absolute folder that can belong to one backup alone: not the system's, not a place for many things."""
    _validate(value)
    if value in SYSTEM_FOLDERS or any(inside(value, tree) for tree in SYSTEM_TREES):
        raise ValidationError(
            _(
                "%(folder)s is a folder of the system. Choose one for this backup alone, such as /backups/web1."
            )
            % {"folder": value}
        )


def validate_target(value: str) -> None:
    """An absolute folder into which something may be restored, `/` too."""
    _check_characters(value)
    if not value.startswith("/") or ".." in value.split("/"):
        raise ValidationError(_("Enter an absolute folder such as /restored, without “..”."))
    if any(len(part.encode()) > 255 for part in value.split("/")):
        raise ValidationError(_("A part of this path is longer than 255 bytes."))


def _check_characters(value: str) -> None:
    if _CONTROL.search(value):
        raise ValidationError(
            _(
                "A line end, a tab or another control character in a name cannot be said here: take the folder above."
            )
        )
    if value != value.rstrip():
        raise ValidationError(
            _(
                "There is a space at the end: take it out. A folder that is really called so cannot be said here; take "
                "the one above it."
            )
        )


def _validate(value: str) -> None:
    _check_characters(value)
    if not value.startswith("/") or ".." in value.split("/"):
        raise ValidationError(_("Enter an absolute folder such as /srv, without “..”."))
    if any(part.startswith("..") or part.endswith("..") for part in value.split("/")):
        raise ValidationError(
            _(
                "rsnapshot reads a name that begins or ends with two dots as a way out: take the folder above it."
            )
        )
    if normal_folder(value) != value:
        raise ValidationError(_("Write it as %(folder)s.") % {"folder": normal_folder(value)})
    if any(len(part.encode()) > 255 for part in value.split("/")):
        raise ValidationError(_("A part of this path is longer than 255 bytes."))


def excluded(text: str) -> Iterator[str]:
    """The single entries of a comma-separated list, each beginning with `/`, in their shortest form."""
    for entry in text.replace("\r", "\n").replace("\n", ",").split(","):
        parts = [part for part in entry.strip().split("/") if part not in {"", "."}]
        if parts:
            yield "/" + "/".join(parts)


def validate_excludes(value: str) -> None:
    """Entries without `..` and control characters; an entry that would leave out everything is refused."""
    for entry in excluded(value):
        if _CONTROL.search(entry):
            words = _("%(entry)s: write “?” for a tab or another control character.")
            raise ValidationError(words % {"entry": ascii(entry)})
        if ".." in entry.split("/"):
            raise ValidationError(_("%(entry)s: write folders without “..”.") % {"entry": ascii(entry)})
        if len(entry.encode()) > LONGEST:
            raise ValidationError(_("%(entry)s… is longer than any path.") % {"entry": entry[:60]})
        if set(entry) <= set("/*?"):
            raise ValidationError(_("%(entry)s would leave out everything.") % {"entry": entry})
