"""What can be done with copies: read a folder, restore (first a preview, then the word for it), verify, stop."""

from datetime import timedelta

from django.conf import settings
from django.db import IntegrityError, transaction
from django.utils import timezone
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from accounts.actors import Actor
from accounts.audit import record
from backups import rights
from backups.earlier import copied_at, is_elsewhere, is_incomplete
from backups.following_restores import end_task
from backups.inside_copies import path_of, shown
from backups.models import Backup, CopyFolder, LeftData, Restore, TaskState, Verification
from backups.models.restores import AT_WORK, target_folder
from backups.reading_copies import NotInCopy, copies_of, copy_name
from backups.services.runs import NO_RIGHT, RunRefused, check_right
from backups.ways import NoWay, way_from
from jobs.models import ENDED, Job, JobState
from jobs.services import JobRefusedError, start_job, stop_job
from jobs.works import Retry
from pages import second_word
from servers.folders import inside, overlap
from servers.models import Server

READ, RESTORE, VERIFY = "backups.read_folder", "backups.restore", "backups.verify"
QUEUE = "backups"
AGAIN = Retry(every=20, until_hours=48)
FOLDERS_KEPT = timedelta(days=1)
PREVIEW_HOURS = 24
LATE = 1.5  # so many times its rhythm may pass before a verification is overdue


class RestoreRefused(Exception):  # noqa: N818 - told to the person
    """This restore is not begun; str() says why."""


def folder_of(actor: Actor, backup: Backup, at: int, path: str, *, again: bool = False) -> CopyFolder:
    """A folder of a copy as it was read, or while a job reads it. Raises NotInCopy when there is no such copy."""
    copy_name(backup, at)
    with transaction.atomic():
        row = CopyFolder.objects.get_or_create(backup=backup, at=at, path=path)[0]
        row = CopyFolder.objects.select_for_update(of=("self",)).select_related("job").get(pk=row.pk)
        reading = row.job is not None and not row.job.ended
        if (row.read_at is None and not row.error and not reading) or (again and not reading):
            title = _("Read %(folder)s in a copy of %(backup)s") % {
                "folder": shown(path_of(path)) or "/", "backup": backup
            }  # fmt: skip
            row.read_at, row.error = None, ""
            row.job = start_job(actor, READ, title, {"folder": row.pk}, subject=backup)
            row.save(update_fields=["job", "read_at", "error"])
    return row


def ask_restore(actor: Actor, restore: Restore) -> Restore:
    """Save this (unsaved) restore and have a worker look what it would change. Raises RestoreRefused, NotInCopy."""
    restore.copy = copy_name(restore.backup, restore.at)
    _check_right(actor, restore)
    _check(restore)
    restore.asked_by, restore.owner, restore.state = actor.name, actor.user, TaskState.LOOKING
    restore.askers = [actor.asker]
    with transaction.atomic():
        restore.save(force_insert=True)
        record(actor, "backup.restore_preview", restore.backup, after=facts_of(restore))
        _follow(restore)
    return restore


def look_again(actor: Actor, restore: Restore) -> Restore:
    """The same restore anew, with a new preview."""
    names = ("backup", "at", "path", "target", "folder", "checksum", "delete_extra")
    return ask_restore(actor, Restore(**{name: getattr(restore, name) for name in names}))


def begin_restore(actor: Actor, restore: Restore) -> None:
    """Do what the preview showed. Raises RestoreRefused, SecondWordNeeded where something is written over."""
    with transaction.atomic():
        row = Restore.objects.select_for_update(of=("self",)).get(pk=restore.pk)
        if row.state != TaskState.READY:
            raise RestoreRefused(_("This restore has been begun already, or its preview did not work."))
        if row.looked_at is None or timezone.now() - row.looked_at > timedelta(hours=PREVIEW_HOURS):
            raise RestoreRefused(_("The preview is older than a day. Look again first."))
        _check_right(actor, row)
        _check(row)
        second_word.ask(question(row))
        now = timezone.now()
        row.state, row.started_at, row.ended_at, row.begun = TaskState.RUNNING, now, None, False
        row.stop_asked_at, row.error, row.code, row.live = None, "", "", {}
        row.asked_by, row.owner, row.askers = actor.name, actor.user, [actor.asker]
        try:
            with transaction.atomic():
                row.save()
        except IntegrityError:
            words = _("Another restore to %s is running. Wait for its end.") % row.target
            raise RestoreRefused(words) from None
        record(actor, "backup.restore", row.backup, after=facts_of(row))
        record(actor, "backup.restored_to", row.target, after=facts_of(row))
        _follow(row)
    restore.refresh_from_db()


