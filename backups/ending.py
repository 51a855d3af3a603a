"""What a run's end changes: its row, what is remembered of the backup, and who waits for it."""

from datetime import UTC, datetime, timedelta
from typing import Any

from django.db import transaction
from django.db.models import QuerySet
from django.utils import timezone

from accounts.actors import Actor
from backups.earlier import note_copy
from backups.models import BackupRun, BackupState, RunState
from backups.repeating import again_at
from backups.runner import Look
from backups.telling import tell_run
from jobs.models import Job
from jobs.services import acknowledge

SKEW = timedelta(minutes=5)  # by which a backup server's clock may differ from ours
MOST_SECONDS = 366 * 24 * 3600
LAST_SECOND = 253_402_300_800  # the year 10000, which datetime has not
NUMBERS = (
    *("files", "files_transferred", "bytes", "bytes_transferred"),
    *("grown_bytes", "grown_inodes", "free_bytes", "free_inodes"),
)


def end_run(
    run: BackupRun,
    state: RunState,
    code: str = "",
    words: str = "",
    *,
    look: Look | None = None,
    output: str = "",
) -> bool:
    """Write down how a run ended and what was learnt from it; False if somebody else has already.

    Of one that is tried again nobody is told, and the backup stands as it did: it counts when it is given up.
    """
    fields: dict[str, Any] = {"state": state, "code": code, "error": words, "output": output, "live": {}}
    fields["ended_at"] = timezone.now()
    if look is not None:
        fields |= _times(run, look)
        fields |= {name: look.number(name) for name in NUMBERS}
        fields["exit_code"] = look.number("rsync_code")
        fields["rotated"] = list(look.lists.get("rotated", ()))
    with transaction.atomic():
        fields["again_at"] = again_at(run, state, code)
        if not BackupRun.objects.filter(pk=run.pk, state=RunState.RUNNING).update(**fields):
            return False
        run.refresh_from_db()
        remember(run, look)
        if run.again_at is None:
            tell_run(run)
        transaction.on_commit(lambda: _go_on(run))
    return True


def give_up(run: BackupRun) -> bool:
    """A run that was to be tried again is not: it counts as what it is, and is told; False if it was not to be."""
    with transaction.atomic():
        if not BackupRun.objects.filter(pk=run.pk, again_at__isnull=False).update(again_at=None):
            return False
        run.refresh_from_db()
        remember(run, None)
        tell_run(run)
        transaction.on_commit(lambda: _go_on(run))
    return True


def remember(run: BackupRun, look: Look | None) -> None:
    """Keep what the next run needs to know. A copy that was rotated is remembered however the run ended."""
    state = BackupState.objects.select_for_update().get_or_create(backup=run.backup)[0]
    if run.again_at is None:
        state.last = run
    begun = run.started_at or run.asked_at
    state.rotated |= {level: begun.isoformat() for level in run.rotated}
    if look is not None:
        _remember_places(state, look)
        if copies := look.lists.get("copy"):
            state.copies = [[name, int(at)] for name, at in map(_copy, copies) if at]
            if run.backup.lowest.value in run.rotated:
                note_copy(state, run, whole=run.state == RunState.DONE)
    if run.state == RunState.DONE and run.copies:
        state.good_at, state.good_files, state.good_bytes = run.ended_at, run.files, run.bytes
        need_no_look(run.backup.runs.all())
    state.save()


def need_no_look(*done: QuerySet[Any]) -> None:
    """What failed of these runs, restores or verifications needs nobody's attention any more."""
    for rows in done:
        jobs = Job.objects.filter(pk__in=rows.values("job")).unacknowledged()
        acknowledge(Actor.system("backups"), jobs)


def _remember_places(state: BackupState, look: Look) -> None:
    # A destination is remembered as soon as it carries the marker, a source when its copy was good.
    if place := look.facts.get("destination_place"):
        state.destination_place = place
    place = look.facts.get("source_place")
    if place and look.facts.get("state") in {"done", "incomplete"}:
        state.source_place = place


def _times(run: BackupRun, look: Look) -> dict[str, datetime]:
    """When it began and ended by the backup server's clock, if that can be so; its duration is of no clock."""
    now, asked = timezone.now(), run.started_at or run.asked_at
    began, ended, took = _time(look, "started"), _time(look, "ended"), look.number("took")
    if began is None or not asked - SKEW < began < now + SKEW:
        began = asked
    if took is not None and 0 <= took < MOST_SECONDS:
        ended = began + timedelta(seconds=took)
    elif ended is None or not began <= ended < now + SKEW:
        ended = now
    return {"started_at": began, "ended_at": max(began, ended)}


def _time(look: Look, name: str) -> datetime | None:
    seconds = look.number(name)
    return datetime.fromtimestamp(seconds, UTC) if seconds and 0 < seconds < LAST_SECOND else None


def _copy(text: str) -> tuple[str, str]:
    """A copy's name and when it was made; no time where the runner's line has none."""
    name, _space, at = text.partition(" ")
    return name[:200], at if at.isascii() and at.isdecimal() and len(at) < 13 else ""


def _go_on(run: BackupRun) -> None:
    from backups.services.runs import dispatch
    from backups.services.sets import run_ended

    run_ended(run)
    dispatch(run.backup.destination)
