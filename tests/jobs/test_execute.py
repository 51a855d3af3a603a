import threading
from datetime import timedelta
from typing import Any

import pytest
from django.db import InterfaceError, connection
from django.utils import timezone

from jobs import hooks, services
from jobs.execute import claim, work_off
from jobs.masking import Masker
from jobs.models import Job
from jobs.pulse import pulse, save
from jobs.run import Run
from jobs.services import start_job
from jobs.works import Retry
from tests.waiting import PATIENCE_SECONDS, wait_for

# Workers' threads have connections of their own, so the rows must really be there.
pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.services]


def in_thread(act, *args) -> threading.Thread:
    def run() -> None:
        try:
            act(*args)
        finally:
            connection.close()

    thread = threading.Thread(target=run)
    thread.start()
    return thread


def worked_off(job: Job) -> Job:
    work_off(job.pk)
    job.refresh_from_db()
    return job


def texts(job: Job) -> list[str]:
    return [line.text for line in job.lines.all()]


def test_a_job_runs_to_its_end_with_steps_lines_and_progress(actor):
    job = worked_off(start_job(actor, "jobs.check", "Check", {"seconds": 0, "lines": 3}))
    assert (job.state, job.error, job.done_units, job.total_units) == ("done", "", 3, 3)
    assert [(step.name, step.state) for step in job.steps.all()] == [("Say hello", "done"), ("Count", "done")]
    assert texts(job)[1:] == ["line 1 of 3", "line 2 of 3", "line 3 of 3"]
    assert list(job.lines.values_list("step__name", flat=True)) == ["Say hello", "Count", "Count", "Count"]


def test_a_doubled_message_runs_nothing_twice(actor, bench):
    job = worked_off(start_job(actor, "tests.note", "x", {"number": 7}))
    worked_off(job)
    assert bench.runs == [7]


def test_whoever_takes_one_job_goes_on_with_those_whose_messages_were_lost(actor, bench):
    jobs = [start_job(actor, "tests.note", "x", {"number": number}) for number in range(3)]
    work_off(jobs[2].pk)
    assert bench.runs == [2, 0, 1]


def test_of_many_workers_one_gets_the_job(actor):
    job = start_job(actor, "tests.note", "x")
    gate, won = threading.Barrier(8), []

    def ask() -> None:
        gate.wait()
        won.append(claim(job.pk))

    for thread in [in_thread(ask) for _ in range(8)]:
        thread.join()
    assert len([found for found in won if found]) == 1


def test_a_job_does_not_begin_before_its_time(actor, bench):
    job = worked_off(start_job(actor, "tests.note", "x", delay=60))
    assert (job.state, bench.runs) == ("waiting", [])


def test_an_expected_error_is_told_in_its_own_words(actor):
    job = worked_off(start_job(actor, "tests.careful", "x"))
    assert (job.state, job.error) == ("failed", "web1 does not answer; is it switched on?")
    assert job.steps.get().state == "failed"
    assert job.error in texts(job)


def test_a_job_about_what_has_been_deleted_since_says_so_and_names_no_table(actor):
    job = worked_off(start_job(actor, "servers.check", "x", {"server": 99}))
    assert (job.state, job.error) == (
        "failed",
        "What this was about has been deleted since it was asked for.",
    )


def test_any_other_error_stays_in_the_log(actor, caplog):
    job = worked_off(start_job(actor, "tests.broken", "x"))
    assert job.state == "failed"
    assert str(job.pk) in job.error
    assert "internal words" not in job.error
    assert not any("internal words" in text for text in texts(job))
    assert "ZeroDivisionError: internal words" in caplog.text


def test_a_job_of_an_unknown_work_fails_with_a_reason(actor):
    job = start_job(actor, "tests.note", "x")
    Job.objects.filter(pk=job.pk).update(work="gone.with_its_room")
    assert "gone.with_its_room" in worked_off(job).error


def test_secrets_appear_nowhere(actor, caplog):
    job = worked_off(start_job(actor, "tests.leaky", "x", secrets=["given-secret"]))
    everything = "\n".join([*texts(job), job.error, caplog.text])
    assert "given-secret" not in everything
    assert "fresh-secret" not in everything
    assert "in two halves" in everything
    assert job.secrets == ""


def test_a_retry_waits_and_says_why(actor):
    job = worked_off(start_job(actor, "tests.careful", "x", retry=Retry()))
    assert job.state == "waiting"
    assert job.error.startswith("web1 does not answer")
    assert 200 < (job.not_before - timezone.now()).total_seconds() < 340