def question(restore: Restore) -> second_word.SecondWordNeeded:
    """What a restore asks a second word for; nothing where it writes over nothing."""
    return second_word.SecondWordNeeded(warnings(restore) if restore.overwrites else [])


def warnings(restore: Restore) -> list[str]:
    """What is lost at the target when it is done, in sentences."""
    words = {"server": restore.target, "folder": restore.where}
    said = [_("There is something in %(folder)s on %(server)s already.") % words]
    if changed := restore.counts.get("changed", 0):
        said.append(ngettext("%d file is written over.", "%d files are written over.", changed) % changed)
    if deleted := restore.counts.get("deleted", 0):
        said.append(ngettext("%d thing is deleted.", "%d things are deleted.", deleted) % deleted)
        if is_incomplete(restore.backup, restore.at):
            said.append(
                _(
                    "The run that made this copy could not read everything. What is not in it for that reason alone is "
                    "deleted, too: look at the list below."
                )
            )
    return said


def why_not_where_it_was(backup: Backup, at: int) -> str:
    """Why the copy of this time cannot come to where it was, in a sentence; empty where it can."""
    if not is_elsewhere(backup, at):
        return ""
    was = copied_at(backup, at)
    words = {"folder": was.folder, "server": was.source, "backup": backup}
    said = _(
        "This copy is of %(folder)s on %(server)s: the backup was changed to %(backup)s after it was made."
    )
    return f"{said % words} {_('Choose the folder into which it comes.')}"


def _check_right(actor: Actor, restore: Restore) -> None:
    try:
        rights.check(actor, restore)
    except rights.MayNot as error:
        raise RestoreRefused(str(error)) from error


def _check(restore: Restore) -> None:
    """Refuse what cannot go well. Raises RestoreRefused."""
    backup, target = restore.backup, restore.target
    if target.pk != backup.destination_id:
        try:
            way = way_from(backup.destination, target)
        except NoWay as error:
            words = {"there": backup.destination, "server": error}
            raise RestoreRefused(
                _("Nothing says how %(there)s reaches %(server)s: fill in its SSH connection first.") % words
            ) from error
        if way[-1].address.user != "root":
            words = {"there": backup.destination, "server": target, "user": way[-1].address.user}
            raise RestoreRefused(
                _(
                    "%(there)s logs in to %(server)s as %(user)s, and a restore needs root there, to give files back "
                    "their owners. Change the “SSH connection from the backup server” of %(server)s, or restore to "
                    "another server."
                )
                % words
            )
        for hop in way:
            if not hop.host_keys:
                raise RestoreRefused(
                    _("No host key of %s is accepted yet, so nothing logs in there.") % hop.name
                )
    if not restore.folder and (why := why_not_where_it_was(backup, restore.at)):
        raise RestoreRefused(why)
    if not restore.folder and target.pk != backup.source_id:
        raise RestoreRefused(
            _("Choose a folder: only the server that it came from has a place where it was.")
        )
    folder = target_folder(restore).decode(errors="surrogateescape")
    theirs = Backup.objects.filter(destination=target).values_list("destination_folder", flat=True)
    left = LeftData.objects.filter(destination=target).values_list("folder", flat=True)
    for copies in (*theirs, *left):
        if inside(folder, copies) or (restore.delete_extra and overlap(folder, copies)):
            raise RestoreRefused(
                _("The copies of a backup lie in %(folder)s on %(server)s: nothing is restored there.")
                % {"folder": copies, "server": target}
            )


def ask_verification(actor: Actor, backup: Backup, at: int | None = None) -> Verification:
    """Have the newest copy, or the one of `at`, verified. Raises RunRefused while that is being done, NotInCopy."""
    check_right(actor, backup)
    copies = copies_of(backup)
    if not copies:
        raise NotInCopy(_("There is no copy yet."))
    name, at = max(copies, key=lambda copy: copy[1]) if at is None else (copy_name(backup, at), at)
    now = timezone.now()
    try:
        with transaction.atomic():
            row = Verification.objects.create(
                backup=backup, at=at, copy=name, asked_by=actor.name, owner=actor.user, askers=[actor.asker],
                started_at=now,
            )  # fmt: skip
            record(actor, "backup.verify", backup, after={"copy": name})
            _follow(row)
    except IntegrityError as error:
        raise RunRefused(_("This backup is being verified already.")) from error
    return row


