"""What the pages of plans show of runs: the one place that reads them for lists, cards and panels."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from itertools import pairwise
from typing import Any

from django.db.models import Q
from django.utils import timezone
from django.utils.translation import gettext as _

from backups.earlier import elsewhere
from backups.models import Backup, BackupRun, BackupState, Level, RunState
from backups.services.runs import here_and_now, rotated_of
from backups.standing import Ended, Facts, Standing, late_levels, next_run, standing
from backups.verifying import Verified, verified

NOT_YET = Verified()
# A run that somebody stopped, or that waits, says nothing about the backup.
_ENDED = {
    RunState.DONE: Ended.GOOD,
    RunState.HELD: Ended.HELD,
    RunState.FAILED: Ended.FAILED,
    RunState.LOST: Ended.FAILED,
    RunState.INCOMPLETE: Ended.FAILED,
}


@dataclass(frozen=True)
class Copy:
    """One copy that exists now on the backup server: its name as "daily.0", and when it was made.

    `of`: what it is of, where the backup had another source then.
    """

    name: str
    made_at: datetime
    of: str = ""

    @property
    def seconds(self) -> int:
        """When it was made in seconds since 1970, which is how URLs name it."""
        return int(self.made_at.timestamp())


@dataclass(frozen=True)
class Summary:
    """How one backup stands, and its last run in figures; None where nothing is known."""

    standing: Standing
    late: tuple[Level, ...]
    next_run: datetime | None
    last: BackupRun | None = None  # the last run that ended
    running: BackupRun | None = None  # the one that runs now
    size: int | None = None  # bytes of the source, at the last good run
    copies: tuple[Copy, ...] = ()
    again: BackupRun | None = None  # one that could not come about, and is tried again
    proved: Verified = NOT_YET
    unproved: bool = False  # its copies are not proved to be restorable, though they should be

    @property
    def red(self) -> bool:
        """Whether somebody should look at it: at its runs, or at what became of its copies."""
        return self.standing.red or self.unproved

    @property
    def took(self) -> str:
        """How long the last run took, in words."""
        return self.last.took if self.last else ""

    @property
    def why(self) -> str:
        """Why the last run did not end well."""
        if self.last is None:
            return ""
        parts = [self.last.hold and f"{self.last.hold}.", self.last.error.strip()]
        return " ".join(part for part in parts if part) or _("Its output says more.")

    @property
    def due(self) -> bool:
        """Whether the next run should have begun."""
        return self.next_run is not None and self.next_run <= timezone.now()

    @property
    def late_words(self) -> str:
        """The levels that are late, in words."""
        return ", ".join(str(level.label) for level in self.late)

    @property
    def figures(self) -> dict[str, Any]:
        """The last run for programs."""
        last = self.last
        return {
            "size": self.size,
            "copies": len(self.copies),
            "again_at": self.again.again_at if self.again else None,
            "last_run": last
            and {
                "id": last.pk,
                "state": last.state,
                "ended_at": last.ended_at,
                "seconds": seconds_of(last),
                "files": last.files,
                "bytes": last.bytes,
                "bytes_transferred": last.bytes_transferred,
                "error": last.error,
            },
        }


def seconds_of(run: BackupRun) -> float | None:
    """How long a run that ended took."""
    if run.started_at is None or run.ended_at is None:
        return None
    return (run.ended_at - run.started_at).total_seconds()


def summaries(backups: Iterable[Backup], now: datetime | None = None) -> dict[int, Summary]:
    """The summary of each of these backups, by primary key; four queries."""
    now = now or here_and_now()
    rows = list(backups)
    ids = [row.pk for row in rows]
    states = {
        state.backup_id: state
        for state in BackupState.objects.filter(backup__in=ids).select_related("last").defer("last__output")
    }
    at_it = BackupRun.objects.filter(Q(state=RunState.RUNNING) | Q(again_at__isnull=False), backup__in=ids)
    runs = list(at_it.defer("output").order_by("pk"))
    running = {run.backup_id: run for run in runs if run.state == RunState.RUNNING}
    again = {run.backup_id: run for run in runs if run.again_at}
    found = {
        row.pk: _summary(row, states.get(row.pk), running.get(row.pk), again.get(row.pk), now) for row in rows
    }
    proved = verified(rows, now)
    return {
        row.pk: replace(found[row.pk], proved=proved[row.pk], unproved=row.active and proved[row.pk].red)
        for row in rows
    }


def _copies(backup: Backup, state: BackupState) -> Iterator[Copy]:
    for name, at in state.copies:
        yield Copy(name, datetime.fromtimestamp(at, UTC), elsewhere(backup, state, at))


def _summary(
    backup: Backup,
    state: BackupState | None,
    running: BackupRun | None,
    again: BackupRun | None,
    now: datetime,
) -> Summary:
    last = state.last if state else None
    ended = _ENDED.get(RunState(last.state), Ended.NOT_YET) if last else Ended.NOT_YET
    if running:
        ended = Ended.RUNNING
    good = {Level(level): moment for level, moment in rotated_of(state).items()} if state else {}
    copies = tuple(_copies(backup, state)) if state else ()
    facts = Facts(
        backup.active,
        backup.created_at,
        tuple(backup.keeps),
        good,
        ended,
        _can_rotate(backup, {copy.name for copy in copies}),
        last.asked_at if last else None,
    )
    late = tuple(late_levels(facts, now)) if facts.active else ()
    size = state.good_bytes if state else None
    next_ = again.again_at if again else next_run(facts, now)
    return Summary(standing(facts, now), late, next_, last, running, size, copies, again)


def _can_rotate(backup: Backup, names: set[str]) -> frozenset[Level]:
    """The levels for which the level below has its last copy, which they take over."""
    kept = list(backup.keeps.items())
    pairs = pairwise(kept)
    return frozenset(above for (below, count), (above, _) in pairs if f"{below.value}.{count - 1}" in names)
