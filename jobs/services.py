"""What can be done with jobs: start, stop, run again, acknowledge."""

import hashlib
import json
import logging
from collections.abc import Iterable
from datetime import timedelta
from typing import Any

from django.conf import settings
from django.db import IntegrityError, transaction
from django.db.models import F, Model
from django.utils import timezone
from django.utils.translation import gettext as _
from kombu.exceptions import OperationalError as BrokerError

from accounts.actors import Actor
from accounts.audit import record
from jobs import hooks, rights, works
from jobs.models import ENDED, Job, JobState
from jobs.works import Retry

log = logging.getLogger(__name__)

LONGEST_COUNTDOWN = 60.0  # seconds that a message may wait in a worker; what is due later, the schedule sends


class JobRefusedError(Exception):
    """The job's state does not allow this; the text says why."""


def start_job(
    actor: Actor,
    work: str,
    title: str,
    args: dict[str, Any] | None = None,
    *,
    subject: Model | None = None,
    queue: str = "default",
    retry: Retry | None = None,
    delay: float = 0.0,
    secrets: Iterable[str] = (),
    once: bool = False,
    askers: list[dict[str, int] | None] | None = None,
) -> Job:
    """Add a job to the queue; a worker gets it once the surrounding transaction is committed.

    `args` are ids and small JSON values. `delay` is in seconds. `secrets` are masked in all that the job
    logs. With `once`, a job of the same work and args that still waits is returned instead of a new one, and
    it will not begin before this transaction is committed. `askers`: who may have it done, where that is not just
    `actor`, because the wish is older than the job. Raises UnknownWorkError, and ValueError for a
    queue that no worker serves or a retry of a work that is not safe to repeat.
    """
    known = works.get(work)
    _check(known, queue, retry)
    now = timezone.now()
    servers = rights.touched(known, args or {})
    job = Job(
        work=work,
        title=str(title)[:200],
        args=args or {},
        queue=queue,
        owner=actor.user,
        actor_name=actor.name,
        address=actor.address,
        reach=rights.reach_of(known, servers),
        askers=askers or [actor.asker],
        subject_type=subject._meta.label_lower if subject else "",
        subject_id=str(subject.pk) if subject else "",
        created_at=now,
        not_before=now + timedelta(seconds=delay),
        retry_seconds=round(retry.every) if retry else 0,
        retry_until=now + timedelta(hours=retry.until_hours) if retry else None,
        secrets=_as_json(secrets),
        once_key=_once_key(work, job_args=args or {}) if once else "",
    )
    with transaction.atomic():
        job, fresh = _insert_once(job) if once else _insert(job)
        rights.note_touched(job, servers)
    if fresh:
        _send_on_commit(job, delay)
    return job


def _check(known: works.Work, queue: str, retry: Retry | None) -> None:
    if queue not in settings.JOBS_SLOTS:
        raise ValueError(f"No worker serves the queue {queue}: see JOBS_SLOTS.")
    if retry and not (known.safe_to_repeat and known.retry_on):
        raise ValueError(f"{known.name} must be registered as safe_to_repeat, with retry_on, to be retried.")


def _insert(job: Job) -> tuple[Job, bool]:
    job.save()
    return job, True


def _as_json(secrets: Iterable[str]) -> str:
    known = [text for text in secrets if text]
    return json.dumps(known) if known else ""


def _once_key(work: str, job_args: dict[str, Any]) -> str:
    return hashlib.sha256(json.dumps([work, job_args], sort_keys=True).encode()).hexdigest()


def _insert_once(job: Job) -> tuple[Job, bool]:
    """The job saved, or the waiting one with its key.

    The update locks that one's row: no worker claims it before we commit, so it will see what we wrote.
    """
    while True:
        waiting = Job.objects.filter(once_key=job.once_key, state=JobState.WAITING)
        if waiting.update(revision=F("revision") + 1):
            found = waiting.first()
            if found:
                found.askers += [asker for asker in job.askers if asker not in found.askers]
                found.save(update_fields=["askers"])
                return found, False
        try:
            with transaction.atomic():
                job.save(force_insert=True)
        except IntegrityError:
            continue  # another one came first
        return job, True


