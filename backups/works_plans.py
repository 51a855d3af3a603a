"""The works of plans: try the way to a source, delete the copies that a deleted backup left."""

import re
import shlex
from dataclasses import asdict
from uuid import UUID

from django.db import transaction
from django.utils import timezone
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from accounts.actors import Actor
from accounts.audit import record
from backups import rights, trying
from backups.desired_sources import place_script
from backups.following import wait_for_rollouts
from backups.models import Backup, LeftData
from backups.paths import MARKER, Paths
from backups.services.plans import DELETE_LEFT, MAKE_KEY, TRY
from hosts.errors import HostError
from jobs import works
from jobs.run import Run
from keymanager.reading import read_from
from servers.connect import connect
from servers.models import Server
from servers.words import sentence

works.expect(Backup.DoesNotExist, LeftData.DoesNotExist)


class NotOurs(Exception):  # noqa: N818 - told to the person
    """The folder is not deleted; str() says why."""


works.expect(NotOurs)

KEY = """
umask 077
cd ~root && mkdir -p .ssh || exit 1
for key in .ssh/id_*.pub; do [ ! -f "$key" ] || exit 0; done
ssh-keygen -q -t ed25519 -N '' -C "root@$(hostname)" -f .ssh/id_ed25519
"""
DELETE_SECONDS = 24 * 3600.0
# Arguments: folder, uuid, marker's name, lock file, what says where a folder lies, where its disk was mounted when they
# were made: /etc/fstab has no pools of ZFS. The marker goes last, so that what was ended halfway can be done again.
# Nothing is done through a symbolic link, and no other file system is entered: it goes to the folder, proves that it is
# there, works on what it stands in, whatever has its name by then.
# What is no copy stays: the folder may have had it before, and have been adopted with it. Of what is mounted inside
# rm(1) knows only some: it empties what is mounted at one of its own arguments, or bound from the same disk.
DELETE = r"""
folder=$1 uuid=$2 marker=./$3 lock=$4 place=$5 known=$6
nothing() { # is there: any more, or as long as its disk is away
  [ -z "$(printf '%s\n' "$folder" | sh -c "$place" | sed -n 's/^unmounted=//p')" ] || exit 15
  [ -z "$known" ] || mountpoint -q -- "$known" || exit 15
  [ ! -d "$folder" ] || { cd / && rmdir -- "$folder"; } || exit 1
  exit 10
}
[ -e "$folder" ] || [ -L "$folder" ] || nothing
cd -P -- "$folder" 2>/dev/null && [ "$(pwd -P)" = "$folder" ] || exit 11
if [ -s "$lock" ] && grep -qs rsnapshot "/proc/$(cat "$lock")/cmdline"; then exit 12; fi
if [ -f "$marker" ] && [ ! -L "$marker" ]; then
  [ "$(head -n 1 -- "$marker")" = "$uuid" ] || exit 13
  while read -r id parent device root at rest; do
    at=$(printf %b "$(printf %s "$at" | sed 's/\\\([0-7]\)/\\0\1/g')")
    case $at in "$folder"/*) exit 14 ;; esac
  done </proc/self/mountinfo
  find . -xdev -mindepth 1 -maxdepth 1 \( -name .sync -o -name .before -o -name .verify \
    -o -name '.gestion-*' ! -name "$3" -o \( -name 'hourly.*' -o -name 'daily.*' -o -name 'weekly.*' \
    -o -name 'monthly.*' -o -name '_delete.*' \) ! -name '*.*[!0-9]*' ! -name '*.' \) \
    -exec rm -rf --one-file-system -- {} + || exit 1
  rm -f -- "$marker" || exit 1
  [ -z "$(find . -mindepth 1 -maxdepth 1 ! -name lost+found -print -quit)" ] || exit 16
elif [ -n "$(ls -A)" ]; then
  exit 13
elif ! mountpoint -q .; then
  nothing
fi
if mountpoint -q .; then exit 0; fi
cd / && rmdir -- "$folder"
"""


