"""What people and programs hear of backups, by a real mail server and a real web hook; nothing is told twice."""

import json
from collections.abc import Callable, Iterator
from datetime import timedelta

import pytest
from django.utils import timezone

from backups.ending import end_run
from backups.models import Backup, BackupRun, BackupSet, BackupState, RunState, SetState
from backups.rhythm import set_missed
from backups.services.plans import switch_backup
from backups.services.runs import here_and_now, run_now, stop_run
from backups.services.sets import run_due_sets, run_set, save_set
from backups.telling import TOPICS
from backups.watching_stale import look_for_stale
from jobs.models import Job, JobState
from notifications.services import add_webhook, choose_topics
from notifications.telling import MAIL_WORK, POST_WORK
from tests.jobs.working import work_off
from tests.notifications.receivers import HookServer, MailServer, send_mail_to, serving

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.services]
NAMES = [topic.name for topic in TOPICS]
SET = {"name": "nightly", "active": False, "hour": 22, "minute": 0, "side_by_side": True, "go_on": True}


@pytest.fixture
def heard(actor, settings) -> Iterator[Callable[[], list[tuple[str, str, str]]]]:
    """Topic, title and text of all that a web hook has got since it was last asked."""
    settings.WEBHOOK_NETWORKS = ["127.0.0.0/8"]
    with serving(HookServer()) as server:
        add_webhook(actor, name="chat", url=server.url, topics=NAMES, active=True)

        def since() -> list[tuple[str, str, str]]:
            send_now()
            got = [json.loads(body) for _path, _headers, body in server.posts]
            server.posts.clear()
            return [(one["topic"].removeprefix("backups."), one["title"], one["text"]) for one in got]

        yield since


def send_now() -> None:
    """Have all news delivered; other jobs stay."""
    others = Job.objects.filter(state=JobState.WAITING).exclude(work__in=(MAIL_WORK, POST_WORK))
    others.update(not_before=timezone.now() + timedelta(hours=1))
    Job.objects.filter(state=JobState.WAITING, work__in=(MAIL_WORK, POST_WORK)).update(
        not_before="2020-01-01T00:00:00Z"
    )
    work_off()


def running(actor, backup: Backup) -> BackupRun:
    """A run of it that has begun."""
    run = run_now(actor, backup)
    run.refresh_from_db()
    assert run.state == RunState.RUNNING
    return run


def aged(backup: Backup, hours: float) -> None:
    """Have its last good run lie so long ago."""
    then = timezone.now() - timedelta(hours=hours)
    run = BackupRun.objects.create(backup=backup, state=RunState.DONE, levels=["hourly"], asked_at=then,
                                   started_at=then, ended_at=then)  # fmt: skip
    values = {"last": run, "rotated": {"hourly": then.isoformat()}, "good_at": then}
    BackupState.objects.update_or_create(backup=backup, defaults=values)


def test_the_end_of_a_run_is_told_by_its_kind(actor, rows, heard):
    backup = rows.backup()
    end_run(running(actor, backup), RunState.DONE)
    (done,) = heard()
    assert done[:2] == ("run_done", "Backup of mail1:/: done")
    assert done[2].startswith("Copied to /backups/mail1 on backup1 in ")
    end_run(running(actor, backup), RunState.HELD, "source_empty", "Nothing was found in it.")
    assert heard() == [
        ("run_wrong", "Backup of mail1:/: held", "The source came back empty.\nNothing was found in it.")
    ]
    for state in (RunState.FAILED, RunState.INCOMPLETE, RunState.LOST):
        end_run(running(actor, backup), state, "", "The disk broke.")
        assert heard() == [("run_wrong", f"Backup of mail1:/: {state.label}", "The disk broke.")]


def test_a_run_is_told_once_and_one_that_somebody_stopped_not_at_all(actor, rows, heard):
    run = running(actor, rows.backup())
    assert end_run(run, RunState.FAILED, "", "First.")
    assert not end_run(run, RunState.FAILED, "", "Again.")
    assert len(heard()) == 1
    end_run(running(actor, run.backup), RunState.STOPPED)
    running(actor, run.backup)
    stop_run(actor, run_now(actor, run.backup))  # one that waits
    assert heard() == []


def test_an_owner_hears_of_his_own_by_mail_and_of_no_others(actor, member, rows, settings):
    rows.web1.owners.add(member)
    choose_topics(actor, member, NAMES)
    mine, other = rows.backup(source=rows.web1), rows.backup()
    with serving(MailServer()) as server:
        send_mail_to(server, settings)
        for backup in (other, mine):
            end_run(running(actor, backup), RunState.DONE)
        run_set(actor, save_set(actor, BackupSet(), SET, [mine]))
        send_now()
        (mail,) = server.mails
    assert (mail["To"], mail["Subject"]) == ("mel@example.org", "[Gestion] Backup of web1:/: done")
    assert BackupRun.objects.get(backup=mine, state=RunState.DONE).get_absolute_url() in mail.get_content()


