import pytest

from accounts.actors import Actor
from accounts.models import AuditEntry
from jobs import hooks, services, works
from jobs.models import Job, JobState
from jobs.services import start_job
from jobs.works import Retry

pytestmark = [pytest.mark.django_db, pytest.mark.services]


def test_a_job_waits_for_its_worker(actor, admin, member):
    job = start_job(actor, "tests.note", "Note", {"number": 1}, subject=admin, delay=30)
    job.refresh_from_db()
    assert (job.state, job.owner, job.args, job.address) == ("waiting", admin, {"number": 1}, "192.0.2.7")
    assert (job.not_before - job.created_at).total_seconds() == 30
    start_job(actor, "tests.note", "Another", {"number": 2}, subject=member)
    assert list(Job.objects.of(admin)) == [job]


def test_unknown_works_and_queues_are_refused_at_once(actor):
    with pytest.raises(works.UnknownWorkError):
        start_job(actor, "no.such", "x")
    with pytest.raises(ValueError, match="nowhere"):
        start_job(actor, "tests.note", "x", queue="nowhere")


def test_only_a_work_that_is_safe_to_repeat_may_be_retried(actor):
    with pytest.raises(ValueError, match="safe_to_repeat"):
        start_job(actor, "tests.once_only", "x", retry=Retry())
    assert start_job(actor, "tests.careful", "x", retry=Retry()).retry_seconds == 300


def test_with_once_the_waiting_job_is_returned(actor):
    first = start_job(actor, "tests.note", "x", {"number": 1}, once=True)
    assert start_job(actor, "tests.note", "x", {"number": 1}, once=True) == first
    assert start_job(actor, "tests.note", "x", {"number": 2}, once=True) != first
    assert start_job(actor, "tests.note", "x", {"number": 1}) != first
    Job.objects.filter(pk=first.pk).update(state=JobState.RUNNING, once_key="")
    assert start_job(actor, "tests.note", "x", {"number": 1}, once=True) != first


def test_secrets_are_not_readable_in_the_database(actor):
    from django.db import connection

    job = start_job(actor, "tests.note", "x", secrets=["hunter22"])
    with connection.cursor() as cursor:
        cursor.execute("SELECT secrets FROM jobs_job WHERE id = %s", [job.pk])
        assert "hunter22" not in cursor.fetchone()[0]


def test_a_waiting_job_is_stopped_at_once_and_its_end_is_told(actor):
    job = start_job(actor, "tests.note", "x")
    told: list[Job] = []
    hooks.on_end(told.append)
    services.stop_job(actor, job)
    assert (job.state, job.stop_asked_by) == ("stopped", "ada")
    assert told == [job]
    assert AuditEntry.objects.filter(verb="job.stop", object_id=str(job.pk)).exists()
    with pytest.raises(services.JobRefusedError):
        services.stop_job(actor, job)


def test_an_ended_job_is_run_again_only_where_its_work_allows(actor, member):
    job = start_job(actor, "tests.careful", "x")
    with pytest.raises(services.JobRefusedError):
        services.run_again(actor, job)  # still waits
    job.state = JobState.FAILED
    job.save()
    with pytest.raises(services.JobRefusedError):
        services.run_again(Actor(member, "mel"), job)
    fresh = services.run_again(actor, job)
    job.refresh_from_db()
    assert fresh.pk != job.pk
    assert fresh.work == job.work
    assert job.acknowledged_by == "ada"


def fails(job: Job) -> None:
    raise ZeroDivisionError


def test_a_hook_that_fails_keeps_nobody_else_from_being_told(actor):
    told: list[Job] = []
    hooks.on_end(fails)
    hooks.on_end(told.append)
    services.stop_job(actor, start_job(actor, "tests.note", "x"))
    assert len(told) == 1
