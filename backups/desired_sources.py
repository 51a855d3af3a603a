"""What a source should hold whose files are read as root although the backup server logs in as somebody else.

A line for sudo, the one program that it allows, and what that program may have read. See sudoers(5), visudo(8).
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from uuid import UUID

from django.utils.translation import gettext as _

from backups.configs import NotWritable, configured
from backups.desired_runner import HERE
from backups.models import Backup
from backups.ways import SOURCE_READER, NoWay, reader_of
from hosts.state import STAGED, Command, File, State
from servers.models import Server

KIND = "backup-source"
SUDOERS = (
    "/etc/sudoers.d/zz-gestion-backup"  # the last rule counts, and files are read in the order of their names
)
FOLDERS = "/etc/gestion/backup-source"
# What sudo may ask of all does not count for this program. sudo-rs, which Ubuntu has had since 25.10, knows none of it
# and complains of it to everybody who uses sudo: so it is a file of its own, where the host's visudo takes it.
SUDOERS_MORE = f"{SUDOERS}-more"
MORE_SETTINGS = f"Defaults!{SOURCE_READER} !requiretty, !log_input, !log_output"
# Arguments: put or look, the file of the rule, the other one, and what it says. sudo reads no name with a dot in it.
MORE = r"""
how=$1 rule=$2 file=$3
new=$(mktemp) || exit 1
trap 'rm -f "$new"' EXIT
printf '%s\n' "$4" >"$new" && chmod 0440 "$new" || exit 1
if [ -e "$rule" ] && visudo -c -f "$new" >/dev/null 2>&1; then
  if cmp -s "$new" "$file" && [ "$(stat -c %a "$file")" = 440 ]; then exit; fi
  [ "$how" = put ] || { echo "$file does not say what it should."; exit 1; }
  cp -p "$new" "$file.new" && mv -f "$file.new" "$file"
elif [ -e "$file" ]; then
  [ "$how" = put ] || { echo "$file is there, and should not be."; exit 1; }
  rm -f "$file"
fi
"""
# Of a run, which hands it to sources where no sudo is needed.
_PLACE = re.compile(r"^PLACE='([^']*)'$", re.MULTILINE)
CHECK = """
command -v visudo >/dev/null || { echo "sudo is not installed here: install it, or let root in." >&2; exit 1; }
exec visudo -c -f "$1"
"""
READY_SECONDS = 30.0


@dataclass(frozen=True)
class Reader:
    """One backup's right: as which unix user the backup server comes, and what it may have read as root."""

    user: str
    uuid: UUID
    folder: str


def files(readers: list[Reader]) -> tuple[File, ...]:
    """The files of these rights; raises NotWritable for what no file can say."""
    folders, sudoers = _texts(readers)
    script = (HERE / "backup-source.sh").read_bytes()
    return (
        File(SOURCE_READER, script, mode=0o755),
        File(f"{SOURCE_READER}.place", place_script().encode(), mode=0o644),
        File(FOLDERS, folders.encode(), mode=0o600),
        File(SUDOERS, sudoers.encode(), mode=0o440),
    )


def place_script() -> str:
    """What says where a folder lies: see backup-run."""
    return str(_PLACE.findall((HERE / "backup-run.sh").read_text())[0])


def _texts(readers: list[Reader]) -> tuple[str, str]:
    """What these rights make of FOLDERS and SUDOERS."""
    users = sorted({reader.user for reader in readers})
    return (
        configured("backup-source.j2", readers=readers),
        configured("sudoers.j2", users=users, program=SOURCE_READER),
    )


def desired(server: Server) -> State:
    """What the server should hold of kind "backup-source"; no file where no backup of it needs sudo."""
    readers, left_out = _readers(server)
    users = sorted({reader.user for reader in readers})
    return State(
        kind=KIND,
        items=files(readers) if readers else (),
        checks=(Command(("sh", "-c", CHECK, "sh", STAGED(SUDOERS))),) if readers else (),
        activate=(_more("put"),),
        looks=(_more("look"),),
        proofs=tuple(_ready(user) for user in users),
        left_out=tuple(left_out),
    )


def does(server: Server) -> Iterator[str]:
    """What of the server is read as root by sudo, in words: see servers.registry.RolloutKind."""
    readers, _left_out = _readers(server)  # what is left out is told beside this
    for reader in readers:
        words = {"folder": reader.folder, "user": reader.user}
        yield _("files are read as root by sudo: %(folder)s, for %(user)s") % words


def _readers(server: Server) -> tuple[list[Reader], list[str]]:
    """The rights that the server's backups need, and why others cannot be written."""
    readers, left_out = [], []
    backups = Backup.objects.filter(source=server, as_root=True).order_by("uuid")
    for backup in backups.select_related("source__vm_host", "destination"):
        try:
            user = reader_of(backup)
            if user:
                reader = Reader(user, backup.uuid, backup.source_folder)
                _texts([reader])
                readers.append(reader)
        except NoWay:
            continue  # the backup server's own kind says so
        except NotWritable as error:
            words = {"backup": backup, "why": error}
            left_out.append(_("The backup of %(backup)s is not read as root: %(why)s") % words)
    return readers, left_out


def _more(how: str) -> Command:
    return Command(("sh", "-c", MORE, "sh", how, SUDOERS, SUDOERS_MORE, MORE_SETTINGS))


def _ready(user: str) -> Command:
    # As a run does it: without a terminal, a password or another's word.
    return Command(("runuser", "-u", user, "--", SOURCE_READER, "ready"), timeout=READY_SECONDS)