@works.register(TRY, safe_to_repeat=True, again=True, touches=rights.of_backup)
def try_way(run: Run, *, backup: int) -> None:
    """Try each step of the way until one breaks, and keep what was found."""
    rows = Backup.objects.select_related("source", "destination")
    wait_for_rollouts(run, rows.get(pk=backup))
    row = rows.get(pk=backup)  # it may have been changed meanwhile
    found: list[trying.Answer] = []
    try:
        with connect(row.destination) as host:  # a stop is heard between looks, so that it ends there, too
            for name, step in (("tools", trying.tools), ("files", trying.configuration)):
                run.check_stop()
                with run.step(trying.STEPS[name]):
                    _tell(run, found, step(host, row))
            if all(answer.ok for answer in found):
                with run.step(_("A run, as far as its first file")):
                    _tell(run, found, *trying.run_of(run, host, row))
    except HostError as error:
        found.append(trying.Answer("tools", False, sentence(error)))
        run.log(found[-1].words, "err")
    run.log(trying.verdict(found))
    Backup.objects.filter(pk=backup).update(
        tried=[asdict(answer) for answer in found], tried_at=timezone.now()
    )


def _tell(run: Run, found: list[trying.Answer], *answers: trying.Answer) -> None:
    for answer in answers:
        found.append(answer)
        run.log(answer.words, "err" if answer.ok is False else "info")


@works.register(MAKE_KEY, safe_to_repeat=True, again=True)
def make_key(run: Run, *, server: int) -> None:
    """Have the keymanager offered root's public keys; makes an ed25519 key where root has none."""
    row = Server.objects.get(pk=server)
    with connect(row) as host, run.on_stop(host.close):
        host.run(["sh", "-c", KEY], timeout=30, on_output=run.output).check()
        new, wrong = read_from(host, row)
    for words in wrong:
        run.log(words, "err")
    run.log(ngettext("%d new key waits for your word.", "%d new keys wait for your word.", new) % new)


@works.register(DELETE_LEFT, safe_to_repeat=True, again=True)
def delete_left(run: Run, *, left: int) -> None:
    """Delete the copies on the backup server, only in a folder that has this backup's marker."""
    row = LeftData.objects.select_related("destination").get(pk=left)
    paths = Paths(row.uuid, row.folder)
    known = mounted_at(str(row.remembered.get("destination_place", "")))
    argv = ["sh", "-c", DELETE, "sh", row.folder, str(row.uuid), MARKER, paths.lock, place_script(), known]
    with connect(row.destination) as host, run.on_stop(host.close):
        said = host.run(argv, timeout=DELETE_SECONDS, on_output=run.output)
    words = {"folder": row.folder, "server": row.destination, "make": gone_for_good(row.folder, row.uuid)}
    refusals = {
        11: _(
            "%(folder)s on %(server)s is no plain folder, or lies behind a symbolic link: nothing was deleted."
        ),
        12: _("A run of this backup is still at work on %(server)s: stop it first. Nothing was deleted."),
        14: _("Something is mounted inside %(folder)s on %(server)s: unmount it first. Nothing was deleted."),
        15: _(
            "The disk of %(folder)s is not mounted on %(server)s: nothing was deleted. "
            "If it has gone for good, run this there as root, and delete the copies again: %(make)s"
        ),
        13: _("%(folder)s on %(server)s does not have the marker of this backup: nothing was deleted."),
    }
    if said.code in refusals:
        raise NotOurs(refusals[said.code] % words)
    done = _("%(folder)s on %(server)s is deleted.")
    if said.code == 16:
        done = _("The copies in %(folder)s on %(server)s are deleted; what else is in it stays.")
    elif said.code == 10:
        done = _("There was nothing in %(folder)s on %(server)s any more.")
    else:
        said.check()
    run.log(done % words)
    with transaction.atomic():
        record(
            Actor.system("backups"), "backup.copies_deleted", row.destination, before={"folder": row.folder}
        )
        row.delete()


def mounted_at(place: str) -> str:
    """The folder at which a disk was mounted, by what backup-run says of its place; empty where that is none.

    findmnt(8) escapes bytes by \\x; where there is none, Alpine's stat(1) does not know what to say.
    """
    raw = place.partition(" ")[0].encode()
    at = re.sub(rb"\\x([0-9a-f]{2})", lambda byte: bytes([int(byte[1], 16)]), raw).decode(errors="replace")
    return at if at.startswith("/") else ""


def gone_for_good(folder: str, uuid: UUID | str) -> str:
    """What is run on a backup server whose disk does not come back: the empty folder is deleted as its copies."""
    quoted = shlex.quote(folder)
    return f"mkdir -p -- {quoted} && echo {uuid} >{quoted}/{MARKER}"