def verify_due() -> list[Verification]:
    """Verify the backups whose time has come, one at a time on each backup server; returns what was asked for."""
    if not settings.BACKUP_SCHEDULE:
        return []
    asked, now = [], timezone.now()
    running = Verification.objects.filter(state=TaskState.RUNNING)
    busy = set(running.values_list("backup__destination", flat=True))
    for backup in Backup.objects.filter(active=True).select_related("state", "destination", "source"):
        every = backup.verify_every
        if every is None or backup.destination_id in busy or not copies_of(backup):
            continue
        last = backup.verifications.first()
        if (last is None and now - backup.created_at > every / 4) or (last and now - last.asked_at > every):
            busy.add(backup.destination_id)
            asked.append(ask_verification(Actor.system("scheduler"), backup))
    return asked


def stop_task(actor: Actor, task: Restore | Verification) -> None:
    """Stop it, on the backup server too. Raises RunRefused."""
    with transaction.atomic():
        check_right(actor, task)
        rows = type(task).objects.filter(pk=task.pk, state__in=AT_WORK)
        if not rows.update(stop_asked_at=timezone.now(), stop_asked_by=actor.name):
            raise RunRefused(_("This has ended already."))
        record(actor, "backup.stop", task.backup, after={task._meta.model_name or "": task.pk})
        task.refresh_from_db()
        if task.job and not task.job.ended:
            try:
                stop_job(actor, task.job)
            except JobRefusedError:
                transaction.on_commit(lambda: look_after(task))


def look_after(task: Restore | Verification) -> None:
    """Give what is at work, and whose job has ended, another job."""
    with transaction.atomic():
        rows = type(task).objects.select_for_update(of=("self",))
        fresh = rows.filter(pk=task.pk, state__in=AT_WORK).first()
        if fresh is None or (fresh.job and not fresh.job.ended):
            return
        job = fresh.job
        failed_at = job.ended_at if job and job.state == JobState.FAILED else None
        if job and job.refused and not fresh.begun:
            end_task(fresh, TaskState.FAILED, NO_RIGHT, job.error)
            return
        if failed_at and timezone.now() - failed_at < timedelta(minutes=5):
            return  # a fault of ours must not become a flood of jobs
        _follow(fresh)


def job_ended(job: Job) -> None:
    """What was not begun, because who asked for it may no longer have it done, has failed with its job."""
    if job.work in (RESTORE, VERIFY) and job.refused:
        for model in (Restore, Verification):
            for task in model.objects.filter(job=job, state__in=AT_WORK, begun=False):
                look_after(task)


def look_after_all() -> None:
    """Find restores and verifications that nobody follows; forget folders that were read long ago."""
    for model in (Restore, Verification):
        for task in model.objects.filter(state__in=AT_WORK).select_related("job"):
            if task.job is None or task.job.ended:
                look_after(task)
    CopyFolder.objects.filter(read_at__lt=timezone.now() - FOLDERS_KEPT).delete()


def _follow(task: Restore | Verification) -> None:
    actor = Actor(task.owner, task.asked_by or "scheduler")
    if isinstance(task, Verification):
        work, args, title = VERIFY, {"verification": task.pk}, _("Verify the backup of %s") % task.backup
    elif task.state == TaskState.LOOKING:
        work, args = RESTORE, {"restore": task.pk}
        title = _("Look what restoring %s would change") % task
    else:
        work, args, title = RESTORE, {"restore": task.pk}, _("Restore %s") % task
    task.job = start_job(
        actor, work, title, args, subject=task.backup, queue=QUEUE, retry=AGAIN, askers=task.askers
    )
    task.save(update_fields=["job"])


def facts_of(restore: Restore) -> dict[str, object]:
    """A restore for the audit trail and for programs."""
    return {
        "what": restore.what or "/",
        "copy": restore.copy,
        "target": restore.target.name,
        "folder": restore.where,
        "checksum": restore.checksum,
        "delete_extra": restore.delete_extra,
    }


def is_reading(row: CopyFolder) -> bool:
    """Whether a job is at it."""
    return row.job is not None and row.job.state not in ENDED


def targets_for(backup: Backup, servers: "list[Server]") -> "list[Server]":
    """Of these servers, those to which the backup server knows a way."""
    found = []
    for server in servers:
        try:
            if server.pk != backup.destination_id:
                way_from(backup.destination, server)
        except NoWay:
            continue
        found.append(server)
    return found
