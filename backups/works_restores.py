"""The works that read copies, restore from them and verify them."""

from dataclasses import asdict
from datetime import timedelta

from django.conf import settings
from django.utils import timezone

from backups import rights
from backups.following_restores import TaskFollower, end_task
from backups.inside_copies import path_of
from backups.models import CopyFolder, Restore, TaskState, Verification
from backups.models.restores import AT_WORK
from backups.reading_copies import NotInCopy, read_folder
from backups.runner import NoRunner
from backups.services import restores as services
from backups.ways import NoWay
from backups.works_runs import AWAY, BackupNotGood
from hosts.errors import HostError
from jobs import schedule, works
from jobs.run import Run
from servers.configs import NotWritable
from servers.connect import connect
from servers.words import sentence

works.expect(NotInCopy, Restore.DoesNotExist, Verification.DoesNotExist, CopyFolder.DoesNotExist)
PATIENCE = timedelta(hours=2)  # with a backup server that has not begun yet


@works.register(services.READ, safe_to_repeat=True, touches=rights.of_folder)
def read(run: Run, *, folder: int) -> None:
    """Read a folder of a copy and keep what is in it."""
    row = CopyFolder.objects.select_related("backup__destination", "backup__state").get(pk=folder)
    backup = row.backup
    try:
        copy = next((name for name, at in backup.state.copies if at == row.at), "-")
        with connect(backup.destination) as host, run.on_stop(host.close):
            total, entries = read_folder(host, backup, row.at, copy, path_of(row.path))
    except (NotInCopy, HostError) as error:
        row.error = sentence(error) if isinstance(error, HostError) else str(error)
        row.save(update_fields=["error"])
        raise
    row.total, row.entries, row.read_at, row.error = (
        total,
        [asdict(one) for one in entries],
        timezone.now(),
        "",
    )
    row.save(update_fields=["total", "entries", "read_at", "error"])


def _restore_has_begun(restore: int) -> bool:
    return rights.has_begun(Restore, restore)


def _verification_has_begun(verification: int) -> bool:
    return rights.has_begun(Verification, verification)


@works.register(
    services.RESTORE, safe_to_repeat=True, retry_on=AWAY, touches=rights.of_restore, begun=_restore_has_begun
)
def restore(run: Run, *, restore: int) -> None:
    """Begin a restore or its preview on the backup server, or find it again there, and follow it."""
    _follow(run, Restore.objects.select_related("backup__destination", "target").get(pk=restore))


@works.register(
    services.VERIFY,
    safe_to_repeat=True,
    retry_on=AWAY,
    touches=rights.of_verification,
    begun=_verification_has_begun,
)
def verify(run: Run, *, verification: int) -> None:
    """Begin a verification on the backup server, or find it again there, and follow it."""
    _follow(run, Verification.objects.select_related("backup__destination").get(pk=verification))


def _follow(run: Run, task: Restore | Verification) -> None:
    if task.state not in AT_WORK:
        return
    try:
        with connect(task.backup.destination) as host:
            TaskFollower(run, task, host).follow()
    except (NoRunner, NoWay, NotWritable) as error:
        words = sentence(error) if isinstance(error, HostError) else str(error)
        end_task(task, TaskState.LOST if task.begun else TaskState.FAILED, "no_config", words)
    except AWAY as error:
        task.refresh_from_db()
        if task.stop_asked_at and not task.begun:
            end_task(task, TaskState.STOPPED, "stopped", sentence(error))
            return
        if _note_away(task):
            raise  # asked again later
        end_task(task, TaskState.LOST if task.begun else TaskState.FAILED, "away", sentence(error))
    task.refresh_from_db()
    if task.state in (TaskState.FAILED, TaskState.INCOMPLETE, TaskState.LOST):
        raise BackupNotGood(task.error)


def _note_away(task: Restore | Verification) -> bool:
    now = timezone.now()
    if task.away_since is None:
        task.away_since = now
        task.save(update_fields=["away_since"])
    patience = timedelta(hours=settings.BACKUP_LONGEST_HOURS) if task.begun else PATIENCE
    return now - task.away_since < patience


def register() -> None:
    """Put it on the schedule."""
    schedule.every("backups.look_after_restores", 60, services.look_after_all)
    schedule.every("backups.verify_due", 900, services.verify_due)
