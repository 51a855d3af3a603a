"""Whether workers and scheduler live."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta

from django.db.models import Max
from django.utils import timezone
from django.utils.translation import gettext as _

from jobs.models import ScheduleState, WorkerState
from jobs.pulse import DEAD_AFTER
from jobs.upkeep import TICK_NAME
from pages.registry import Health


@dataclass(frozen=True)
class Facts:
    """The last signs of life; None for never."""

    workers: int  # that live now
    worker_seen_at: datetime | None
    scheduler_seen_at: datetime | None

    @property
    def worker_ok(self) -> bool:
        """Whether jobs are taken up."""
        return self.workers > 0

    @property
    def scheduler_ok(self) -> bool:
        """Whether the schedule runs."""
        return _is_fresh(self.scheduler_seen_at)


def facts() -> Facts:
    """The last signs of life of workers and scheduler."""
    since = timezone.now() - timedelta(seconds=DEAD_AFTER)
    ticks = ScheduleState.objects.filter(name=TICK_NAME).aggregate(last=Max("last_ended_at"))
    return Facts(
        workers=WorkerState.objects.filter(heartbeat_at__gte=since).count(),
        worker_seen_at=WorkerState.objects.aggregate(last=Max("heartbeat_at"))["last"],
        scheduler_seen_at=ticks["last"],
    )


def health() -> Iterable[Health]:
    """For the roof's health page; the web process serves without either."""
    now = facts()
    yield Health(
        "worker", now.worker_ok, "" if now.worker_ok else _("No worker lives: jobs wait."), serving=False
    )
    yield Health(
        "scheduler",
        now.scheduler_ok,
        "" if now.scheduler_ok else _("The scheduler is silent: nothing runs by itself."),
        serving=False,
    )


def _is_fresh(seen: datetime | None) -> bool:
    return seen is not None and (timezone.now() - seen).total_seconds() <= DEAD_AFTER
