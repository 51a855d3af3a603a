"""Carries jobs out. The database is the queue: a message only says that it is worth a look."""

import json
import logging
import os
import random
import socket
import threading
import time
import traceback
from collections.abc import Callable
from datetime import datetime, timedelta
from functools import lru_cache

from django.conf import settings
from django.core.exceptions import ObjectDoesNotExist
from django.db import InterfaceError, OperationalError, connection, transaction
from django.db.models import Case, F, Max, QuerySet, Value, When
from django.utils import timezone
from django.utils.translation import gettext as _

from hosts import meter
from jobs import hooks, rights, works
from jobs.masking import Masker
from jobs.models import ENDED, Job, JobState, JobStep
from jobs.pulse import pulse, save
from jobs.run import Postponed, Run, Stopped
from jobs.services import LONGEST_COUNTDOWN, made_good, send

log = logging.getLogger("jobs")

DATABASE_AWAY = (OperationalError, InterfaceError)
LONGEST_AWAY = 1800.0  # seconds that an end waits to be written down
AGAIN_AFTER = 1.0  # seconds between two tries of that
_HURRIED = When(not_before__gt=F("started_at"), then=F("not_before"))  # by `hurry`, while it ran
MOST_BEGUN = 4  # times that a work begins anew because the database went away


@lru_cache(maxsize=1)
def worker_name() -> str:
    """This process among all workers, as no other one was ever called."""
    return f"{socket.gethostname()}:{os.getpid()}:{random.SystemRandom().randrange(16**6):06x}"


@lru_cache(maxsize=64)
def _slots(queue: str) -> threading.BoundedSemaphore:
    return threading.BoundedSemaphore(settings.JOBS_SLOTS.get(queue, 1))


def work_off(job_id: int) -> None:
    """Carry this job out if it still waits, then others of its queue, as far as we have a free slot."""
    queue = Job.objects.filter(pk=job_id).values_list("queue", flat=True).first()
    if queue is None:
        return
    slot = _slots(queue)
    job: Job | None = None
    while not pulse.ending and slot.acquire(blocking=False):
        try:
            job = claim(job_id) or claim_next(queue)
            while job:
                carry_out(job)
                job = None if pulse.ending else claim_next(queue)
        finally:
            slot.release()
        if not due(queue).exists():  # a message may have come while we held the last slot
            return


def due(queue: str) -> QuerySet[Job]:
    """Jobs of a queue that wait and may begin, the longest waiting first."""
    waiting = Job.objects.filter(queue=queue, state=JobState.WAITING, not_before__lte=timezone.now())
    return waiting.order_by("not_before", "pk")


def claim(job_id: int) -> Job | None:
    """The job, now ours and running; None if it does not wait (any more). Of several who ask, one gets it."""
    now = timezone.now()
    ours = Job.objects.filter(pk=job_id, state=JobState.WAITING, not_before__lte=now).update(
        state=JobState.RUNNING,
        worker=worker_name(),
        started_at=now,
        heartbeat_at=now,
        attempt=F("attempt") + 1,
        revision=F("revision") + 1,
        once_key="",
        error="",
    )
    return Job.objects.select_related("owner").get(pk=job_id) if ours else None


def claim_next(queue: str) -> Job | None:
    """The next job that waits in this queue, now ours; None if there is none."""
    while True:
        ids = list(due(queue).values_list("pk", flat=True)[:5])
        if not ids:
            return None
        for job_id in ids:
            job = claim(job_id)
            if job:
                return job


def carry_out(job: Job) -> None:
    """Run a claimed job's work to its end, whatever that is, and write that down."""
    last = JobStep.objects.filter(job=job).aggregate(last=Max("number"))["last"] or 0
    run = Run(job, Masker(json.loads(job.secrets) if job.secrets else ()), first_step=last + 1)
    pulse.add(run)
    try:
        with meter.metered() as outside:
            outcome, error = _work(run)
        _end(run, outcome, error, outside.seconds)
    finally:
        pulse.remove(run)


def _work(run: Run) -> tuple[JobState, BaseException | None]:
    try:
        work = works.get(run.job.work)
        rights.check(run.job)
        work.function(run, **run.job.args)
    except Stopped:
        return JobState.STOPPED, None
    except Postponed as later:
        return (JobState.STOPPED if run.stopping else JobState.WAITING), later
    except BaseException as error:  # noqa: BLE001 - its job fails, the worker goes on
        # A connection closed by Stop makes the work fail in its own words; it was stopped all the same.
        return (JobState.STOPPED if run.stopping else JobState.FAILED), error
    return JobState.DONE, None