def test_a_stale_backup_is_told_once_and_again_when_it_is_well(actor, rows, heard):
    backup = rows.backup()
    aged(backup, 7)  # every four hours; one may be missed
    look_for_stale()
    assert heard() == []
    aged(backup, 9)
    for _minute in range(3):
        look_for_stale()
    ((topic, title, text),) = heard()
    assert (topic, title) == ("stale", "Backup of mail1:/: stale")
    assert text == "Late: hourly. It stands like this: stale."
    aged(backup, 0.1)
    for _minute in range(3):
        look_for_stale()
    assert heard() == [("stale", "Backup of mail1:/: no longer stale", "")]
    aged(backup, 9)
    look_for_stale()
    assert [title for _topic, title, _text in heard()] == ["Backup of mail1:/: stale"]


def test_a_stale_backup_says_why_when_its_last_run_says_it(actor, rows, heard):
    backup = rows.backup()
    aged(backup, 9)
    end_run(running(actor, backup), RunState.HELD, "source_empty", "Nothing was found in it.")
    heard()
    look_for_stale()
    ((_topic, _title, text),) = heard()
    assert text.splitlines() == [
        "Late: hourly. It stands like this: held.",
        "The source came back empty. Nothing was found in it.",
    ]


def test_one_that_never_ran_is_stale_when_its_time_has_passed_but_not_while_its_first_copy_is_made(
    actor, rows, heard
):
    backup = rows.backup(created_at=timezone.now() - timedelta(hours=9))
    run = running(actor, backup)
    look_for_stale()
    assert heard() == []
    end_run(run, RunState.FAILED, "", "No.")
    heard()
    look_for_stale()
    assert [topic for topic, _title, _text in heard()] == ["stale"]
    running(actor, backup)
    look_for_stale()
    assert heard() == []  # neither stale anew, nor well before it is


def test_switched_off_nobody_expects_anything(actor, rows, heard):
    backup = rows.backup()
    aged(backup, 9)
    look_for_stale()
    assert len(heard()) == 1
    switch_backup(actor, backup, active=False)
    look_for_stale()
    assert heard() == []
    assert not BackupState.objects.exclude(stale_since=None).exists()


def test_the_end_of_a_set_is_told_with_what_became_of_each(actor, rows, heard):
    backups = [rows.backup(), rows.backup(source=rows.web1)]
    run = run_set(actor, save_set(actor, BackupSet(), SET, backups))
    first, second = BackupRun.objects.order_by("pk")
    end_run(first, RunState.DONE)
    end_run(second, RunState.FAILED, "", "No.")
    run.refresh_from_db()
    assert run.state == SetState.FAILED
    (told,) = [one for one in heard() if one[0] == "set_done"]
    assert told[1] == "Backup set nightly: failed"
    assert told[2].splitlines() == ["1 of 2 backups ended well.", "mail1:/: done", "web1:/: failed"]


def test_a_set_that_still_runs_or_is_too_late_is_not_started_and_that_is_told_once(actor, rows, heard):
    set_ = save_set(actor, BackupSet(), SET, [rows.backup()])
    run_set(actor, set_)
    assert run_set(actor, set_).state == SetState.NOT_STARTED
    assert heard() == [
        ("set_not_started", "Backup set nightly: not started", "The run before it was still on.")
    ]
    set_.runs.all().delete()
    due = here_and_now() - timedelta(hours=2)
    values = {"hour": due.hour, "minute": due.minute, "active": True}
    BackupSet.objects.update(**values, timed_at=due - timedelta(days=1))
    assert [run.state for run in run_due_sets()] == [SetState.NOT_STARTED]
    assert run_due_sets() == []
    ((topic, _title, text),) = heard()
    assert topic == "set_not_started"
    assert text.startswith(f"It was to run at {due:%Y-%m-%d %H:%M}")


def test_a_set_is_not_told_as_missed_for_a_time_at_which_it_was_not_yet_to_run(actor, rows, heard):
    due = here_and_now() - timedelta(hours=2)
    fields = {**SET, "active": True, "hour": due.hour, "minute": due.minute}
    set_ = save_set(actor, BackupSet(), fields, [rows.backup()])
    assert run_due_sets() == []
    BackupSet.objects.update(timed_at=due - timedelta(days=3), active=False)
    assert run_due_sets() == []
    set_.refresh_from_db()
    save_set(actor, set_, fields, [rows.backup(source=rows.web1)])  # switched on again
    assert run_due_sets() == []
    assert heard() == []
    assert set_missed(due.hour, due.minute, due - timedelta(days=3), None, here_and_now())


def test_the_topics_are_on_the_page_where_people_choose(member_client):
    page = member_client.get("/notifications/").content.decode()
    for topic in TOPICS:
        assert str(topic.title) in page
