"""Workers that are killed inside and between tasks: another one goes on to the same end, forwards and backwards."""

import signal
from datetime import timedelta
from pathlib import Path

import pytest
from django.utils import timezone

from jobs.models import Job
from jobs.upkeep import reap
from tests.jobs.processes import WORKER, running, worker
from tests.waiting import PATIENCE_SECONDS, wait_for
from tests.wizards.conftest import SAMPLES
from tests.wizards.walking import calls, made, started, states
from wizards.models import WizardRun

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.services]


def give_up_dead() -> None:
    """What the schedule does a minute after a worker has died."""
    Job.objects.filter(state="running").update(heartbeat_at=timezone.now() - timedelta(minutes=5))
    reap()


def work_until(run: WizardRun, state: str, log: Path) -> int:
    """Workers, one after the other as they die, until the run is at this state; returns how many died."""
    died = 0
    while True:
        # One that dies in the first task may do so before it has noted that it lives: nobody waits for that.
        with running(WORKER, log, WIZARDS_FOLDER=str(SAMPLES)) as process:
            wait_for(
                lambda: (
                    process.poll() is not None or WizardRun.objects.filter(pk=run.pk, state=state).exists()
                ),
                2 * PATIENCE_SECONDS,
                log,
            )
            if process.poll() is None:
                return died
        assert process.returncode == -signal.SIGKILL, log.read_text()
        died += 1
        give_up_dead()


def test_a_worker_killed_inside_a_task_changes_nothing_of_the_end(admin_client, tmp_path):
    log = tmp_path / "worker.log"
    for name in ("one", "three", "undo-two"):
        (tmp_path / f"kill-{name}").touch()
    run = started(admin_client, tmp_path)
    assert work_until(run, "done", log) == 2
    assert calls(tmp_path) == ["one", "one", "two", "three", "three"]
    assert made(tmp_path) == ["made-one", "made-three", "made-two"]
    run.refresh_from_db()
    assert (states(run), run.revived) == (["done"] * 3, 0)
    admin_client.post(f"/wizards/runs/{run.pk}/undo/", {"confirm_lockout": "on"})
    assert work_until(run, "undone", log) == 1
    assert made(tmp_path) == []


def test_a_run_whose_job_is_lost_for_good_gets_another_one(admin_client, tmp_path):
    log = tmp_path / "worker.log"
    run = started(admin_client, tmp_path)
    first = run.job_id or 0
    old = timezone.now() - timedelta(minutes=5)
    Job.objects.filter(pk=first).update(state="running", times_lost=2, heartbeat_at=old)
    reap()
    run.refresh_from_db()
    assert run.job_id != first
    assert Job.objects.get(pk=first).state == "lost"
    assert not Job.objects.get(pk=first).needs_look  # somebody saw to it
    with worker(log, WIZARDS_FOLDER=str(SAMPLES)):
        wait_for(lambda: WizardRun.objects.filter(state="done").exists(), log=log)


def test_a_worker_that_is_told_to_end_leaves_the_run_to_the_next(admin_client, tmp_path):
    log = tmp_path / "worker.log"
    (tmp_path / "job-one").touch()
    run = started(admin_client, tmp_path)
    with worker(log, WIZARDS_FOLDER=str(SAMPLES)):
        wait_for(lambda: calls(tmp_path), log=log)
    with worker(log, WIZARDS_FOLDER=str(SAMPLES)):
        wait_for(lambda: WizardRun.objects.filter(pk=run.pk, state="done").exists(), log=log)


def test_a_task_that_kills_its_worker_again_and_again_is_given_up(admin_client, tmp_path):
    run = started(admin_client, tmp_path)
    for _ in range(30):
        run.refresh_from_db()
        if run.state == "failed":
            break
        old = timezone.now() - timedelta(minutes=5)
        Job.objects.filter(pk=run.job_id or 0).update(state="running", times_lost=2, heartbeat_at=old)
        reap()
    assert run.state == "failed"
    assert run.why == "The worker died again and again in this task."
