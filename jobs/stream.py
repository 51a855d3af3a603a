"""Jobs as they go, by server-sent events: for all watchers in a process, one query every half second.

Nothing here keeps a database connection while it waits. Events: `lines` (their id is the last line's, so that
a browser that comes back goes on from there), `state`, and `end`, after which nobody need come back.
"""

import asyncio
import json
import logging
import time
from collections import Counter
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from datetime import datetime, tzinfo
from functools import partial
from typing import Any
from weakref import WeakKeyDictionary

from django.db import DatabaseError

from accounts.streams import in_reader
from jobs.models import Job, JobLine, JobStep
from pages.templatetags.pages_tags import colour_of

log = logging.getLogger(__name__)

LOOK_EVERY = 0.5  # seconds
COMMENT_EVERY = 15.0  # seconds: proxies close what is silent for longer
LONGEST = 600.0  # seconds: then the watcher comes back, and is asked again whether he may
MOST_LINES = 500  # of one event
MOST_STREAMS = 40  # that one person may have open in one web process


@dataclass(frozen=True)
class Seen:
    """What a look found of one job."""

    revision: int
    state: dict[str, Any]
    lines: list[dict[str, Any]]


@dataclass(eq=False)
class Watch:
    """One watcher of one job, and how far he is."""

    job_id: int
    after: int  # the last line he has
    revision: int = -1
    news: "asyncio.Queue[Seen | None]" = field(default_factory=asyncio.Queue)


class Hub:
    """All watches of one event loop."""

    def __init__(self) -> None:
        self._watches: set[Watch] = set()
        self._task: asyncio.Task[None] | None = None

    def join(self, watch: Watch) -> None:
        """Tell this watch what is new until it leaves."""
        self._watches.add(watch)
        if self._task is None or self._task.done():
            self._task = asyncio.get_running_loop().create_task(self._look_on())

    def leave(self, watch: Watch) -> None:
        """No more for this one."""
        self._watches.discard(watch)

    async def _look_on(self) -> None:
        while self._watches:
            began = time.monotonic()
            # Who has not taken what he got is left out: nothing piles up for a slow one.
            ready = [watch for watch in self._watches if watch.news.empty()]
            try:
                found = await in_reader(partial(look, _known_by(ready))) if ready else {}
            except DatabaseError:
                log.warning("Could not look for news of jobs; trying again", exc_info=True)
                found = {}
            for watch in ready:
                if watch.job_id in found:
                    watch.news.put_nowait(found[watch.job_id])
            await asyncio.sleep(max(0.05, LOOK_EVERY - (time.monotonic() - began)))


_hubs: "WeakKeyDictionary[asyncio.AbstractEventLoop, Hub]" = WeakKeyDictionary()


def _known_by(watches: list[Watch]) -> dict[int, tuple[int, int]]:
    """For each job, what even the one who is furthest behind has."""
    known: dict[int, tuple[int, int]] = {}
    for watch in watches:
        revision, after = known.get(watch.job_id, (watch.revision, watch.after))
        known[watch.job_id] = (min(revision, watch.revision), min(after, watch.after))
    return known


def look(known: dict[int, tuple[int, int]]) -> dict[int, Seen | None]:
    """What is new of these jobs, given the revision and last line that are known; None for one that is gone.

    One query while nothing changes.
    """
    revisions = dict(Job.objects.filter(pk__in=known).values_list("pk", "revision"))
    found: dict[int, Seen | None] = {}
    for job_id, (revision, after) in known.items():
        if job_id not in revisions:
            found[job_id] = None
        elif revisions[job_id] != revision:
            found[job_id] = see(job_id, after)
    return found


def see(job_id: int, after: int) -> Seen | None:
    """A job's state and its lines after the given one; not all of them, if they are many."""
    job = Job.objects.filter(pk=job_id).first()  # before its lines: an ended job has all of its own
    if job is None:
        return None
    rows = JobLine.objects.filter(job_id=job_id, pk__gt=after).order_by("pk").select_related("step")
    lines = [line_json(line) for line in rows[: MOST_LINES + 1]]
    more = len(lines) > MOST_LINES
    # An older revision makes the next look come back for the rest.
    return Seen(
        -1 if more else job.revision, state_json(job, ended=job.ended and not more), lines[:MOST_LINES]
    )


def line_json(line: JobLine) -> dict[str, Any]:
    """A log line for a watcher."""
    step = line.step.number if line.step else None
    return {"id": line.pk, "at": line.at.isoformat(), "stream": line.stream, "step": step, "text": line.text}


def state_json(job: Job, *, ended: bool | None = None) -> dict[str, Any]:
    """A job's state, progress and steps for a watcher."""
    steps = list(JobStep.objects.filter(job=job))
    return {
        "state": job.state,
        "label": str(job.get_state_display()),
        "colour": colour_of(job.state),
        "stopping": bool(job.stop_asked_at) and not job.ended,
        "percent": job.percent,
        "error": job.error,
        "ended": job.ended if ended is None else ended,
        "step": current_step(steps),
        "steps": [
            {
                "number": step.number,
                "name": step.name,
                "state": step.state,
                "label": str(step.get_state_display()),
                "colour": colour_of(step.state),
            }
            for step in steps
        ],
    }


def current_step(steps: list[JobStep]) -> str:
    """The name of the innermost step that runs."""
    return next((step.name for step in reversed(steps) if step.state == "running"), "")


_open: Counter[int] = Counter()


def full(person: int) -> bool:
    """Whether this person has as many streams open as anybody may."""
    return _open[person] >= MOST_STREAMS


async def events(job_id: int, after: int, zone: tzinfo, person: int = 0) -> AsyncIterator[bytes]:
    """The event stream of one job from the line after the given one until it ends; clocks are of `zone`.

    `person` is whose it is; of too many that were asked for at once, the rest ends without any event.
    """
    if full(person):
        return
    _open[person] += 1
    try:
        async for event in _events(job_id, after, zone):
            yield event
    finally:
        _open[person] -= 1
        if not _open[person]:
            del _open[person]


async def _events(job_id: int, after: int, zone: tzinfo) -> AsyncIterator[bytes]:
    watch = Watch(job_id, after)
    hub = _hubs.setdefault(asyncio.get_running_loop(), Hub())
    until = time.monotonic() + LONGEST
    yield b"retry: 2000\n\n"
    hub.join(watch)
    try:
        while time.monotonic() < until:
            try:
                seen = await asyncio.wait_for(watch.news.get(), COMMENT_EVERY)
            except TimeoutError:
                yield b": still here\n\n"
                continue
            if seen is None:
                yield _event("end", {})
                return
            watch.revision = seen.revision
            lines = [{**line, "clock": _clock(line, zone)} for line in seen.lines if line["id"] > watch.after]
            if lines:
                watch.after = lines[-1]["id"]
                yield _event("lines", lines, watch.after)
            yield _event("state", seen.state)
            if seen.state["ended"]:
                yield _event("end", {})
                return
    finally:
        hub.leave(watch)


def _clock(line: dict[str, Any], zone: tzinfo) -> str:
    return datetime.fromisoformat(line["at"]).astimezone(zone).strftime("%H:%M:%S")


def _event(name: str, data: Any, number: int | None = None) -> bytes:
    head = f"id: {number}\n" if number else ""
    return f"{head}event: {name}\ndata: {json.dumps(data, separators=(',', ':'))}\n\n".encode()
