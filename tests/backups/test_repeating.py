"""A run that could not come about is tried again by itself, bounded; all else is not, and nobody is told too early."""

from datetime import timedelta

import pytest
from django.utils import timezone

from backups.ending import end_run
from backups.models import BackupRun, BackupSet, BackupState, RunState, SetState, Why
from backups.models.runs import MOST_TRIES, WAITS
from backups.results import summaries
from backups.services.plans import switch_backup
from backups.services.runs import RunRefused, do_not_try_again, run_now, stop_run
from backups.services.sets import run_set, stop_set
from backups.standing import Standing
from backups.telling import RUN_WRONG
from backups.works_runs import look_after_runs
from notifications.models import Message
from notifications.services import add_webhook

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.services]


@pytest.fixture(autouse=True)
def by_hand(settings, actor):
    """Only what is asked for runs, and somebody hears of it."""
    settings.BACKUP_SCHEDULE = False
    settings.WEBHOOK_NETWORKS = ["127.0.0.0/8"]
    add_webhook(actor, name="chat", url="http://127.0.0.1:9/", topics=[RUN_WRONG.name], active=True)


def newest(backup) -> BackupRun:
    return BackupRun.objects.filter(backup=backup).order_by("-pk")[0]


def fails(backup, code: str = "connection", state: RunState = RunState.FAILED) -> BackupRun:
    """The newest run of a backup ends like this."""
    run = newest(backup)
    assert run.state == RunState.RUNNING
    end_run(run, state, code, "The connection to the source was lost.")
    return newest(backup)


def later(minutes: float) -> None:
    """So much time goes by: every moment that is written down moves back."""
    for run in BackupRun.objects.all():
        for name in ("asked_at", "started_at", "ended_at", "again_at"):
            if moment := getattr(run, name):
                setattr(run, name, moment - timedelta(minutes=minutes))
        run.save()
    look_after_runs()


def told() -> list[str]:
    return list(Message.objects.order_by("pk").values_list("title", flat=True))


def test_it_is_tried_again_with_growing_waits_and_told_once_when_it_is_given_up(rows, actor):
    backup = rows.backup()
    run_now(actor, backup)
    for number, wait in enumerate(WAITS, 1):
        run = fails(backup)
        assert run.attempt == number
        assert f"({number + 1} of {MOST_TRIES})" in run.again_words
        assert run.again_at
        assert timedelta(minutes=wait - 1) < run.again_at - timezone.now() <= timedelta(minutes=wait)
        later(wait - 1)
        assert newest(backup) == run
        later(2)
        assert newest(backup) != run
        run.refresh_from_db()
        assert run.again_at is None
        assert told() == []
    again = newest(backup)
    assert (again.why, again.asked_by, again.owner, again.attempt) == (
        Why.AGAIN,
        "ada",
        actor.user,
        MOST_TRIES,
    )
    assert again.askers == run.askers
    assert fails(backup).again_at is None
    assert told() == ["Backup of mail1:/: failed"]
    later(600)
    assert BackupRun.objects.count() == MOST_TRIES


@pytest.mark.parametrize(
    "code", ["denied", "host_key", "rsync", "unclean", "no_rsync", "low_space", "rights", ""]
)
def test_what_does_not_pass_by_itself_is_told_at_once_and_not_tried_again(rows, actor, code):
    backup = rows.backup()
    run_now(actor, backup)
    assert fails(backup, code).again_at is None
    assert len(told()) == 1
    later(200)
    assert BackupRun.objects.count() == 1


@pytest.mark.parametrize(
    ("state", "code"),
    [(RunState.HELD, "source_empty"), (RunState.INCOMPLETE, "partial"), (RunState.STOPPED, "connection")],
)
def test_no_other_end_is_tried_again(rows, actor, state, code):
    backup = rows.backup()
    run_now(actor, backup)
    assert fails(backup, code, state).again_at is None


def test_meanwhile_it_stands_as_before_and_the_page_says_when(rows, actor, admin_client):
    backup = rows.backup()
    now = timezone.now().isoformat()
    BackupState.objects.create(backup=backup, rotated={"hourly": now})
    run_now(actor, backup)
    run = fails(backup)
    summary = summaries([backup])[backup.pk]
    assert (summary.standing, summary.again, summary.next_run) == (Standing.GOOD, run, run.again_at)
    for url in (backup.get_absolute_url(), run.get_absolute_url(), "/", "/backups/runs/"):
        if url != "/backups/runs/":
            assert run.again_words in admin_client.get(url).content.decode(), url
    answer = admin_client.get(run.get_absolute_url(), headers={"accept": "application/json"}).json()
    assert (answer["attempt"], bool(answer["again_at"])) == (1, True)
    assert admin_client.get("/backups/health/").status_code == 200
    assert admin_client.get(f"/backups/zabbix/state/{backup.pk}").content == b"ok"
    do_not_try_again(actor, run)
    assert admin_client.get("/backups/health/").status_code == 503
    assert admin_client.get(f"/backups/zabbix/state/{backup.pk}").content == b"failed"
    assert "The connection to the source was lost." in admin_client.get("/").content.decode()