def test_retries_end_in_a_failure_that_is_logged(actor, caplog):
    job = start_job(actor, "tests.careful", "x", retry=Retry())
    Job.objects.filter(pk=job.pk).update(retry_until=timezone.now() + timedelta(minutes=1), attempt=288)
    assert worked_off(job).state == "failed"
    assert "given up after 289 attempts" in caplog.text


def test_stop_ends_a_blocking_work_by_closing_what_it_waits_for(actor, bench):
    job = start_job(actor, "tests.blocking", "x")
    thread = in_thread(work_off, job.pk)
    assert bench.started.wait(PATIENCE_SECONDS)
    services.stop_job(actor, job)
    thread.join(60)
    job.refresh_from_db()
    assert not thread.is_alive()
    assert (job.state, job.error) == ("stopped", "")


def test_stop_ends_a_waiting_loop(actor):
    job = start_job(actor, "jobs.check", "x", {"seconds": 60, "lines": 2})
    thread = in_thread(work_off, job.pk)
    wait_for(job.steps.filter(name="Count").exists)  # its line may be saved before the second step has begun
    services.stop_job(actor, job)
    thread.join(60)
    job.refresh_from_db()
    assert job.state == "stopped"
    assert [step.state for step in job.steps.all()] == ["done", "stopped"]


def test_lines_are_saved_as_they_come(actor):
    job = start_job(actor, "jobs.check", "x", {"seconds": 60, "lines": 2})
    thread = in_thread(work_off, job.pk)
    wait_for(job.lines.exists)
    assert Job.objects.get(pk=job.pk).state == "running"
    services.stop_job(actor, job)
    thread.join(60)


def test_who_was_given_up_writes_nothing_any_more(actor, bench):
    job = start_job(actor, "tests.deaf", "x")
    thread = in_thread(work_off, job.pk)
    assert bench.started.wait(PATIENCE_SECONDS)
    Job.objects.filter(pk=job.pk).update(state="lost", error="The worker that ran this job died.")
    bench.go_on.set()
    thread.join(60)
    job.refresh_from_db()
    assert (job.state, texts(job)) == ("lost", [])


def test_what_was_told_is_kept_when_the_database_has_closed_the_connection(actor):
    job = claim(start_job(actor, "tests.note", "x").pk)
    assert job
    run = Run(job, Masker())
    run.log("told")

    def closed(*_statement):
        raise InterfaceError("connection already closed")

    with connection.execute_wrapper(closed), pytest.raises(InterfaceError):
        save(run)
    save(run)
    assert texts(job) == ["told"]


@pytest.mark.parametrize(("work", "state"), [("tests.note", "waiting"), ("tests.once_only", "lost")])
def test_when_the_panel_ends_only_repeatable_works_go_back_into_the_queue(actor, work, state):
    from jobs.execute import _end
    from jobs.models import JobState

    job = claim(start_job(actor, work, "x").pk)
    assert job
    run = Run(job, Masker())
    run.interrupted = True
    _end(run, JobState.STOPPED, None)
    job.refresh_from_db()
    assert job.state == state


def test_the_end_is_told_once_and_trouble_too(actor):
    ends: list[Job] = []
    troubles: list[Job] = []
    hooks.on_end(ends.append)
    hooks.on_trouble(troubles.append)
    worked_off(start_job(actor, "tests.note", "x"))
    worked_off(start_job(actor, "tests.broken", "x"))
    assert [job.state for job in ends] == ["done", "failed"]
    assert [job.state for job in troubles] == ["failed"]


def test_no_run_is_left_in_the_pulse(actor):
    worked_off(start_job(actor, "tests.broken", "x"))
    assert pulse.runs() == []


def test_what_failed_needs_no_look_any_more_once_the_same_has_been_done(actor):
    job = worked_off(start_job(actor, "tests.note", "x", {"number": 7}))
    rows: dict[str, dict[str, Any]] = {
        "same": {"args": {"number": 7}},
        "other": {"args": {"number": 8}},
        "work": {"args": {"number": 7}, "work": "tests.own"},
    }
    made = {
        name: Job.objects.create(**{"work": "tests.note", "title": name, "state": "failed", **fields})
        for name, fields in rows.items()
    }
    broken = worked_off(start_job(actor, "tests.broken", "x"))
    later = start_job(actor, "tests.note", "x", {"number": 7})
    assert set(Job.objects.unacknowledged()) == {*made.values(), broken}
    worked_off(later)
    assert set(Job.objects.unacknowledged()) == {made["other"], made["work"], broken}
    assert job.acknowledged_at is None
    worked_off(start_job(actor, "tests.broken", "x"))
    assert Job.objects.unacknowledged().count() == 4  # failing again makes nothing good
