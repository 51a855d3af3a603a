"""The work that follows a run, and what the schedule does for runs."""

from django.conf import settings
from django.utils import timezone
from django.utils.translation import gettext as _

from accounts.actors import Actor
from backups import rights
from backups.ending import end_run
from backups.following import Follower, note_away
from backups.models import Backup, BackupRun, RunState, Why
from backups.models.runs import WRONG
from backups.runner import NoRunner
from backups.services import runs as services
from backups.services import sets
from backups.telling import told
from hosts.errors import (
    Busy,
    CommandFailed,
    HostKeyChanged,
    HostKeyUnknown,
    Interrupted,
    LoginRefused,
    TimedOut,
    Unreachable,
)
from jobs import schedule, works
from jobs.models import JobState
from jobs.run import Run
from servers.connect import GatewayBlocked, NoConnection, connect
from servers.models import Contact, Server
from servers.words import sentence

# The backup server cannot be asked now; what runs there goes on.
AWAY = (
    *(Unreachable, Interrupted, TimedOut, LoginRefused, Busy, CommandFailed),
    *(NoConnection, GatewayBlocked, HostKeyUnknown, HostKeyChanged),
)


class BackupNotGood(Exception):  # noqa: N818 - it is no fault of the panel
    """The run ended otherwise than well; the text says how, for people."""


works.expect(BackupNotGood, BackupRun.DoesNotExist)


def _has_begun(backup_run: int) -> bool:
    return rights.has_begun(BackupRun, backup_run)


@works.register(services.WORK, safe_to_repeat=True, retry_on=AWAY, touches=rights.of_run, begun=_has_begun)
def follow(run: Run, *, backup_run: int) -> None:
    """Begin a run on its backup server or find it again there, and follow it to its end."""
    row = BackupRun.objects.select_related("backup__destination", "backup__source").get(pk=backup_run)
    if row.ended:
        return
    try:
        with connect(row.backup.destination) as host:
            Follower(run, row, host).follow()
    except NoRunner as error:
        end_run(row, RunState.LOST if row.begun else RunState.FAILED, "no_config", sentence(error))
    except AWAY as error:
        row.refresh_from_db()
        if row.stop_asked_at and not row.begun:
            end_run(row, RunState.STOPPED, "stopped", sentence(error))
            return
        if note_away(row):
            raise  # asked again later
        words = _("%(error)s What became of the run there is not known.") if row.begun else "%(error)s"
        state = RunState.LOST if row.begun else RunState.FAILED
        end_run(row, state, "away", words % {"error": sentence(error)})
    row.refresh_from_db()
    if row.again_at:
        run.log(told(row), "err")  # no failed job yet: who hears of those hears of it when it is given up
    elif row.state in WRONG:
        raise BackupNotGood(told(row))


def run_due() -> list[BackupRun]:
    """Ask for a run of each active backup whose time has come; returns them. One that is at it is left alone."""
    now = services.here_and_now()
    asked = []
    for backup in Backup.objects.filter(active=True).select_related("destination", "source").order_by("pk"):
        if backup.runs.open().exists():
            continue
        if levels := services.due_levels(backup, now):
            asked.append(services.ask_run(Actor.system("scheduler"), backup, Why.SCHEDULE, levels))
    return asked


def look_after_runs() -> None:
    """Find runs that nobody follows, let waiting ones begin, run what is due."""
    now = timezone.now()
    for run in BackupRun.objects.filter(state=RunState.RUNNING).select_related("job", "backup__destination"):
        job = run.job
        if job is None or job.ended:
            services.look_after(run)
        elif job.state == JobState.WAITING and run.backup.destination.contact == Contact.OK and job.attempt:
            type(job).objects.filter(pk=job.pk, state=JobState.WAITING, not_before__gt=now).update(
                not_before=now
            )
    waiting = BackupRun.objects.filter(state=RunState.WAITING).values("backup__destination")
    for server in Server.objects.filter(pk__in=waiting):
        services.dispatch(server)
    sets.look_after_sets()
    if settings.BACKUP_SCHEDULE:
        sets.run_due_sets()
        run_due()
    # After what is due, which takes the place of these.
    for run in BackupRun.objects.filter(again_at__lte=now).order_by("again_at"):
        services.try_again(run)


def register() -> None:
    """Put it on the schedule."""
    schedule.every("backups.look_after_runs", 30, look_after_runs)
