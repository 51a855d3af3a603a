"""Real worker processes on the broker of the settings."""

import signal
import threading
from datetime import timedelta
from pathlib import Path

import pytest
from django.conf import settings
from django.db import connection
from django.utils import timezone

from gestion.celery import app
from jobs import services, upkeep
from jobs.models import Job, ScheduleState
from jobs.services import start_job
from tests.jobs.processes import running, worker
from tests.waiting import wait_for

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.services]


def waiting_messages() -> list[Path]:
    """What is in the embedded broker; of another one, nothing is known."""
    embedded = settings.CELERY_BROKER_URL.startswith("embedded")
    return list((settings.DATA_DIR / "broker").iterdir()) if embedded else []


def ticked() -> bool:
    """Whether a look of the scheduler has come to its end."""
    return ScheduleState.objects.filter(name=upkeep.TICK_NAME).exclude(last_ended_at=None).exists()


def ended(*jobs: Job) -> bool:
    return not Job.objects.filter(pk__in=[job.pk for job in jobs], state__in=["waiting", "running"]).exists()


@pytest.fixture(autouse=True)
def nothing_to_take() -> None:
    """What other tests left in the broker, a look of the scheduler above all, starts jobs that are none of ours."""
    with app.connection_for_write() as broker:
        for queue in settings.JOBS_SLOTS:
            broker.SimpleQueue(queue).clear()


@pytest.fixture
def log(tmp_path):
    return tmp_path / "worker.log"


def test_a_worker_runs_jobs_of_every_queue(actor, log):
    with worker(log):
        jobs = [start_job(actor, "jobs.check", "x", {"seconds": 0}, queue=q) for q in ("default", "backups")]
        wait_for(lambda: ended(*jobs), log=log)
        later = start_job(actor, "jobs.check", "x", {"seconds": 0}, delay=1)
        wait_for(lambda: ended(later), log=log)
    for job in Job.objects.all():
        assert job.state == "done"
        assert job.lines.count() == 4
    later.refresh_from_db()
    assert later.started_at
    assert later.started_at >= later.not_before


def test_a_worker_that_starts_takes_up_what_waited_without_a_message(actor, log):
    job = start_job(actor, "jobs.check", "x", {"seconds": 0})
    with app.connection_for_write() as broker:
        broker.SimpleQueue("default").clear()
    with worker(log):
        wait_for(lambda: ended(job), log=log)


def test_a_job_whose_worker_was_killed_runs_again_and_is_lost_when_that_goes_on(actor, log):
    job = start_job(actor, "jobs.check", "x", {"seconds": 60, "lines": 1})
    with worker(log) as process:
        # A line may be saved before the step that comes after it.
        wait_for(job.steps.filter(name="Count").exists, log=log)
        process.send_signal(signal.SIGKILL)
        process.wait()
    assert upkeep.reap(timezone.now() + timedelta(seconds=30)) == []
    assert upkeep.reap(timezone.now() + timedelta(seconds=90)) == [job]
    job.refresh_from_db()
    assert (job.state, job.times_lost) == ("waiting", 1)
    assert [step.state for step in job.steps.all()] == ["done", "lost"]
    Job.objects.filter(pk=job.pk).update(
        state="running", times_lost=2, heartbeat_at=timezone.now() - timedelta(minutes=2)
    )
    upkeep.reap()
    job.refresh_from_db()
    assert (job.state, job.error) == ("lost", "The worker that ran this job died.")


def test_a_worker_that_is_told_to_end_puts_its_job_back(actor, log):
    job = start_job(actor, "jobs.check", "x", {"seconds": 60, "lines": 1})
    with worker(log) as process:
        wait_for(job.lines.exists, log=log)
        process.terminate()
        assert process.wait(60) == 0, log.read_text()
    job.refresh_from_db()
    assert job.state == "waiting"


def test_stop_reaches_a_job_in_another_process(actor, log):
    job = start_job(actor, "jobs.check", "x", {"seconds": 60, "lines": 1})
    with worker(log):
        wait_for(job.lines.exists, log=log)
        services.stop_job(actor, job)
        wait_for(lambda: ended(job), log=log)
    job.refresh_from_db()
    assert job.state == "stopped"


def test_a_worker_can_be_the_scheduler_too(log):
    with worker(log, GESTION_SCHEDULER="thread"):
        wait_for(ticked, log=log)


def test_the_scheduler_can_be_a_process_of_its_own(log):
    with worker(log), running(["celery", "-q", "-A", "gestion", "beat", "-l", "INFO"], log):
        wait_for(ticked, log=log)


def test_two_workers_and_many_writers_do_not_get_in_each_others_way(actor, log, tmp_path):
    other = tmp_path / "other.log"
    jobs: list[Job] = []

    def start_some() -> None:
        try:
            for _ in range(8):
                jobs.append(start_job(actor, "jobs.check", "x", {"seconds": 0.2, "lines": 40}))  # noqa: PERF401
        finally:
            connection.close()

    with worker(log), worker(other):
        threads = [threading.Thread(target=start_some) for _ in range(5)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        wait_for(lambda: ended(*jobs), log=log)
        # Whoever ends one job goes on with the next: the messages of these may be taken after the last job's end.
        wait_for(lambda: not waiting_messages(), log=log)
    assert len(jobs) == 40
    for job in Job.objects.all():
        assert (job.state, job.attempt, job.lines.count()) == ("done", 1, 41)
        assert [line.text for line in job.lines.all()][1:] == [f"line {n} of 40" for n in range(1, 41)]
    assert len({job.worker for job in Job.objects.all()}) == 2
    assert "locked" not in log.read_text() + other.read_text()
    assert waiting_messages() == []
