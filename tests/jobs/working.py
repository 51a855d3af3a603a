"""Carry out waiting jobs in this process, as a worker would."""

import time
from datetime import timedelta

from django.utils import timezone

from jobs import execute
from jobs.models import Job, JobState
from notifications.telling import GATHER, MAIL_WORK


def work_off(seconds: float = 240) -> list[Job]:
    """Every job that waits to begin soon, one after the other; returns them as they ended.

    A mail that waits for more news is none of them, however long ago the first one was: on a busy machine, what a
    test does in between takes as long.
    """
    end = time.monotonic() + seconds
    done: list[Job] = []
    while time.monotonic() < end:
        soon = timezone.now() + timedelta(seconds=5)
        rows = Job.objects.filter(state=JobState.WAITING, not_before__lte=soon).order_by("not_before")
        waiting = next((row for row in rows if not _gathers(row)), None)
        if waiting is None:
            return done
        time.sleep(max(0.0, (waiting.not_before - timezone.now()).total_seconds()))
        job = execute.claim(waiting.pk)
        if job is not None:
            execute.carry_out(job)
            job.refresh_from_db()
            done.append(job)
    raise TimeoutError("The jobs did not end.")


def _gathers(job: Job) -> bool:
    return job.work == MAIL_WORK and job.not_before == job.created_at + timedelta(seconds=GATHER)
