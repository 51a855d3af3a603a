"""What runs by itself, every so many seconds: rooms register it in their `apps.py`."""

import logging
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta

from django.db.models import Q
from django.utils import timezone

from accounts.actors import Actor
from jobs.models import ScheduleState
from jobs.services import start_job

log = logging.getLogger(__name__)

TICK = 15  # seconds between two looks; nothing runs more often
STUCK_AFTER = 600  # seconds: whoever ran it that long ago and did not end has died


@dataclass(frozen=True)
class Scheduled:
    """A thing of the schedule: a quick function, or the name of a work that becomes a job."""

    name: str
    seconds: float
    what: Callable[[], object] | str
    title: str


_schedule: dict[str, Scheduled] = {}


def every(name: str, seconds: float, what: Callable[[], object] | str, title: object = "") -> None:
    """Run `what` every so many seconds (at least 15): a function of at most some seconds, or a work's name.

    A work gets no args, and `title` names its jobs; if the last one still waits, no second one is added.
    """
    if seconds < TICK:
        raise ValueError(f"{name}: the scheduler looks every {TICK} seconds.")
    _schedule[name] = Scheduled(name, seconds, what, str(title) or name)


def scheduled() -> list[Scheduled]:
    """All that is registered."""
    return list(_schedule.values())


def run_due() -> list[str]:
    """Run what is due, each thing in one process only; returns the names."""
    ran = []
    states = {state.name: state for state in ScheduleState.objects.all()}
    for item in scheduled():
        state = states.get(item.name)
        now = timezone.now()
        if state is None:
            ScheduleState.objects.get_or_create(name=item.name)
        elif state.last_started_at and state.last_started_at > _due_before(item, now):
            continue
        if claim(item, now):
            _run(item)
            ran.append(item.name)
    return ran


def claim(item: Scheduled, now: datetime) -> bool:
    """Whether this process shall run it now. Of several who ask, one gets True."""
    is_due = Q(last_started_at=None) | Q(last_started_at__lte=_due_before(item, now))
    idle = Q(running_since=None) | Q(
        running_since__lt=now - timedelta(seconds=max(STUCK_AFTER, item.seconds))
    )
    rows = ScheduleState.objects.filter(is_due, idle, name=item.name)
    return bool(rows.update(last_started_at=now, running_since=now))


def _due_before(item: Scheduled, now: datetime) -> datetime:
    # The tick comes a little early or late: half a tick early counts, or every second one would be missed.
    return now - timedelta(seconds=item.seconds - TICK / 2)


def _run(item: Scheduled) -> None:
    error = ""
    try:
        if isinstance(item.what, str):
            start_job(Actor.system("scheduler"), item.what, item.title, once=True)
        else:
            item.what()
    except Exception as failure:  # a function of any room; the rest of the schedule goes on
        log.exception("%s of the schedule failed", item.name)
        error = type(failure).__name__
    ScheduleState.objects.filter(name=item.name).update(
        last_ended_at=timezone.now(), running_since=None, error=error
    )
