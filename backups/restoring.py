"""What backup-run must know of a restore or a verification, and how what came of it is read."""

import base64
import fnmatch
import os
import re
from collections.abc import Iterable, Sequence

from django.conf import settings
from django.utils.translation import gettext as _

from backups.configs import configured
from backups.desired_plans import asked_of, hops_of, keys_of, plan_of
from backups.earlier import copied_at, copied_now, is_elsewhere
from backups.inside_copies import name_of, parent_of, path_of, shown
from backups.models import Backup, Restore, Verification
from backups.models.restores import CopyTask, origin_of, target_folder
from backups.paths import Paths
from backups.ways import SOURCE_READER, NoWay, way_from
from hosts.host import Host

RUNS = "/var/lib/gestion/backups/runs"
MOST_CHANGES = 1000  # of a preview are kept; all are counted
READ_SECONDS = 60.0
_ESCAPED = re.compile(rb"\\#([0-7]{3})")
NUMBERS = (
    *("files", "bytes", "files_transferred", "bytes_transferred", "created", "deleted", "verified"),
    *("copy_bytes", "copy_files", "rsync_code"),
)


def _base64(data: bytes | str) -> str:
    return base64.b64encode(data.encode() if isinstance(data, str) else data).decode()


def _common(task: Restore | Verification, backup: Backup) -> dict[str, object]:
    return {
        "uuid": backup.uuid,
        "destination": backup.destination_folder,
        "config": Paths(backup.uuid, backup.destination_folder).config,
        "at": task.at,
        "copy": task.copy,
        "stall": settings.BACKUP_STALL_SECONDS,
    }


def restore_work(restore: Restore, name: str, *, look: bool) -> dict[str, object]:
    """The work of a restore, or of its preview, for the run `name`; raises NoWay."""
    backup, path = restore.backup, path_of(restore.path)
    target = target_folder(restore)
    parent = parent_of(path)
    here = restore.target_id == backup.destination_id
    work = {
        **_common(restore, backup),
        "kind": "look" if look else "restore",
        "folder": _base64(parent),
        "item": _base64(name_of(path)) or "-",
        "target": _base64(target),
        # Folders that are missing on the way to where it was get the modes that they have in the copy.
        "like": "" if restore.folder else "yes",
        "plain": len([part for part in origin_of(restore).split("/") if part]),
        # Whoever had it begun was told that nothing is written over.
        "fresh": "" if look or restore.overwrites else "yes",
        "checksum": "yes" if restore.checksum else "",
        "delete": "yes" if restore.delete_extra else "",
        "protect": _base64(b"".join(b"P " + os.fsencode(one) + b"\n" for one in left_out(restore, parent))),
        "here": "yes" if here else "",
    }
    if not here:
        way = way_from(backup.destination, restore.target)
        known = f"{RUNS}/{name}/known_hosts"
        work["ssh_config"] = _base64(configured("ssh_config.j2", hops=hops_of(way), known_hosts=known))
        work["known_hosts"] = _base64(configured("known_hosts.j2", keys=keys_of(way)))
    return work


def left_out(restore: Restore, folder: bytes) -> list[str]:
    """What the backup leaves out now, or left out when the copy was made, seen from a folder of the copy."""
    now, then = copied_now(restore.backup), copied_at(restore.backup, restore.at)
    return protected({*now.left_out, *then.left_out}, folder)


def protected(patterns: Iterable[str], folder: bytes) -> list[str]:
    """What is left out, as patterns seen from a folder of the copy: a restore never deletes that.

    Rather one too many: it only keeps something.
    """
    parts = [os.fsdecode(part) for part in folder.split(b"/")] if folder else []
    found: dict[str, None] = {}
    for pattern in sorted(patterns):
        for rest in _below(pattern.strip("/").split("/"), parts):
            found["/" + "/".join(rest)] = None
    return list(found)


def _below(pattern: Sequence[str], parts: Sequence[str]) -> Iterable[Sequence[str]]:
    """What is left of a pattern's parts below these folders."""
    if not parts:
        yield pattern
    elif not pattern:
        yield ["**"]  # the folder itself is left out
    elif "**" in pattern[0]:
        yield pattern
        for number in range(1, len(parts) + 1):
            yield from _below(pattern[1:], parts[number:])
    elif fnmatch.fnmatchcase(parts[0], pattern[0].replace("\\\\", "\\").replace("\\[", "[[]")):
        yield from _below(pattern[1:], parts[1:])


