"""The rules between a backup's fields, and with other backups; each problem by the field where it can be mended."""

from collections.abc import Iterator
from typing import Any

from django.utils.translation import gettext as _

from backups.configs import NotWritable, sudoer
from backups.models import Backup, LeftData
from backups.ways import NoWay, way_from
from servers.folders import overlap
from servers.registry import in_folder

Problem = tuple[str, Any]


def problems(backup: Backup) -> dict[str, list[Any]]:
    """Every broken rule, by field; reads other backups, so call it in the transaction that saves."""
    found: dict[str, list[Any]] = {}
    for check in (_way_rules, _keep_rules, _destination_rules):
        for field, text in check(backup):
            found.setdefault(field, []).append(text)
    return found


def _way_rules(backup: Backup) -> Iterator[Problem]:
    try:
        user = way_from(backup.destination, backup.source)[-1].address.user
        yield from _sudo_rules(backup, user)
    except NoWay as missing:
        words = {"there": backup.destination, "server": missing}
        yield (
            "source",
            _("Nothing says how %(there)s reaches %(server)s: fill in its SSH connection first.") % words,
        )


def _sudo_rules(backup: Backup, user: str) -> Iterator[Problem]:
    if not backup.as_root:
        return
    words = {"there": backup.destination, "source": backup.source, "user": user}
    if user == "root":
        yield (
            "as_root",
            _("%(there)s logs in to %(source)s as root already, so nothing is to be added.") % words,
        )
    else:
        try:
            sudoer(user)
        except NotWritable as error:
            yield "as_root", str(error)


def _keep_rules(backup: Backup) -> Iterator[Problem]:
    keeps = backup.keeps
    if not keeps:
        yield "keep_daily", _("Keep at least one copy.")
    elif len(keeps) > 1 and keeps[backup.lowest] < 2:
        field = f"keep_{backup.lowest.value}"
        yield field, _("Keep at least two of these: the older one becomes the next level's copy.")


def _destination_rules(backup: Backup) -> Iterator[Problem]:
    folder = backup.destination_folder
    words = {"folder": folder, "server": backup.destination}
    taken = in_folder(backup.destination, folder, but="backups") if not backup.pk else []
    for held in taken:
        yield "destination_folder", _("This folder is not free: %s.") % held.text
    if backup.source_id == backup.destination_id and overlap(folder, backup.source_folder):
        yield (
            "destination_folder",
            _("%(folder)s and what is copied lie in each other: the copy would copy itself.") % words,
        )
    others = Backup.objects.filter(destination=backup.destination).exclude(pk=backup.pk)
    for other in others.select_related("source"):
        if overlap(folder, other.destination_folder):
            words |= {"other": other, "theirs": other.destination_folder}
            yield (
                "destination_folder",
                _("The backup of %(other)s has %(theirs)s there. Each needs a folder of its own.") % words,
            )
    left = LeftData.objects.filter(destination=backup.destination).exclude(uuid=backup.uuid)
    for data in left:
        if overlap(folder, data.folder):
            words |= {"other": data.of, "theirs": data.folder}
            yield (
                "destination_folder",
                _("A deleted backup of %(other)s left its copies in %(theirs)s there. Delete those first.")
                % words,
            )