def _end(run: Run, outcome: JobState, error: BaseException | None, outside_seconds: float = 0.0) -> None:
    job = run.job
    if run.lost:
        log.warning(
            "Job %s (%s): given up by others while we ran it; its end is not ours to write", job.pk, job
        )
        return
    fields: dict[str, object] = {"state": outcome, "error": ""}
    if error and outcome == JobState.FAILED:
        fields = _after_error(run, error)
    elif outcome == JobState.STOPPED and run.interrupted:
        fields = _after_interruption(job)
    elif isinstance(error, Postponed) and outcome == JobState.WAITING:
        later = timezone.now() + timedelta(seconds=error.seconds)
        fields["not_before"] = Case(_HURRIED, default=Value(later))
        outside_seconds += error.seconds
    fields["outside_seconds"] = F("outside_seconds") + outside_seconds
    run.finish()
    if fields["state"] in ENDED:
        fields |= {"ended_at": timezone.now(), "secrets": ""}
    if not _write_down(run, outcome, fields):
        return
    job.refresh_from_db()
    if job.ended:
        hooks.ended(job)
    elif isinstance(error, Postponed):
        _wait_on(job)


def _wait_on(job: Job) -> None:
    stopped = Job.objects.filter(pk=job.pk, state=JobState.WAITING).exclude(stop_asked_at=None)
    if stopped.update(state=JobState.STOPPED, ended_at=timezone.now(), secrets=""):
        job.refresh_from_db()
        hooks.ended(job)  # Stop came while we ended
        return
    seconds = max((job.not_before - timezone.now()).total_seconds(), 0.0)
    if seconds <= LONGEST_COUNTDOWN:
        send(job.pk, job.queue, seconds)


def _write_down(run: Run, outcome: JobState, fields: dict[str, object]) -> bool:
    """Save the end, whenever the database is back: what is done must not be done again. False if not ours."""
    until = time.monotonic() + LONGEST_AWAY
    while True:
        try:
            return _save_end(run, outcome, fields)
        except DATABASE_AWAY:
            if time.monotonic() > until:
                raise
            log.warning("Job %s (%s): its end cannot be saved yet; trying again", run.job.pk, run.job)
            connection.close()
            time.sleep(AGAIN_AFTER)


def _save_end(run: Run, outcome: JobState, fields: dict[str, object]) -> bool:
    save(run)
    ours = Job.objects.filter(pk=run.job.pk, state=JobState.RUNNING, attempt=run.attempt)
    with transaction.atomic():
        if not ours.update(**fields, revision=F("revision") + 1):
            return False
        steps = JobStep.objects.filter(job=run.job, state=JobState.RUNNING)
        steps.update(state=outcome, ended_at=timezone.now())
        if outcome == JobState.DONE:
            made_good(run.job)
    return True


def _after_error(run: Run, error: BaseException) -> dict[str, object]:
    job = run.job
    sentence = run.secrets.mask(sentence_of(error, job))
    details = "\n".join(
        run.secrets.mask(line) for line in "".join(traceback.format_exception(error)).split("\n")
    )
    log.log(
        logging.WARNING if works.is_expected(error) else logging.ERROR,
        "Job %s (%s), attempt %s, failed:\n%s", job.pk, job, job.attempt, details,
    )  # fmt: skip
    run.log(sentence, "err")
    if isinstance(error, DATABASE_AWAY) and _safe_to_repeat(job.work) and job.attempt < MOST_BEGUN:
        return {"state": JobState.WAITING, "not_before": timezone.now(), "error": sentence}
    when = next_try(job, error, timezone.now())
    if when:
        return {"state": JobState.WAITING, "not_before": when, "error": sentence}
    if job.retry_until:
        log.error("Job %s (%s): given up after %s attempts", job.pk, job, job.attempt)
        run.log(_("Given up after %d attempts.") % job.attempt, "err")
    return {"state": JobState.FAILED, "error": sentence}


def _after_interruption(job: Job) -> dict[str, object]:
    if _safe_to_repeat(job.work):
        return {"state": JobState.WAITING, "not_before": timezone.now(), "error": ""}
    return {"state": JobState.LOST, "error": _("The panel was stopped while this job ran.")}


def _safe_to_repeat(work: str) -> bool:
    try:
        return works.get(work).safe_to_repeat
    except works.UnknownWorkError:
        return False


def sentence_of(error: BaseException, job: Job) -> str:
    """What the user gets to read about an error."""
    if isinstance(error, works.UnknownWorkError):
        return _("This panel does not know the work “%s”: the job is of another version of it.") % job.work
    if works.is_expected(error):
        if isinstance(error, ObjectDoesNotExist):  # its own text names a table
            return _("What this was about has been deleted since it was asked for.")
        return str(error)
    return _("Something went wrong inside the panel. The log has the details, under job %d.") % job.pk


def next_try(
    job: Job, error: BaseException, now: datetime, chance: Callable[[], float] = random.random
) -> datetime | None:
    """When to try again after this error; None for never. `chance` gives 0 to 1."""
    if not job.retry_until or not job.retry_seconds:
        return None
    try:
        work = works.get(job.work)
    except works.UnknownWorkError:
        return None
    if not (work.safe_to_repeat and isinstance(error, work.retry_on)):
        return None
    when = now + timedelta(seconds=works.Retry(every=job.retry_seconds).wait(job.attempt, chance))
    return when if when <= job.retry_until else None
