"""Runs from start to end, failing, waiting, stopped, resumed, undone: in this process."""

import json
import re

import pytest
from django.db import connection

from accounts.models import AuditEntry
from jobs import execute
from jobs.models import Job, JobLine
from tests.jobs.working import work_off
from tests.wizards.walking import answered, calls, made, started, states
from wizards import catalogue, waking
from wizards.models import WizardRun
from wizards.services import runs as services

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.services]


def job_of(run: WizardRun) -> Job:
    return Job.objects.get(pk=run.job_id or 0)


def carry_out_once(run: WizardRun) -> None:
    job = execute.claim(job_of(run).pk)
    assert job
    execute.carry_out(job)


def test_a_run_does_all_its_tasks_in_order(admin_client, tmp_path):
    run = started(admin_client, tmp_path)
    work_off()
    run.refresh_from_db()
    assert (run.state, run.why, states(run)) == ("done", "", ["done"] * 3)
    assert calls(tmp_path) == ["one", "two", "three"]
    assert run.tasks.get(slug="three").facts["after"] == ["one", "two"]
    page = admin_client.get(run.get_absolute_url()).content.decode()
    assert str(tmp_path / "made-three") in page
    assert "Make one for A walk" in page
    verbs = set(AuditEntry.objects.values_list("verb", flat=True))
    assert {"wizard.draft", "wizard.start"} <= verbs
    assert job_of(run).state == "done"
    assert 0 < run.own_seconds <= run.total_seconds


def test_what_a_task_prints_is_in_its_log_without_the_secret(admin_client, tmp_path):
    (tmp_path / "print-two").touch()
    run = started(admin_client, tmp_path)
    work_off()
    lines = list(JobLine.objects.filter(job=job_of(run), stream="out").values_list("text", flat=True))
    assert lines == ["two prints •••••"]


def test_a_part_that_is_switched_off_is_shown_and_left_out(admin_client, tmp_path):
    run = answered(admin_client, tmp_path, with_two="")
    page = admin_client.get(f"/wizards/runs/{run.pk}/review/").content.decode()
    assert "line-off" in page
    assert "switched off" in page
    admin_client.post(f"/wizards/runs/{run.pk}/review/")
    work_off()
    assert states(run) == ["done", "off", "done"]
    assert calls(tmp_path) == ["one", "three"]


def test_a_failed_task_says_why_and_can_be_resumed(admin_client, tmp_path):
    (tmp_path / "fail-two").touch()
    run = started(admin_client, tmp_path)
    work_off()
    run.refresh_from_db()
    assert (run.state, states(run)) == ("failed", ["done", "failed", "planned"])
    assert run.why == "two was told to fail with •••••."
    assert job_of(run).state == "failed"
    assert admin_client.post(f"/wizards/runs/{run.pk}/resume/").status_code == 302
    work_off()
    run.refresh_from_db()
    assert (run.state, run.why, states(run)) == ("done", "", ["done"] * 3)
    assert calls(tmp_path) == ["one", "two", "two", "three"]


def test_a_fault_inside_a_task_of_an_own_file_names_the_file_and_line(admin_client, tmp_path, sample_folder):
    (tmp_path / "break-one").touch()
    run = started(admin_client, tmp_path)
    work_off()
    run.refresh_from_db()
    assert run.state == "failed"
    assert re.fullmatch(r"walk.py, line \d+: ZeroDivisionError", run.why)
    assert catalogue.own_file_of(run.slug) == sample_folder / "walk.py"
    assert catalogue.own_file_of("create_vm") is None  # a fault there is the panel's, and told as that


def test_waiting_holds_no_worker_and_leaves_no_second_job(admin_client, tmp_path):
    (tmp_path / "wait-one").touch()
    (tmp_path / "job-two").touch()
    run = started(admin_client, tmp_path)
    done = work_off()
    run.refresh_from_db()
    assert (run.state, states(run)) == ("done", ["done"] * 3)
    assert calls(tmp_path) == ["one", "one", "two", "two", "three"]
    assert sorted({job.work for job in done}) == ["jobs.check", "wizards.carry_on"]
    assert Job.objects.filter(work="wizards.carry_on").count() == 1
    assert Job.objects.filter(pk=run.tasks.get(slug="two").job_id or 0, title="awaited by two").exists()
    assert run.outside_seconds >= 0.5  # a fifth of a second, and the awaited job's third


def test_a_wake_that_was_lost_is_made_up_for(admin_client, tmp_path):
    (tmp_path / "job-two").touch()
    run = started(admin_client, tmp_path)
    carry_out_once(run)
    run.refresh_from_db()
    assert run.state == "waiting"
    assert run.awaited is not None
    Job.objects.filter(pk=run.awaited_id or 0).update(state="done")  # in a process that died before it told
    waking.look()
    work_off()
    run.refresh_from_db()
    assert run.state == "done"


def test_stop_while_it_waits_ends_it_at_once(admin_client, tmp_path):
    (tmp_path / "job-two").touch()
    run = started(admin_client, tmp_path)
    carry_out_once(run)
    assert admin_client.post(f"/wizards/runs/{run.pk}/stop/").status_code == 302
    run.refresh_from_db()
    assert (run.state, states(run)) == ("stopped", ["done", "stopped", "planned"])
    assert admin_client.post(f"/wizards/runs/{run.pk}/resume/").status_code == 302
    work_off()
    run.refresh_from_db()
    assert run.state == "done"