def verification_work(verification: Verification) -> dict[str, object]:
    """The work of a verification."""
    backup = verification.backup
    return {
        **_common(verification, backup),
        "kind": "verify",
        "sample": settings.BACKUP_VERIFY_BYTES,
        "scratch": f"{backup.destination_folder}/.verify",
        **_asked(backup, verification.at),
    }


def _asked(backup: Backup, at: int) -> dict[str, str]:
    not_asked = {"asked": "", "reader": ""}  # that is said
    if is_elsewhere(backup, at):
        return not_asked
    try:
        plan = plan_of(backup)
    except NoWay:
        return not_asked
    return {"asked": asked_of(plan), "reader": SOURCE_READER if plan.as_root else ""}


def read_changes(host: Host, name: str) -> list[list[str]]:
    """The first changes of a preview that the backup server still has: what rsync says of each, and its name."""
    argv = ["head", "-n", str(MOST_CHANGES), f"{RUNS}/{name}/changes"]
    return changes_of(host.run(argv, timeout=READ_SECONDS).out)


def changes_of(output: bytes) -> list[list[str]]:
    """Read the lines of rsync's --out-format='%i %n': the eleven letters, and the name for people."""
    found = []
    for line in output.split(b"\n"):
        what, name = line[:11], line[12:]
        if len(line) > 12 and line[11:12] == b" " and re.fullmatch(rb"[<>ch.*][A-Za-z+.? ]{10}", what):
            raw = _ESCAPED.sub(lambda octal: bytes([int(octal[1], 8) & 0xFF]), name)
            found.append([what.decode().strip(), shown(raw)])
    return found


def change_words(what: str) -> tuple[str, str]:
    """What a change is, for people, and its kind. See rsync(1), --itemize-changes."""
    if what.startswith("*deleting"):
        return _("deleted"), "deleted"
    if "+++" in what:
        return {"d": _("new folder"), "L": _("new link")}.get(what[1:2], _("new")), "new"
    parts = {
        "c": _("content"), "s": _("size"), "t": _("date"), "p": _("mode"), "o": _("owner"), "g": _("group"),
        "a": _("ACL"), "x": _("attributes"),
    }  # fmt: skip
    said = ", ".join(dict.fromkeys(parts[letter.lower()] for letter in what[2:] if letter.lower() in parts))
    if what[:1] in "<>ch":
        return _("written over (%s)") % (said or _("link")), "changed"
    return said, "attributes"


def refusal(task: CopyTask, facts: str) -> str:
    """What the target said before rsync began, in a sentence; empty if it said nothing."""
    word, _space, number = facts.partition(" ")
    if not isinstance(task, Restore) or not re.fullmatch("[0-9]{1,9}", number):
        return ""
    parts = target_folder(task).strip(b"/").split(b"/")[: int(number)]
    words = {"folder": "/" + shown(b"/".join(parts)), "server": task.target}
    texts = {
        "link": _(
            "%(folder)s on %(server)s is a symbolic link, or lies behind one. Nothing is restored through links: "
            "choose the folder that it leads to as “another folder”."
        ),
        "nofolder": _("%(folder)s on %(server)s is no folder, or may not be entered."),
        "readonly": _("%(folder)s could not be made on %(server)s: its disk is read-only."),
        "full": _("%(folder)s could not be made on %(server)s: its disk is full."),
        "unwritable": _("%(folder)s could not be made on %(server)s."),
        "unreadable": _("No temporary folder could be made on %(server)s."),
        "occupied": _(
            "Something is in %(folder)s on %(server)s by now that was not there when it was looked at. Nothing was "
            "written over: look again."
        ),
        "norsync": _("%(server)s has no rsync. Install it there."),
        "noview": _(
            "%(server)s cannot show rsync its folder without symbolic links (the mount option nosymfollow), so "
            "whoever may write there could lead it elsewhere. That takes Linux 5.10, util-linux 2.38 and, in a "
            "container of Proxmox, the feature “nesting”."
        ),
        "hardlinks": _(
            "On %(server)s everybody may give files of others a second name, and could lead a restore to them so. "
            "Set the kernel's fs.protected_hardlinks to 1 there."
        ),
    }
    return texts[word] % words if word in texts else ""
