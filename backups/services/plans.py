"""Plan backups: add, change, switch, delete, try the way to the source, delete the copies that are left."""

from collections.abc import Iterable
from contextlib import suppress
from typing import Any

from django.conf import settings
from django.core.exceptions import ValidationError
from django.db import transaction
from django.utils.translation import gettext as _

from accounts.actors import Actor
from accounts.audit import record, record_change
from backups import desired_sources
from backups.desired_plans import KIND
from backups.earlier import note_change
from backups.ending import give_up, need_no_look
from backups.models import Backup, BackupState, LeftData, RunState
from backups.models.restores import AT_WORK
from backups.rules import problems
from backups.ways import NoWay, reader_of
from jobs.models import ENDED, Job
from jobs.services import start_job
from servers import rollouts
from servers.folders import overlap
from servers.models import Server
from servers.services import StaleEdit

TRY, DELETE_LEFT, MAKE_KEY = "backups.try_way", "backups.delete_left", "backups.make_key"
# What a person sets; the destination stays what it was when the backup was made.
FIXED = ("destination", "destination_folder")
SETTINGS = (
    *(
        "source",
        "source_folder",
        "as_root",
        *FIXED,
        "exclude_proc_sys",
        "excludes",
        "one_file_system",
        "active",
    ),
    *("keep_hourly", "keep_daily", "keep_weekly", "keep_monthly", "shrink_limit", "verify", "note"),
)


# What running needs to know when a backup goes on with its copies.
REMEMBERED = (
    *("good_at", "good_files", "good_bytes", "rotated", "copies"),
    *("destination_place", "source_place", "earlier", "incomplete"),
)


class NotNow(Exception):  # noqa: N818 - told to the person
    """This cannot be done now; str() says why."""


@transaction.atomic
def create_backup(actor: Actor, backup: Backup) -> Backup:
    """Add this (unsaved) backup and have the backup server told. Raises ValidationError by the field."""
    _lock(backup)
    _check(backup)
    backup.save(force_insert=True)
    record(actor, "backup.create", backup, after=facts_of(backup))
    _ask_both(actor, [backup], _("The backup of %s is new") % backup)
    return backup


@transaction.atomic
def change_backup(actor: Actor, backup: Backup, *, version: int) -> Backup:
    """Save the changed backup, shown as of `version`. Its destination stays what it was.

    Raises StaleEdit, ValidationError by the field, SecondWordNeeded where it has copies and gets another source.
    """
    _lock(backup)
    now = _fresh(backup)
    if now.version != version:
        raise StaleEdit(
            _("Somebody else has changed this backup since you opened it. Compare, then save again.")
        )
    for name in FIXED:
        setattr(backup, name, getattr(now, name))
    _check(backup)
    before, after = facts_of(now), facts_of(backup)
    if before == after:
        return backup
    backup.version = version + 1
    note_change(now, backup)
    backup.save(update_fields=[*SETTINGS, "version"])
    record_change(actor, "backup.change", backup, before, after)
    if now.active and not backup.active:
        _nothing_more(backup)
    _ask_both(actor, [backup, now], _("The backup of %s has changed") % backup)
    return backup


@transaction.atomic
def switch_backup(actor: Actor, backup: Backup, *, active: bool) -> None:
    """Switch the backup on or off: off, it runs only by hand or in a set. Raises StaleEdit if it is gone."""
    _lock(backup)
    now = _fresh(backup)
    if now.active == active:
        return
    Backup.objects.filter(pk=now.pk).update(active=active, version=now.version + 1)
    record(actor, "backup.switch", now, before={"active": not active}, after={"active": active})
    if not active:
        _nothing_more(now)


def _nothing_more(backup: Backup) -> None:
    """Switched off, it does not run by itself: what was to be tried again is given up."""
    for run in backup.runs.filter(again_at__isnull=False):
        give_up(run)