def test_stop_lets_the_task_end_what_it_is_doing(admin_client, tmp_path):
    (tmp_path / "stop-one").touch()
    run = started(admin_client, tmp_path)
    work_off()
    run.refresh_from_db()
    assert (run.state, states(run)) == ("stopped", ["done", "planned", "planned"])
    admin_client.post(f"/wizards/runs/{run.pk}/resume/")
    work_off()
    assert calls(tmp_path) == ["one", "two", "three"]


def test_undo_goes_backwards_after_a_second_word(admin_client, tmp_path):
    run = started(admin_client, tmp_path)
    work_off()
    page = admin_client.get(f"/wizards/runs/{run.pk}/undo/").content.decode()
    assert page.index("Remove three") < page.index("Remove one")
    assert admin_client.post(f"/wizards/runs/{run.pk}/undo/").status_code == 409
    (tmp_path / "fail-undo-two").touch()
    answer = admin_client.post(f"/wizards/runs/{run.pk}/undo/", {"confirm_lockout": "on"})
    assert answer.status_code == 302
    work_off()
    run.refresh_from_db()
    assert (run.state, run.undoing) == ("failed", True)
    assert states(run) == ["done", "failed", "undone"]
    admin_client.post(f"/wizards/runs/{run.pk}/resume/")
    work_off()
    run.refresh_from_db()
    assert (run.state, states(run)) == ("undone", ["undone"] * 3)
    assert calls(tmp_path)[3:] == ["undo three", "undo two", "undo two", "undo one"]
    assert made(tmp_path) == []


def test_undo_touches_nothing_while_others_have_hung_something_on_what_was_made(admin_client, tmp_path):
    run = started(admin_client, tmp_path)
    work_off()
    (tmp_path / "hung-x").touch()
    url = f"/wizards/runs/{run.pk}/undo/"
    page = admin_client.get(url).content.decode()
    assert '<a href="/hung-x/">the thing &lt;hung-x&gt;</a>' in page
    assert "confirm_lockout" not in page
    accept = {"Accept": "application/json"}
    assert admin_client.get(url, headers=accept).json()["first"] == ["the thing <hung-x>"]
    answer = admin_client.post(url, {"confirm_lockout": True}, "application/json", headers=accept)
    assert answer.status_code == 409
    assert answer.json()["errors"]["__all__"] == ["First change this: the thing <hung-x>."]
    run.refresh_from_db()
    assert (run.state, run.undoing, len(made(tmp_path))) == ("done", False, 3)
    (tmp_path / "hung-x").unlink()
    (tmp_path / "hang-undo-three").touch()  # somebody is quicker than its next step
    admin_client.post(url, {"confirm_lockout": "on"})
    work_off()
    run.refresh_from_db()
    assert (run.state, run.why) == ("failed", "First change this: the thing <hung-by-undo-three>.")
    assert made(tmp_path) == ["made-one", "made-two"]
    page = admin_client.get(run.get_absolute_url()).content.decode()
    assert '<a href="/hung-by-undo-three/">the thing &lt;hung-by-undo-three&gt;</a>' in page
    assert "The undo of Walk" in admin_client.get("/").content.decode()
    (tmp_path / "hung-by-undo-three").unlink()
    admin_client.post(f"/wizards/runs/{run.pk}/resume/")
    work_off()
    run.refresh_from_db()
    assert (run.state, made(tmp_path)) == ("undone", [])
    assert not Job.objects.unacknowledged().exists()


def test_undo_of_a_failed_run_takes_back_only_what_was_begun(admin_client, tmp_path):
    (tmp_path / "fail-two").touch()
    run = started(admin_client, tmp_path)
    work_off()
    admin_client.post(f"/wizards/runs/{run.pk}/undo/", {"confirm_lockout": "on"})
    work_off()
    run.refresh_from_db()
    assert (run.state, states(run)) == ("undone", ["undone", "undone", "planned"])
    assert calls(tmp_path) == ["one", "two", "undo two", "undo one"]


def test_secrets_are_nowhere_in_the_clear_and_forgotten_at_the_end(admin_client, tmp_path):
    run = started(admin_client, tmp_path)

    def raw() -> str:
        with connection.cursor() as cursor:
            cursor.execute("SELECT answers FROM wizards_wizardrun WHERE id = %s", [run.pk])
            return str(cursor.fetchone()[0])

    assert "s3cret" not in raw()
    assert run.step_values(0)["password"] == "s3cret words"
    work_off()
    run.refresh_from_db()
    assert "password" not in run.step_values(0)
    lines = "\n".join(JobLine.objects.values_list("text", flat=True))
    assert "doing one with •••••" in lines
    assert "s3cret" not in lines
    audited = json.dumps(list(AuditEntry.objects.values_list("after", flat=True)), default=str)
    assert "s3cret" not in audited + admin_client.get(run.get_absolute_url()).content.decode()


def test_only_the_newest_job_may_carry_a_run_on(admin_client, actor, tmp_path):
    run = started(admin_client, tmp_path)
    first = job_of(run)
    WizardRun.objects.filter(pk=run.pk).update(state="failed")
    services.resume_run(actor, run)
    run.refresh_from_db()
    assert run.job_id != first.pk
    work_off()
    assert calls(tmp_path) == ["one", "two", "three"]
    assert first.lines.filter(text="Another job carries this on.").exists()
