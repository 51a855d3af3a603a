"""Look into copies on a backup server: what is in a folder, and the bytes of a file. Nothing leads out of the copy."""

import base64
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from backups.inside_copies import joined, name_of, parent_of, path_of, shown, token_of
from backups.models import Backup
from hosts.errors import CommandFailed
from hosts.host import Host, Result

MOST_ENTRIES = 2000
CHUNK = 8 * 1024 * 1024
READ_SECONDS = 60.0
# Arguments: destination, uuid, the copy's name when it was asked for, when it was made, folder in base64, then the
# script's own. Names move on when copies rotate; the time when a copy was made stays.
ENTER = r"""
export LC_ALL=C
IFS= read -r whose 2>/dev/null <"$1/.gestion-backup"
[ "$whose" = "$2" ] || exit 11
copy=
for each in "$1/$3" "$1"/*.[0-9]*; do
  [ -z "$copy" ] && [ -d "$each/data" ] && [ ! -L "$each" ] && [ ! -L "$each/data" ] || continue
  [ "$(stat -c %Y "$each")" != "$4" ] || copy=$each
done
[ -n "$copy" ] && cd -P "$copy/data" || exit 12
folder=$(printf %s "$5" | base64 -d; printf x)
folder=${folder%x} base=$(pwd -P)
if [ -n "$folder" ]; then
  cd -P "./$folder" 2>/dev/null || exit 13
  here=$(pwd -P; printf x)
  [ "${here%??}" = "$base/$folder" ] || exit 13
fi
"""
# How many there are, then so many of them: the folders first; one a record, its fields between slashes.
FOLDER = (
    ENTER
    + r"""
find . -mindepth 1 -maxdepth 1 -printf x | wc -c
form='%y/%m/%U/%G/%s/%T@/%f/%l\0'
{
  find . -mindepth 1 -maxdepth 1 -type d -printf "$form"
  find . -mindepth 1 -maxdepth 1 ! -type d -printf "$form"
} | head -z -n "$6"
"""
)
# The size, then from byte N on so many bytes of the file.
FILE = (
    ENTER
    + r"""
name=$(printf %s "$6" | base64 -d; printf x)
name=./${name%x}
[ -f "$name" ] && [ ! -L "$name" ] || exit 14
[ "$8" != 0 ] || exec stat -c %s "$name"
tail -c "+$7" "$name" | head -c "$8"
"""
)
REFUSALS = {
    11: gettext_lazy(
        "%(folder)s on %(server)s does not have the marker of this backup: is its disk mounted?"
    ),
    12: gettext_lazy("This copy is not there any more: it was rotated away."),
    13: gettext_lazy("This folder is not in the copy, or it lies behind a symbolic link."),
    14: gettext_lazy("There is no such file in the copy. Only plain files can be downloaded."),
}
KINDS = {
    "d": gettext_lazy("folder"),
    "f": gettext_lazy("file"),
    "l": gettext_lazy("link"),
    "p": gettext_lazy("pipe"),
    "s": gettext_lazy("socket"),
    "b": gettext_lazy("block device"),
    "c": gettext_lazy("character device"),
}


class NotInCopy(Exception):  # noqa: N818 - told to the person
    """The copy or what was asked for in it is not there; str() is a sentence."""


@dataclass(frozen=True)
class Entry:
    """One thing in a folder. `modified` in seconds since 1970; user and group are the numbers of the source."""

    kind: str
    mode: str
    user: int
    group: int
    size: int
    modified: float
    path: str  # in the copy, as a token
    link: str = ""  # where it leads, for people

    @property
    def name(self) -> str:
        """Its name, for people."""
        return shown(name_of(path_of(self.path)))

    @property
    def kind_name(self) -> str:
        """What it is, in a word."""
        return str(KINDS.get(self.kind, self.kind))


def read_folder(host: Host, backup: Backup, at: int, copy: str, path: bytes) -> tuple[int, list[Entry]]:
    """How many things are in a folder of a copy, and the first MOST_ENTRIES: folders, then the rest, by name.

    Raises NotInCopy, HostError.
    """
    said = _ask(host, FOLDER, _Place(backup, at, path, copy), str(MOST_ENTRIES))
    count, _line, records = said.out.partition(b"\n")
    with _readable(host):
        entries = [_entry(record, path) for record in records.split(b"\0") if record]
        number = int(count)
    return number, sorted(entries, key=lambda entry: (entry.kind != "d", entry.name.casefold()))


@contextmanager
def _readable(host: Host) -> Iterator[None]:
    """Turn an answer in another form than agreed into an error of the host."""
    try:
        yield
    except ValueError as error:
        raise CommandFailed(host.name, _("an answer that cannot be read"), command="sh", code=0) from error


def _entry(record: bytes, folder: bytes) -> Entry:
    kind, mode, user, group, size, modified, name, link = record.split(b"/", 7)
    return Entry(
        kind.decode(),
        mode.decode(),
        int(user),
        int(group),
        int(size),
        float(modified),
        token_of(joined(folder, name)),
        shown(link),
    )


def file_size(host: Host, backup: Backup, at: int, path: bytes) -> int:
    """The bytes of a plain file of a copy. Raises NotInCopy, HostError."""
    said = _part(host, _Place(backup, at, parent_of(path)), name_of(path), 0, 0)
    with _readable(host):
        return int(said)


def file_part(host: Host, backup: Backup, at: int, path: bytes, start: int) -> bytes:
    """At most CHUNK bytes of a plain file from byte `start` on. Raises NotInCopy, HostError."""
    return _part(host, _Place(backup, at, parent_of(path)), name_of(path), start + 1, CHUNK)


@dataclass(frozen=True)
class _Place:
    """A folder in the copy of a time; the copy's name, where it is known, only makes it be found sooner."""

    backup: Backup
    at: int
    folder: bytes
    copy: str = "-"


def _part(host: Host, place: _Place, name: bytes, first: int, most: int) -> bytes:
    return _ask(host, FILE, place, _base64(name), str(first), str(most)).out


def _ask(host: Host, script: str, place: _Place, *words: str) -> Result:
    backup = place.backup
    argv = ["sh", "-c", script, "sh", backup.destination_folder, str(backup.uuid), place.copy]
    said = host.run([*argv, str(place.at), _base64(place.folder), *words], timeout=READ_SECONDS)
    if said.code in REFUSALS:
        told = {"folder": backup.destination_folder, "server": backup.destination}
        raise NotInCopy(str(REFUSALS[said.code]) % told)
    return said.check()


def _base64(data: bytes) -> str:
    return base64.b64encode(data).decode()


def copies_of(backup: Backup) -> list[tuple[str, int]]:
    """The copies that are there as far as is known: name, and when it was made in seconds since 1970."""
    state = getattr(backup, "state", None)
    return [(str(name), int(at)) for name, at in (state.copies if state else ())]


def copy_name(backup: Backup, at: int) -> str:
    """The name that the copy of this time has now; raises NotInCopy."""
    for name, made in copies_of(backup):
        if made == at:
            return name
    raise NotInCopy(_("This copy is not there any more: it was rotated away."))


def parents(path: bytes) -> Iterator[tuple[str, str]]:
    """The folders on the way to it, itself too: their names for people, and their tokens."""
    parts = path.split(b"/") if path else []
    for number, part in enumerate(parts, 1):
        yield shown(part), token_of(b"/".join(parts[:number]))
