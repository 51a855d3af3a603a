"""A work that wants to be called again later: its job waits without a worker, and can be woken or stopped."""

from datetime import timedelta

import pytest
from django.db import connection
from django.utils import timezone

from jobs import execute
from jobs.models import Job
from jobs.services import hurry, start_job, stop_job
from tests.jobs.working import work_off
from tests.jobs.works import bench

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.services]


def once(job: Job) -> Job:
    claimed = execute.claim(job.pk)
    assert claimed
    execute.carry_out(claimed)
    claimed.refresh_from_db()
    return claimed


def test_it_is_called_again_from_its_beginning(actor):
    job = start_job(actor, "tests.postponed", "x", {"times": 2, "seconds": 0.1})
    assert [done.state for done in work_off()] == ["waiting", "waiting", "done"]
    assert bench.runs == [job.pk] * 3
    job.refresh_from_db()
    assert job.attempt == 3
    assert job.outside_seconds >= 0.2


def test_it_can_be_woken_early(actor):
    job = start_job(actor, "tests.postponed", "x", {"times": 1, "seconds": 3600})
    waiting = once(job)
    assert (waiting.state, waiting.error) == ("waiting", "")
    assert waiting.not_before > timezone.now() + timedelta(minutes=50)
    assert execute.claim(job.pk) is None
    assert hurry(job.pk)
    assert not hurry(job.pk)
    assert once(job).state == "done"


def test_one_that_is_woken_while_it_still_runs_does_not_wait(actor):
    job = start_job(actor, "tests.postponed", "x", {"times": 2, "seconds": 3600})
    running = execute.claim(job.pk)
    assert running
    assert not hurry(job.pk)  # what it waits for comes about before it does
    execute.carry_out(running)
    running.refresh_from_db()
    assert running.state == "waiting"
    assert running.not_before <= timezone.now()
    waiting = once(job)  # at once, and then as long as it wants
    assert waiting.not_before > timezone.now() + timedelta(minutes=50)


def test_one_that_begins_to_wait_while_it_is_woken_does_not_wait(actor):
    job = start_job(actor, "tests.postponed", "x", {"times": 2, "seconds": 3600})
    running = execute.claim(job.pk)
    assert running

    def between(do, sql, *rest):
        """Let it begin to wait after the first statement of those who wake it."""
        nonlocal running
        done = do(sql, *rest)
        if running and sql.startswith("UPDATE"):
            mine, running = running, None
            execute.carry_out(mine)
        return done

    with connection.execute_wrapper(between):
        hurry(job.pk)
    job.refresh_from_db()
    assert job.state == "waiting"
    assert job.not_before <= timezone.now()


def test_stop_ends_it_while_it_waits(actor):
    job = start_job(actor, "tests.postponed", "x", {"times": 1, "seconds": 3600})
    stop_job(actor, once(job))
    job.refresh_from_db()
    assert job.state == "stopped"


def test_a_stop_that_came_while_it_ended_is_not_lost(actor):
    job = start_job(actor, "tests.postponed", "x", {"times": 1, "seconds": 3600})
    Job.objects.filter(pk=job.pk).update(stop_asked_at=timezone.now())  # seen by nobody yet
    assert once(job).state == "stopped"
