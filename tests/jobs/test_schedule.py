import threading
from datetime import timedelta

import pytest
from django.db import connection
from django.utils import timezone

from jobs import schedule, upkeep
from jobs.health import facts, health
from jobs.models import Job, JobLine, ScheduleState, WorkerState
from jobs.services import start_job

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.services]


@pytest.fixture
def only():
    """Nothing on the schedule but what the test puts there."""
    before = dict(schedule._schedule)
    schedule._schedule.clear()
    yield
    schedule._schedule.clear()
    schedule._schedule.update(before)


def pass_time(name: str, seconds: float) -> None:
    """As if the last run had been so much earlier."""
    row = ScheduleState.objects.get(name=name)
    assert row.last_started_at
    row.last_started_at -= timedelta(seconds=seconds)
    row.save()


def test_a_thing_runs_when_it_is_due_and_not_before(only):
    ran = []
    schedule.every("tests.count", 60, lambda: ran.append(1))
    assert schedule.run_due() == ["tests.count"]
    assert schedule.run_due() == []
    pass_time("tests.count", 61)
    assert schedule.run_due() == ["tests.count"]
    assert len(ran) == 2


def test_a_work_becomes_one_job_however_long_no_worker_comes(only):
    schedule.every("tests.nightly", 60, "tests.note", "Note")
    for _ in range(5):
        schedule.run_due()
        pass_time("tests.nightly", 61)
    job = Job.objects.get()
    assert (job.work, job.title, job.actor_name, job.owner) == ("tests.note", "Note", "scheduler", None)


def test_two_processes_do_not_run_it_at_once(only):
    schedule.every("tests.count", 60, lambda: None)
    schedule.run_due()
    pass_time("tests.count", 61)
    item, gate, won = schedule.scheduled()[0], threading.Barrier(6), []

    def ask() -> None:
        gate.wait()
        won.append(schedule.claim(item, timezone.now()))
        connection.close()

    threads = [threading.Thread(target=ask) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(won) == [False] * 5 + [True]
    pass_time("tests.count", 61)
    assert not schedule.claim(item, timezone.now()), "the one who claimed it has not ended"


def test_one_that_fails_is_noted_and_does_not_keep_the_others(only):
    ran = []
    schedule.every("tests.fails", 60, lambda: 1 / 0)
    schedule.every("tests.count", 60, lambda: ran.append(1))
    schedule.run_due()
    assert ran == [1]
    failed = ScheduleState.objects.get(name="tests.fails")
    assert (failed.error, failed.running_since) == ("ZeroDivisionError", None)


def test_nothing_runs_more_often_than_the_scheduler_looks():
    with pytest.raises(ValueError, match="15"):
        schedule.every("tests.count", 1, lambda: None)


def test_messages_of_waiting_jobs_do_not_pile_up(actor):
    for number in range(50):
        start_job(actor, "tests.note", "x", {"number": number})
    Job.objects.update(not_before=timezone.now() - timedelta(hours=1))
    assert upkeep.send_waiting() == upkeep.MOST_SENT


def test_jobs_that_are_not_late_are_not_sent_again(actor):
    start_job(actor, "tests.note", "x")
    start_job(actor, "tests.note", "x", delay=300)
    assert upkeep.send_waiting() == 0


def test_old_jobs_are_deleted_with_all_they_wrote(actor, settings):
    old, young, waiting = (start_job(actor, "tests.note", "x") for _ in range(3))
    JobLine.objects.create(job=old, text="x")
    then = timezone.now() - timedelta(days=settings.JOBS_KEEP_DAYS + 1)
    Job.objects.filter(pk=old.pk).update(state="done", ended_at=then)
    Job.objects.filter(pk=young.pk).update(state="done", ended_at=timezone.now(), created_at=then)
    Job.objects.filter(pk=waiting.pk).update(created_at=then)
    assert upkeep.delete_old() == 1
    assert set(Job.objects.all()) == {young, waiting}
    assert not JobLine.objects.exists()


def test_health_knows_the_living_from_the_dead():
    assert not facts().worker_ok
    assert [item.ok for item in health()] == [False, False]
    two = timezone.now() - timedelta(minutes=2)
    WorkerState.objects.create(name="a", heartbeat_at=two, queues="backups,default")
    assert not facts().worker_ok
    WorkerState.objects.create(name="b", queues="backups,default")
    upkeep.look_after()
    assert (facts().workers, facts().worker_ok, facts().scheduler_ok) == (1, True, True)


def test_a_queue_whose_worker_alone_is_dead_is_told_and_the_scheduler_is_not_blamed_for_it(admin_client):
    WorkerState.objects.create(name="a", queues="default")
    upkeep.look_after()
    words = [item.words for item in health()]
    assert words == ["No worker of the queue “backups” lives: its jobs wait.", ""]
    assert words[0] in admin_client.get("/jobs/").content.decode()
    WorkerState.objects.update(queues="backups")
    ScheduleState.objects.update(last_ended_at=timezone.now() - timedelta(minutes=2))
    assert [item.words for item in health()] == [
        "No worker of the queue “default” lives: its jobs wait.",
        "Nothing runs by itself until a worker takes up what the scheduler says.",
    ]
    WorkerState.objects.update(queues="backups,default")
    assert [item.ok for item in health()] == [True, False]
    assert facts().scheduler_words.startswith("The scheduler is silent, or the broker hands nothing on")
    WorkerState.objects.all().delete()
    assert facts().worker_words == "No worker lives: jobs wait."


def test_after_a_time_without_looks_nobody_is_given_up_before_he_could_be_heard(actor, only):
    now = timezone.now()
    job = start_job(actor, "tests.note", "x")
    Job.objects.filter(pk=job.pk).update(state="running", heartbeat_at=now - timedelta(minutes=5))
    tick = ScheduleState.objects.filter(name=upkeep.TICK_NAME)
    upkeep.look_after()
    assert Job.objects.get().state == "running"  # the database may have been away for those five minutes
    tick.update(last_started_at=now - timedelta(seconds=70), last_ended_at=now - timedelta(minutes=3))
    upkeep.look_after()
    assert Job.objects.get().state == "running"
    tick.update(last_started_at=now - timedelta(seconds=70), last_ended_at=now - timedelta(seconds=15))
    upkeep.look_after()
    assert Job.objects.get().state != "running"