@transaction.atomic
def delete_backup(actor: Actor, backup: Backup) -> LeftData | None:
    """Delete the backup; its copies stay on the backup server, and are listed there. None if there can be none.

    Raises StaleEdit, NotNow while a run of it is at work.
    """
    _lock(backup)
    now = _fresh(backup)
    check_at_rest(now)
    facts, of = facts_of(now), str(now)
    left = _leave(actor, now, facts) if now.may_have_copies() else None
    record(actor, "backup.delete", now, before=facts)
    need_no_look(now.runs.all(), now.restores.all(), now.verifications.all())
    now.delete()
    _ask_both(actor, [now], _("The backup of %s is deleted") % of)
    return left


def check_at_rest(backup: Backup) -> None:
    """Raises NotNow while a run of it is at work, or its copies are in use: then it cannot be deleted."""
    if backup.runs.filter(state=RunState.RUNNING).exists():
        raise NotNow(_("A run of this backup is at work: stop it first."))
    if (
        backup.restores.filter(state__in=AT_WORK).exists()
        or backup.verifications.filter(state__in=AT_WORK).exists()
    ):
        raise NotNow(_("Somebody restores from this backup, or it is being verified: stop that first."))


def _leave(actor: Actor, backup: Backup, facts: dict[str, Any]) -> LeftData:
    """Note what a backup leaves that is being deleted."""
    state = BackupState.objects.filter(backup=backup).values(*REMEMBERED).first()
    return LeftData.objects.create(
        uuid=backup.uuid,
        destination=backup.destination,
        folder=backup.destination_folder,
        of=str(backup),
        settings={name: facts[name] for name in facts if name not in FIXED},
        remembered=state or {},
        left_by=actor.name,
    )


@transaction.atomic
def take_up(actor: Actor, left: LeftData) -> Backup:
    """Back up again into the copies that are left, with the same settings and id; switched off at first.

    Raises NotNow when the server is not there any more, ValidationError when something forbids it now.
    """
    left = LeftData.objects.select_related("destination").get(pk=left.pk)
    source = Server.objects.filter(name=left.settings.get("source")).first()
    if source is None:
        raise NotNow(_("There is no server %s any more.") % left.settings.get("source"))
    fields = {name: value for name, value in left.settings.items() if name in SETTINGS and name != "source"}
    backup = Backup(
        uuid=left.uuid,
        destination=left.destination,
        destination_folder=left.folder,
        **{**fields, "source": source, "active": False},
    )
    with suppress(NoWay):  # its rules say so
        backup.as_root = bool(reader_of(backup))  # nobody can untick it here, where root is let in by now
    _lock(backup)
    if not LeftData.objects.filter(pk=left.pk).exists() or _is_deleting(left):
        raise NotNow(_("These copies are being deleted, or have been."))
    create_backup(actor, backup)
    BackupState.objects.create(backup=backup, **left.remembered)
    left.delete()
    return backup


def _is_deleting(left: LeftData) -> bool:
    return Job.objects.of(left).filter(work=DELETE_LEFT).exclude(state__in=ENDED).exists()


@transaction.atomic
def delete_left(actor: Actor, left: LeftData) -> Job:
    """Have the copies that a deleted backup left deleted, too; only where its marker lies."""
    Server.objects.select_for_update(no_key=True).get(pk=left.destination_id)
    record(actor, "backup.delete_copies", left.destination, before={"of": left.of, "folder": left.folder})
    title = _("Delete the copies of %(of)s on %(server)s") % {"of": left.of, "server": left.destination}
    args = {"left": left.pk}
    return start_job(actor, DELETE_LEFT, title, args, subject=left, queue="backups", once=True)


@transaction.atomic
def make_key(actor: Actor, server: Server) -> Job:
    """Have the keymanager offered the keys of root on this backup server; makes one where there is none."""
    record(actor, "backup.make_key", server)
    title = _("Read root's SSH key on %s, or make one") % server
    return start_job(actor, MAKE_KEY, title, {"server": server.pk}, subject=server, once=True)