def _send_on_commit(job: Job, delay: float) -> None:
    if delay <= LONGEST_COUNTDOWN:
        transaction.on_commit(lambda: _send_if_possible(job, delay))


def _send_if_possible(job: Job, delay: float) -> None:
    """The job is in the database: without a broker it only begins later, and nobody's page may fail for that."""
    try:
        send(job.pk, job.queue, delay)
    except BrokerError as error:
        log.warning("Job %s (%s) waits for the schedule to send it; the broker says: %s", job.pk, job, error)


def send(job_id: int, queue: str, delay: float = 0.0) -> None:
    """Tell the workers of a queue that a job waits. Losing or doubling this message does no harm."""
    from jobs.tasks import run_job

    if delay:
        run_job.apply_async((job_id,), queue=queue, countdown=delay, expires=delay + 3600)
    else:  # a countdown of 0 would still go through the worker's timer
        run_job.apply_async((job_id,), queue=queue, expires=3600)


def hurry(job_id: int) -> bool:
    """Let a job that waits for its time begin now; whether it did wait. What it waited for has come about.

    One that still runs, and is about to wait for this, goes on as soon as it does.
    """
    now = timezone.now()
    # First as one that runs: it may begin to wait in between, while one that is claimed meanwhile sees what came about.
    if Job.objects.filter(pk=job_id, state=JobState.RUNNING).update(not_before=now):
        return False
    waiting = Job.objects.filter(pk=job_id, state=JobState.WAITING, not_before__gt=now)
    if not waiting.update(not_before=now, revision=F("revision") + 1):
        return False
    queue = Job.objects.values_list("queue", flat=True).get(pk=job_id)
    transaction.on_commit(lambda: send(job_id, queue))
    return True


def stop_job(actor: Actor, job: Job) -> None:
    """Stop it: at once while it waits, else by asking its worker, who sees it within a second.

    Raises JobRefusedError when it has ended.
    """
    now = timezone.now()
    with transaction.atomic():
        asked = {"stop_asked_at": now, "stop_asked_by": actor.name, "revision": F("revision") + 1}
        open_jobs = Job.objects.filter(pk=job.pk).exclude(state__in=ENDED)
        waited = open_jobs.filter(state=JobState.WAITING).update(
            **asked, state=JobState.STOPPED, ended_at=now, secrets="", once_key=""
        )
        if not waited and not open_jobs.filter(state=JobState.RUNNING).update(**asked):
            raise JobRefusedError(_("This job has ended already."))
        record(actor, "job.stop", job)
    job.refresh_from_db()
    if waited:
        hooks.ended(job)


def run_again(actor: Actor, job: Job) -> Job:
    """Start the same work with the same args anew. Raises JobRefusedError where this is not allowed."""
    if actor.user is None or not rights.may_run_again(actor.user, job):
        raise JobRefusedError(_("This job cannot be run again from here."))
    with transaction.atomic():
        fresh = start_job(actor, job.work, job.title, job.args, queue=job.queue)
        Job.objects.filter(pk=fresh.pk).update(subject_type=job.subject_type, subject_id=job.subject_id)
        acknowledge(actor, [job])
        record(actor, "job.again", job, after={"job": fresh.pk})
    return fresh


def acknowledge(actor: Actor, jobs: Iterable[Job]) -> int:
    """Note that these failed or lost jobs have been seen and need no more attention; returns how many."""
    with transaction.atomic():
        count = (
            Job.objects.filter(pk__in=[job.pk for job in jobs])
            .unacknowledged()
            .update(acknowledged_at=timezone.now(), acknowledged_by=actor.name)
        )
        if count:
            record(actor, "job.acknowledge", after={"jobs": count})
    return count


def made_good(job: Job) -> None:
    """The same work with the same args has succeeded: that it failed before needs nobody's attention any more."""
    earlier = Job.objects.filter(work=job.work, args=job.args, pk__lt=job.pk)
    acknowledge(Actor.system("jobs"), earlier.unacknowledged())
