"""What can be done with runs: ask for one, stop it, release what was held."""

from collections.abc import Iterable
from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

from django.conf import settings
from django.db import IntegrityError, transaction
from django.utils import timezone
from django.utils.translation import gettext as _

from accounts.actors import Actor
from accounts.audit import record
from backups import rhythm, rights
from backups.ending import end_run, give_up
from backups.models import (
    Backup,
    BackupRun,
    BackupSetPart,
    BackupSetRun,
    BackupState,
    Level,
    Restore,
    RunState,
    SetState,
    Verification,
    Why,
)
from backups.models.runs import OPEN
from backups.repeating import in_order, take_over
from jobs.models import Job, JobState
from jobs.services import JobRefusedError, start_job, stop_job
from jobs.works import Retry
from servers.models import Server

WORK = "backups.run"
QUEUE = "backups"
# A backup server that cannot be reached is asked again; the run there goes on meanwhile.
AGAIN = Retry(every=20, until_hours=48)
LOOK_AGAIN_AFTER = timedelta(minutes=5)  # a fault of ours must not become a flood of jobs
NO_RIGHT = "rights"  # who asked for it might not have it done any more when its turn came


class RunRefused(Exception):  # noqa: N818 - named like the other refusals of services
    """The state of things does not allow this; the text says why."""


def here_and_now() -> datetime:
    """Now, in the panel's time zone, in which slots are counted."""
    return timezone.now().astimezone(ZoneInfo(settings.TIME_ZONE))


def state_of(backup: Backup) -> BackupState:
    """What is remembered of a backup; made when it is first asked for."""
    return BackupState.objects.get_or_create(backup=backup)[0]


def rotated_of(state: BackupState) -> dict[str, datetime]:
    """When each level was last rotated."""
    return {level: datetime.fromisoformat(text) for level, text in state.rotated.items()}


def due_levels(backup: Backup, now: datetime) -> list[Level]:
    """The levels that are due now, the highest first; none while it is not its time."""
    recent = backup.runs.filter(asked_at__gt=now - rhythm.longest_slot(backup.lowest)).exclude(levels=[])
    recent = recent.exclude(code=NO_RIGHT)  # that was no try: nothing was asked of any host
    tries = [run.asked_at for run in recent if backup.lowest.value in run.levels]
    return rhythm.due(tuple(backup.keeps), rotated_of(state_of(backup)), tries, now)


def run_now(actor: Actor, backup: Backup) -> BackupRun:
    """Run a backup by hand, active or not. If a run waits already, that one is returned. Raises RunRefused."""
    check_right(actor, backup)
    levels = rhythm.with_lowest(tuple(backup.keeps), rotated_of(state_of(backup)), here_and_now())
    return ask_run(actor, backup, Why.HAND, levels)


def check_right(actor: Actor, thing: Backup | BackupRun | Restore | Verification) -> None:
    """Raises RunRefused unless this actor may do something with it now."""
    try:
        rights.check(actor, thing)
    except rights.MayNot as error:
        raise RunRefused(str(error)) from error


def ask_run(
    actor: Actor, backup: Backup, why: Why, levels: Iterable[Level], accepts: Iterable[str] = ()
) -> BackupRun:
    """A run that waits for its turn. One that waits already takes these levels as well, and is returned."""
    wanted = [str(level.value) for level in levels]
    while True:
        try:
            with transaction.atomic():
                run = (
                    BackupRun.objects.select_for_update()
                    .filter(backup=backup, state=RunState.WAITING)
                    .first()
                )
                if run is None:
                    run = BackupRun(backup=backup, why=why, asked_by=actor.name, owner=actor.user)
                    record(actor, "backup.run", backup, after={"why": why.value, "levels": wanted})
                run.levels = in_order([*run.levels, *wanted])
                run.askers += [asker for asker in [actor.asker] if asker not in run.askers]
                run.accepts = sorted({*run.accepts, *accepts})
                run.save()
                take_over(run)
                run.save(update_fields=["levels"])
                transaction.on_commit(lambda: dispatch(backup.destination))
                return run
        except IntegrityError:
            continue  # another one came first: take his


def dispatch(server: Server) -> list[BackupRun]:
    """Let waiting runs of this backup server begin, as many as it takes at once, the longest waiting first."""
    begun = []
    with transaction.atomic():
        Server.objects.select_for_update(no_key=True).get(pk=server.pk)  # one at a time decides
        there = BackupRun.objects.filter(backup__destination=server)
        running = set(there.filter(state=RunState.RUNNING).values_list("backup", flat=True))
        for run in there.filter(state=RunState.WAITING).select_related("backup").order_by("asked_at", "pk"):
            if len(running) >= settings.BACKUPS_AT_ONCE:
                break
            if run.backup_id in running:
                continue
            running.add(run.backup_id)
            run.state, run.started_at = RunState.RUNNING, timezone.now()
            run.job = watch(run)
            run.save(update_fields=["state", "started_at", "job"])
            begun.append(run)
    return begun