@transaction.atomic
def try_way(actor: Actor, backup: Backup) -> Job:
    """Have a worker try the way: panel, backup server, source."""
    record(actor, "backup.try", backup)
    title = _("Try the way of the backup of %s") % backup
    return start_job(actor, TRY, title, {"backup": backup.pk}, subject=backup, once=True)


def suggested(source: Server, destination: Server | None = None) -> Backup | None:
    """The backup of a whole server with everything computed, not saved; None where no backup server is known.

    Without `destination` the backup server is BACKUP_SERVER, or the only one that has backups, or the only one with
    the tag "backup".
    """
    destination = destination or backup_server()
    if destination is None or destination.pk == source.pk:
        return None
    base = settings.BACKUP_BASE_FOLDER.rstrip("/")
    taken = set(Backup.objects.filter(destination=destination).values_list("destination_folder", flat=True))
    taken |= set(LeftData.objects.filter(destination=destination).values_list("folder", flat=True))
    names = [source.name, *(f"{source.name}-{number}" for number in range(2, len(taken) + 2))]
    folders = [f"{base}/{name}" for name in names]
    free = (folder for folder in folders if not any(overlap(folder, other) for other in taken))
    folder = next(free, folders[0])  # where all of the base folder is taken, its form says so
    return Backup(source=source, destination=destination, destination_folder=folder)


def backup_server() -> Server | None:
    """The server of BACKUP_SERVER (its name or number), or the only backup server there is."""
    name = settings.BACKUP_SERVER
    if name:
        number = int(name) if name.isdecimal() and len(name) < 10 else 0
        return Server.objects.filter(pk=number).first() or Server.objects.filter(name=name.lower()).first()
    for rows in (Server.objects.filter(backups_to__isnull=False), Server.objects.filter(tags__name="backup")):
        if found := list(rows.distinct().order_by("pk")[:2]):
            return found[0] if len(found) == 1 else None
    return None


def facts_of(backup: Backup) -> dict[str, Any]:
    """The backup in plain values, for the audit trail and for programs."""
    facts = {name: getattr(backup, name) for name in SETTINGS}
    return {**facts, "source": backup.source.name, "destination": backup.destination.name}


def ask_sources_again(actor: Actor, servers: Iterable[Server], why: str) -> None:
    """Roll out what lets folders of these sources be read as root, because the way to them has changed."""
    for server in servers:
        rollouts.ask(actor, server, [desired_sources.KIND], why)


def ask_again(actor: Actor, servers: Iterable[Server], why: str) -> None:
    """Roll out on these backup servers, because something that their files depend on has changed."""
    for server in servers:
        _ask(actor, server, why)


def _lock(backup: Backup) -> None:
    """Let nobody else plan backups to this server, or change either server, meanwhile."""
    ids = [backup.source_id, backup.destination_id]
    list(Server.objects.select_for_update(no_key=True).filter(pk__in=ids).order_by("pk").values_list("pk"))


def _fresh(backup: Backup) -> Backup:
    now = Backup.objects.select_related("source", "destination").filter(pk=backup.pk).first()
    if now is None:
        raise StaleEdit(_("Somebody else has deleted this backup."))
    return now


def _check(backup: Backup) -> None:
    backup.clean_fields()
    if found := problems(backup):
        raise ValidationError(found)


def _ask_both(actor: Actor, versions: list[Backup], why: str) -> None:
    """Of a backup as it is and as it was: the backup server, and the sources that are read by sudo."""
    # The source first: what the backup server says of it then works at once.
    sources = {backup.source_id: backup.source for backup in versions if backup.as_root}
    ask_sources_again(actor, sources.values(), why)
    _ask(actor, versions[0].destination, why)


def _ask(actor: Actor, server: Server, why: str) -> None:
    rollouts.ask(actor, server, [KIND], why)