def test_what_failed_or_was_held_before_stays_red_while_it_is_tried_again(rows, actor):
    backup = rows.backup()
    run_now(actor, backup)
    fails(backup, "source_empty", RunState.HELD)
    run_now(actor, backup)
    fails(backup)
    assert summaries([backup])[backup.pk].standing == Standing.HELD


def test_it_is_given_up_by_a_person_and_once(rows, actor, admin_client, member_client):
    backup = rows.backup()
    run_now(actor, backup)
    run = fails(backup)
    assert member_client.post(f"{run.get_absolute_url()}give-up/").status_code == 404
    answer = admin_client.post(f"{run.get_absolute_url()}give-up/", headers={"accept": "application/json"})
    assert answer.json()["ok"]
    assert told() == ["Backup of mail1:/: failed"]
    with pytest.raises(RunRefused, match="not to be tried again"):
        do_not_try_again(actor, run)
    later(200)
    assert BackupRun.objects.count() == 1


def test_switched_off_it_is_not_tried_again(rows, actor):
    backup = rows.backup()
    run_now(actor, backup)
    run = fails(backup)
    switch_backup(actor, backup, active=False)
    run.refresh_from_db()
    assert run.again_at is None
    run_now(actor, backup)  # by hand, also switched off
    assert fails(backup).again_at


def test_the_next_run_takes_its_place_and_its_levels_and_begins_to_count_anew(rows, actor):
    backup = rows.backup()
    run = run_now(actor, backup)
    BackupRun.objects.filter(pk=run.pk).update(levels=["monthly", "hourly"])
    old = fails(backup)
    BackupState.objects.update_or_create(backup=backup, defaults={"rotated": dict.fromkeys(
        ["monthly", "weekly", "daily"], timezone.now().isoformat())})  # fmt: skip
    new = run_now(actor, backup)
    old.refresh_from_db()
    assert (old.again_at, new.levels, new.attempt) == (None, ["monthly", "hourly"], 1)
    later(200)
    assert BackupRun.objects.count() == 2


def test_no_later_than_the_rhythm_of_the_backup(rows, actor):
    backup = rows.backup()
    run_now(actor, backup)
    later(239)
    assert fails(backup).again_at is None
    daily = rows.backup(source=rows.web1, keep_hourly=0)
    run_now(actor, daily)
    later(239)
    assert fails(daily).again_at


def test_where_another_run_waits_that_one_is_the_next_try(rows, actor):
    backup = rows.backup()
    run_now(actor, backup)
    BackupRun.objects.create(backup=backup, state=RunState.WAITING, levels=["hourly"])
    first = BackupRun.objects.get(state=RunState.RUNNING)
    end_run(first, RunState.FAILED, "connection", "lost")
    first.refresh_from_db()
    assert first.again_at is None


def test_two_schedulers_ask_once_and_what_was_missed_while_the_panel_was_down_is_asked_then(rows, actor):
    backup = rows.backup()
    run_now(actor, backup)
    fails(backup)
    later(100)
    look_after_runs()
    look_after_runs()
    assert [run.attempt for run in BackupRun.objects.order_by("pk")] == [1, 2]


@pytest.fixture
def two(rows):
    """A set of two backups, one after the other."""
    backups = [rows.backup(), rows.backup(source=rows.web1)]
    made = BackupSet.objects.create(name="nightly")
    for position, backup in enumerate(backups, 1):
        made.members.create(backup=backup, position=position)
    return made, backups


def test_a_set_goes_on_waits_for_the_repetition_and_ends_well(two, actor, settings):
    settings.BACKUPS_AT_ONCE = 5
    set_, (first, second) = two
    run = run_set(actor, set_)
    fails(first)
    assert newest(second).state == RunState.RUNNING  # it need not wait
    later(10)
    assert newest(first).attempt == 1  # one after the other
    end_run(newest(second), RunState.DONE)
    run.refresh_from_db()
    assert run.state == SetState.RUNNING
    assert run_set(actor, set_).state == SetState.NOT_STARTED  # it does not overlap itself
    later(0)
    again = newest(first)
    assert again.attempt == 2
    end_run(again, RunState.DONE)
    run.refresh_from_db()
    assert run.state == SetState.DONE
    assert list(run.parts.order_by("position").values_list("run__attempt", flat=True)) == [2, 1]


def test_a_set_that_ends_at_trouble_waits_first(two, actor):
    set_, (first, second) = two
    set_.go_on = False
    set_.save()
    run = run_set(actor, set_)
    old = fails(first)
    assert not BackupRun.objects.filter(backup=second).exists()
    do_not_try_again(actor, old)
    run.refresh_from_db()
    assert run.state == SetState.FAILED


def test_a_stopped_set_tries_nothing_again(two, actor):
    set_, (first, _second) = two
    run = run_set(actor, set_)
    fails(first)
    stop_set(actor, run)
    later(300)
    assert not BackupRun.objects.filter(again_at__isnull=False).exists()
    assert BackupRun.objects.filter(backup=first).count() == 1


def test_a_run_by_hand_that_is_stopped_ends_the_trying(rows, actor):
    backup = rows.backup()
    run_now(actor, backup)
    fails(backup)
    stop_run(actor, run_now(actor, backup))
    end_run(newest(backup), RunState.STOPPED, "stopped")
    later(300)
    assert BackupRun.objects.count() == 2
