"""Keeps the queue honest: finds jobs whose worker died, sends lost messages again, deletes what is old."""

import logging
from datetime import datetime, timedelta

from django.conf import settings
from django.db import transaction
from django.db.models import F
from django.utils import timezone
from django.utils.translation import gettext as _

from jobs import hooks, schedule, works
from jobs.models import ENDED, Job, JobLine, JobState, JobStep, ScheduleState
from jobs.pulse import DEAD_AFTER
from jobs.services import send

log = logging.getLogger(__name__)

TICK_NAME = "jobs.tick"  # of its row among the schedule's states
GAP = 3.0 * schedule.TICK  # seconds without a look after which it begins anew
LATE_AFTER = 5.0  # seconds that a message may take
MOST_SENT = 20  # messages a tick and queue; whoever takes one job goes on with the next by itself
MOST_LOST = 3  # times that a job's worker may die before the job is held to be the cause


def look_after() -> None:
    """One tick: reap, send again, run what is due, and leave word that the scheduler lives."""
    if _have_looked_long_enough():
        reap()
    send_waiting()
    schedule.run_due()
    ScheduleState.objects.update_or_create(name=TICK_NAME, defaults={"last_ended_at": timezone.now()})


def _have_looked_long_enough() -> bool:
    """Whether looks came without a gap for as long as workers may be silent.

    After a time in which the database or the scheduler was away, all are silent, and get time to be heard.
    """
    now = timezone.now()
    state, _new = ScheduleState.objects.get_or_create(name=TICK_NAME)
    last, since = state.last_ended_at, state.last_started_at
    if last is None or since is None or now - last > timedelta(seconds=GAP):
        ScheduleState.objects.filter(pk=state.pk).update(last_started_at=now)
        return False
    return now - since >= timedelta(seconds=DEAD_AFTER)


def reap(now: datetime | None = None) -> list[Job]:
    """End running jobs without a heartbeat as lost, or put them back if their work is safe to repeat."""
    now = now or timezone.now()
    reaped = []
    for job in Job.objects.filter(
        state=JobState.RUNNING, heartbeat_at__lt=now - timedelta(seconds=DEAD_AFTER)
    ):
        if _give_up(job, now):
            job.refresh_from_db()
            reaped.append(job)
            log.warning("Job %s (%s): no sign of life from %s; now %s", job.pk, job, job.worker, job.state)
            if job.ended:
                hooks.ended(job)
    return reaped


def _give_up(job: Job, now: datetime) -> bool:
    sentence = _("The worker that ran this job died.")
    fields: dict[str, object] = {"state": JobState.LOST, "ended_at": now, "secrets": "", "error": sentence}
    if job.stop_asked_at:
        fields["state"] = JobState.STOPPED
    elif _may_repeat(job):
        sentence = _("The worker that ran this job died; the job waits for another one.")
        fields = {"state": JobState.WAITING, "not_before": now, "error": sentence}
    with transaction.atomic():
        ours = Job.objects.filter(pk=job.pk, state=JobState.RUNNING, heartbeat_at=job.heartbeat_at)
        if not ours.update(**fields, times_lost=F("times_lost") + 1, revision=F("revision") + 1):
            return False
        JobStep.objects.filter(job=job, state=JobState.RUNNING).update(state=JobState.LOST, ended_at=now)
        JobLine.objects.create(job=job, stream="err", text=sentence, at=now)
    return True


def _may_repeat(job: Job) -> bool:
    try:
        return works.get(job.work).safe_to_repeat and job.times_lost + 1 < MOST_LOST
    except works.UnknownWorkError:
        return False


def send_waiting(now: datetime | None = None, late_after: float = LATE_AFTER) -> int:
    """Send the messages of waiting jobs that are late again, the oldest of each queue; returns how many."""
    now = now or timezone.now()
    sent = 0
    for queue in settings.JOBS_SLOTS:
        late = Job.objects.filter(
            queue=queue, state=JobState.WAITING, not_before__lte=now - timedelta(seconds=late_after)
        )
        for pk in late.order_by("not_before", "pk").values_list("pk", flat=True)[:MOST_SENT]:
            send(pk, queue)
            sent += 1
    return sent


def delete_old(now: datetime | None = None) -> int:
    """Delete jobs that ended more than JOBS_KEEP_DAYS days ago; returns how many."""
    before = (now or timezone.now()) - timedelta(days=settings.JOBS_KEEP_DAYS)
    deleted = 0
    while True:  # in small transactions, so that nobody waits for a big one
        old = list(
            Job.objects.filter(state__in=ENDED, ended_at__lt=before).values_list("pk", flat=True)[:100]
        )
        if not old:
            return deleted
        with transaction.atomic():
            JobLine.objects.filter(job__in=old).delete()
            JobStep.objects.filter(job__in=old).delete()
            deleted += Job.objects.filter(pk__in=old).delete()[1].get("jobs.Job", 0)