def watch(run: BackupRun) -> Job:
    """Start a job that begins the run or finds it again, and follows it to its end."""
    actor = Actor(run.owner, run.asked_by or "scheduler")
    title = _("Back up %s") % run.backup
    args, askers = {"backup_run": run.pk}, run.askers
    return start_job(actor, WORK, title, args, subject=run.backup, queue=QUEUE, retry=AGAIN, askers=askers)


def stop_run(actor: Actor, run: BackupRun) -> None:
    """Stop it: at once while it waits; else its job ends what runs on the backup server. Raises RunRefused."""
    check_right(actor, run)
    now = timezone.now()
    with transaction.atomic():
        asked = {"stop_asked_at": now, "stop_asked_by": actor.name}
        waiting = BackupRun.objects.filter(pk=run.pk, state=RunState.WAITING)
        ended = waiting.update(**asked, state=RunState.STOPPED, ended_at=now, code="stopped")
        if not ended and not BackupRun.objects.filter(pk=run.pk, state=RunState.RUNNING).update(**asked):
            raise RunRefused(_("This run has ended already."))
        record(actor, "backup.stop", run.backup, after={"run": run.pk})
        run.refresh_from_db()
        if run.job and not run.job.ended and not ended:
            try:
                stop_job(actor, run.job)
            except JobRefusedError:
                transaction.on_commit(lambda: look_after(run))  # it ended meanwhile: another one sees to it


def look_after(run: BackupRun) -> None:
    """Give a running run whose job has ended another job; one that could not even be begun has failed."""
    with transaction.atomic():
        fresh = BackupRun.objects.select_for_update().filter(pk=run.pk, state=RunState.RUNNING).first()
        if fresh is None or (fresh.job and not fresh.job.ended):
            return
        failed = fresh.job if fresh.job and fresh.job.state == JobState.FAILED else None
        if failed and not fresh.begun:
            end_run(fresh, RunState.FAILED, NO_RIGHT if failed.refused else "begin", failed.error)
        elif not failed or failed.ended_at is None or timezone.now() - failed.ended_at > LOOK_AGAIN_AFTER:
            fresh.job = watch(fresh)
            fresh.save(update_fields=["job"])


def try_again(old: BackupRun) -> BackupRun | None:
    """Ask once more for a run whose time for that has come, in the name of who asked; None if it is not to be now."""
    with transaction.atomic():
        due = BackupRun.objects.select_for_update(of=("self",)).filter(again_at__lte=timezone.now())
        run = due.select_related("backup__destination", "owner").filter(pk=old.pk).first()
        if run is None or run.backup.runs.open().exists() or _others_turn(run):
            return None
        levels = [Level(level) for level in run.levels]
        again = ask_run(Actor.system("scheduler"), run.backup, Why.AGAIN, levels, accepts=run.accepts)
        again.attempt = run.attempt + 1
        again.asked_by, again.owner, again.askers = run.asked_by, run.owner, run.askers
        again.save(update_fields=["attempt", "asked_by", "owner", "askers"])
        return again


def _others_turn(run: BackupRun) -> bool:
    """Whether another backup of its set runs, in a set that runs one after the other."""
    sets = BackupSetRun.objects.filter(state=SetState.RUNNING, set__side_by_side=False, parts__run=run)
    return BackupSetPart.objects.filter(set_run__in=sets, run__state__in=OPEN).exists()


def do_not_try_again(actor: Actor, run: BackupRun) -> None:
    """Give a run up that was to be tried again. Raises RunRefused."""
    check_right(actor, run)
    with transaction.atomic():
        if not give_up(run):
            raise RunRefused(_("This run is not to be tried again any more."))
        record(actor, "backup.give_up", run.backup, after={"run": run.pk})


def accept_run(actor: Actor, run: BackupRun) -> BackupRun:
    """Let a held run pass: another run, for which this hold is accepted and what is found is the new normal.

    Raises RunRefused when it is not held any more, or for something that nobody can accept.
    """
    with transaction.atomic():
        run = BackupRun.objects.select_for_update().select_related("backup").get(pk=run.pk)
        if (
            not run.can_accept
            or run.backup.runs.filter(asked_at__gt=run.asked_at).exclude(state__in=OPEN).exists()
        ):
            raise RunRefused(_("This run is not held any more, or it cannot be released."))
        record(
            actor,
            "backup.accept",
            run.backup,
            after={"run": run.pk, "accepted": run.code, "found": run.error},
        )
        levels = [Level(level) for level in run.levels]
        return ask_run(actor, run.backup, Why.ACCEPTED, levels, accepts=[*run.accepts, run.code])


def job_ended(job: Job) -> None:
    """When a run's job was stopped, or failed before it began, and the run has not ended, that is seen to at once."""
    if job.work == WORK and job.refused:
        for refused in BackupRun.objects.filter(job=job, state=RunState.RUNNING, begun=False):
            look_after(refused)
    if job.work == WORK and job.stop_asked_at:
        running = BackupRun.objects.filter(job=job, state=RunState.RUNNING).first()
        if running is not None:
            asked = {"stop_asked_at": job.stop_asked_at, "stop_asked_by": job.stop_asked_by}
            BackupRun.objects.filter(pk=running.pk, stop_asked_at=None).update(**asked)
            look_after(running)
