"""Whether workers and scheduler live."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta

from django.conf import settings
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
    unserved: tuple[str, ...]  # queues of which no worker lives
    worker_seen_at: datetime | None
    scheduler_seen_at: datetime | None

    @property
    def worker_ok(self) -> bool:
        """Whether jobs are taken up, of every queue."""
        return not self.unserved

    @property
    def worker_words(self) -> str:
        """What is wrong with the workers; empty if nothing is."""
        if self.worker_ok:
            return ""
        if not self.workers:
            return _("No worker lives: jobs wait.")
        return _("No worker of the queue “%s” lives: its jobs wait.") % ", ".join(self.unserved)

    @property
    def scheduler_ok(self) -> bool:
        """Whether the schedule runs."""
        return _is_fresh(self.scheduler_seen_at)

    @property
    def scheduler_words(self) -> str:
        """Why nothing runs by itself; empty if it does. The scheduler is heard of by a worker alone."""
        if self.scheduler_ok:
            return ""
        if settings.CELERY_TASK_DEFAULT_QUEUE in self.unserved:
            return _("Nothing runs by itself until a worker takes up what the scheduler says.")
        return _("The scheduler is silent, or the broker hands nothing on: nothing runs by itself.")


def facts() -> Facts:
    """The last signs of life of workers and scheduler."""
    since = timezone.now() - timedelta(seconds=DEAD_AFTER)
    ticks = ScheduleState.objects.filter(name=TICK_NAME).aggregate(last=Max("last_ended_at"))
    living = list(WorkerState.objects.filter(heartbeat_at__gte=since).values_list("queues", flat=True))
    served = {queue for queues in living for queue in queues.split(",")}
    return Facts(
        workers=len(living),
        unserved=tuple(queue for queue in settings.JOBS_SLOTS if queue not in served),
        worker_seen_at=WorkerState.objects.aggregate(last=Max("heartbeat_at"))["last"],
        scheduler_seen_at=ticks["last"],
    )


def health() -> Iterable[Health]:
    """For the roof's health page; the web process serves without either."""
    now = facts()
    yield Health("worker", now.worker_ok, now.worker_words, serving=False)
    yield Health("scheduler", now.scheduler_ok, now.scheduler_words, serving=False)


def _is_fresh(seen: datetime | None) -> bool:
    return seen is not None and (timezone.now() - seen).total_seconds() <= DEAD_AFTER
