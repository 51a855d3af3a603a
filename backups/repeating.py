"""Which runs that came to nothing are tried again by themselves, and when; another run takes the place of that."""

from datetime import datetime, timedelta

from django.utils import timezone

from backups.models import BackupRun, BackupSetPart, Level, RunState, SetState
from backups.models.runs import MOST_TRIES, WAITS

# The source, the backup server or the way between them could not be reached, or went away in the middle.
PASSING = frozenset(
    {"connection", "hung", "shutdown", "died", "rebooted", "away", "no_config", "busy"}
)  # as the runner calls them


def again_at(run: BackupRun, state: RunState, code: str) -> datetime | None:
    """When a run that ends like this is tried again; None: it is not.

    Not after MOST_TRIES, nor later than the rhythm of its lowest level after the first of them began, nor where
    another run waits for its turn already.
    """
    if state not in (RunState.FAILED, RunState.LOST) or code not in PASSING or run.stop_asked_at:
        return None
    if run.attempt >= MOST_TRIES or run.backup.runs.filter(state=RunState.WAITING).exists():
        return None
    earlier = run.backup.runs.filter(attempt=1, asked_at__lte=run.asked_at).order_by("-asked_at", "-pk")
    first = earlier.values_list("asked_at", flat=True).first() or run.asked_at
    at = timezone.now() + timedelta(minutes=WAITS[run.attempt - 1])
    return at if at < first + run.backup.lowest.every else None


def take_over(run: BackupRun) -> None:
    """Put this run in the place of one that was to be tried again: its levels and its part of a set are this one's."""
    waiting = BackupRun.objects.filter(backup=run.backup, again_at__isnull=False).exclude(pk=run.pk)
    for old in waiting:
        run.levels = in_order([*run.levels, *old.levels])
        BackupSetPart.objects.filter(run=old, set_run__state=SetState.RUNNING).update(run=run)
    waiting.update(again_at=None)


def in_order(levels: list[str]) -> list[str]:
    """Each level once, the highest first."""
    return [level.value for level in reversed(Level) if level.value in set(levels)]
