"""The pulse: one thread a process that saves what its runs tell, beats their hearts, hears of Stop."""

import logging
import threading
import time
from collections.abc import Callable
from datetime import timedelta

from django.db import Error, close_old_connections, connection, transaction
from django.db.models import F
from django.utils import timezone

from jobs.models import Job, JobLine, JobState, JobStep, WorkerState
from jobs.run import News, Run
from jobs.service_manager import tell

log = logging.getLogger(__name__)

SAVE_EVERY = 0.25  # seconds
LOOK_FOR_STOP_EVERY = 0.5
BEAT_EVERY = 15.0
DEAD_AFTER = 60.0  # without a beat


def save(run: Run) -> None:
    """Save what the run has told. Raises django.db.Error, with nothing lost; another call tries again.

    Not DatabaseError alone: where the server has closed the connection, it is InterfaceError.
    """
    with run.saving:
        news = run.take_news()
        if not news or run.lost:
            return
        try:
            with transaction.atomic():
                if not _touch_job(run, news):
                    run.lost = True
                    return
                ids = _save_steps(run, news)
                JobLine.objects.bulk_create(
                    JobLine(
                        job_id=run.job.pk,
                        step_id=ids.get(line.step.number, line.step.pk) if line.step else None,
                        at=line.at,
                        stream=line.stream,
                        text=line.text,
                    )
                    for line in news.lines
                )
        except Error:
            run.give_back(news)
            raise
        for step in news.steps:
            step.pk = step.pk or ids.get(step.number)


def _touch_job(run: Run, news: News) -> int:
    fields: dict[str, object] = {"revision": F("revision") + 1, "heartbeat_at": timezone.now()}
    if news.progress:
        fields["done_units"], fields["total_units"] = news.progress
    ours = Job.objects.filter(pk=run.job.pk, state=JobState.RUNNING, attempt=run.attempt)
    return ours.update(**fields)


def _save_steps(run: Run, news: News) -> dict[int, int]:
    ids: dict[int, int] = {}
    for step in news.steps:
        pk = step.pk or ids.get(step.number)
        if pk:
            JobStep.objects.filter(pk=pk).update(state=step.state, ended_at=step.ended_at)
        else:
            row = JobStep.objects.create(
                job_id=run.job.pk,
                number=step.number,
                name=step.name,
                state=step.state,
                started_at=step.started_at,
                ended_at=step.ended_at,
            )
            ids[step.number] = row.pk
    return ids


class Pulse:
    """The runs of this process, and the thread that keeps them known to the world."""

    def __init__(self) -> None:
        self._runs: set[Run] = set()
        self._lock = threading.Lock()
        self._wake = threading.Event()
        self._thread: threading.Thread | None = None
        self._end = False
        self.ending = False
        self.worker = ""  # our name in WorkerState, if we are a worker
        self.queues = ""

    def add(self, run: Run) -> None:
        """Look after this run from now on."""
        with self._lock:
            self._runs.add(run)
        self.start()
        self._wake.set()
        if self.ending:
            self.interrupt()

    def remove(self, run: Run) -> None:
        """The run has ended and is saved."""
        with self._lock:
            self._runs.discard(run)

    def runs(self) -> list[Run]:
        """The runs of this process."""
        with self._lock:
            return list(self._runs)

    def start(self, worker: str = "", queues: str = "") -> None:
        """Start the thread if it does not run; a worker gives its name and is then kept in WorkerState."""
        with self._lock:
            if worker:
                self.worker, self.queues = worker, queues
            if self._thread is None or not self._thread.is_alive():
                self._end = False
                self._thread = threading.Thread(target=self._beat_on, name="pulse", daemon=True)
                self._thread.start()
        self._wake.set()

    def interrupt(self) -> None:
        """The process is about to end: ask every run to stop."""
        self.ending = True
        for run in self.runs():
            run.interrupted = True
            _tell_to_stop(run)

    def stop(self) -> None:
        """End the thread, and this worker's row."""
        self._end = True
        self._wake.set()
        thread = self._thread
        if thread is not None:
            thread.join(5)
        if self.worker:
            _try(lambda: WorkerState.objects.filter(name=self.worker).delete())

    def _beat_on(self) -> None:
        next_look = next_beat = 0.0
        while self._is_needed():
            now = time.monotonic()
            runs = self.runs()
            for run in runs:
                _try(lambda run=run: save(run))  # type: ignore[misc]
            if runs and now >= next_look:
                next_look = now + LOOK_FOR_STOP_EVERY
                _try(lambda runs=runs: _look_for_stop(runs))  # type: ignore[misc]
            if now >= next_beat:
                next_beat = now + BEAT_EVERY
                tell("WATCHDOG=1")
                _try(lambda runs=runs: self._beat(runs))  # type: ignore[misc]
            if not runs:
                close_old_connections()
            self._wake.wait(SAVE_EVERY if runs else max(0.05, next_beat - time.monotonic()))
            self._wake.clear()
        connection.close()

    def _is_needed(self) -> bool:
        with self._lock:
            needed = not self._end and bool(self._runs or self.worker)
            if not needed:
                self._thread = None  # under the lock: whoever adds a run now starts another one
            return needed

    def _beat(self, runs: list[Run]) -> None:
        now = timezone.now()
        for run in runs:
            Job.objects.filter(pk=run.job.pk, state=JobState.RUNNING, attempt=run.attempt).update(
                heartbeat_at=now
            )
        if self.worker:
            WorkerState.objects.update_or_create(
                name=self.worker, defaults={"heartbeat_at": now, "queues": self.queues}
            )
            WorkerState.objects.filter(heartbeat_at__lt=now - timedelta(days=1)).delete()


def _look_for_stop(runs: list[Run]) -> None:
    rows = Job.objects.filter(pk__in=[run.job.pk for run in runs])
    now = {row[0]: row[1:] for row in rows.values_list("pk", "attempt", "state", "stop_asked_at")}
    for run in runs:
        attempt, state, stop_asked_at = now.get(run.job.pk, (0, "", None))
        if attempt != run.attempt or state != JobState.RUNNING:
            run.lost = True
        if run.lost or stop_asked_at:
            _tell_to_stop(run)


def _tell_to_stop(run: Run) -> None:
    for callback in run.ask_stop():
        # Each in a thread of its own: one that hangs must not stop the hearts of the other runs.
        threading.Thread(target=callback, name=f"stop-job-{run.job.pk}", daemon=True).start()


def _try(act: Callable[[], object]) -> None:
    try:
        act()
    except Error:
        log.warning("The pulse could not reach the database; it tries again", exc_info=True)
        connection.close()


pulse = Pulse()
