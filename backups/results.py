"""What the pages of plans show of runs: the one place that reads them for lists, cards and panels."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.utils import timezone

from backups.models import Backup, Level
from backups.standing import Facts, Standing, late_levels, next_run, standing


@dataclass(frozen=True)
class Summary:
    """How one backup stands, and its last run in figures; None where nothing is known."""

    standing: Standing
    late: tuple[Level, ...]
    next_run: datetime | None
    last: Any = None  # the last run that ended
    running: Any = None  # the one that runs now

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
        return {}


def summaries(backups: Iterable[Backup], now: datetime | None = None) -> dict[int, Summary]:
    """The summary of each of these backups, by primary key; a constant number of queries."""
    now = now or timezone.now()
    found = {}
    for backup in backups:
        facts = Facts(backup.active, backup.created_at, tuple(backup.keeps))
        found[backup.pk] = Summary(standing(facts, now), tuple(late_levels(facts, now)), next_run(facts))
    return found
