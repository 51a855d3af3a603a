"""Sets: made, changed, run one after the other or side by side, stopped, never twice at once."""

import threading
from datetime import timedelta

import pytest
from django.db import connections
from django.utils import timezone

from accounts.models import AuditEntry
from backups.ending import end_run
from backups.models import BackupRun, BackupSet, BackupSetRun, RunState, SetState, Why
from backups.services.plans import switch_backup
from backups.services.runs import RunRefused, here_and_now, run_now
from backups.services.sets import delete_set, look_after_sets, run_due_sets, run_set, save_set, stop_set
from servers.services import StaleEdit

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.services]
FIELDS = {"name": "nightly", "active": False, "hour": 22, "minute": 0, "side_by_side": False, "go_on": True}


@pytest.fixture
def backups(rows):
    """Three of them, on one backup server that takes as many at once."""
    return [rows.backup(source=source) for source in (rows.mail1, rows.web1, rows.pve1)]


def made(actor, backups, **fields) -> BackupSet:
    return save_set(actor, BackupSet(), {**FIELDS, **fields}, backups)


def sources(*states: RunState) -> list[str]:
    """Whose runs are in these states, in the order in which they were asked for."""
    runs = BackupRun.objects.filter(state__in=states).order_by("pk")
    return [run.backup.source.name for run in runs]


def end(state: RunState = RunState.DONE) -> None:
    """The run that is on ends."""
    end_run(BackupRun.objects.get(state=RunState.RUNNING), state, "", "No." if state != RunState.DONE else "")


def test_a_set_is_made_and_changed_with_what_was_before_in_the_audit_trail(actor, backups):
    set_ = made(actor, backups)
    changed = save_set(actor, set_, {**FIELDS, "go_on": False}, [backups[2], backups[0]], version=1)
    assert [member.backup for member in changed.members.all()] == [backups[2], backups[0]]
    entry = AuditEntry.objects.get(verb="backup_set.change")
    assert entry.before == {"go_on": True, "backups": [row.pk for row in backups]}
    assert entry.after == {"go_on": False, "backups": [backups[2].pk, backups[0].pk]}


def test_who_saves_what_another_has_changed_or_deleted_meanwhile_is_told(actor, backups):
    set_ = made(actor, backups)
    save_set(actor, set_, {**FIELDS, "hour": 3}, backups, version=1)
    with pytest.raises(StaleEdit):
        save_set(actor, set_, {**FIELDS, "hour": 4}, backups[:1], version=1)
    set_.refresh_from_db()
    assert (set_.hour, set_.version, set_.members.count()) == (3, 2, 3)
    delete_set(actor, BackupSet.objects.get(pk=set_.pk))
    with pytest.raises(StaleEdit):
        save_set(actor, set_, FIELDS, backups, version=2)
    assert not BackupSet.objects.exists()


def test_one_after_the_other_in_their_order(actor, backups, settings):
    settings.BACKUPS_AT_ONCE = 3
    run = run_set(actor, made(actor, [backups[1], backups[0], backups[2]]))
    begun = []
    for _backup in backups:
        (name,) = sources(RunState.RUNNING, RunState.WAITING)
        begun.append(name)
        end()
    assert begun == ["web1", "mail1", "pve1"]
    run.refresh_from_db()
    assert (run.state, run.words) == (SetState.DONE, "")
    assert set(BackupRun.objects.values_list("why", flat=True)) == {Why.SET}


def test_side_by_side_as_far_as_the_backup_server_takes_them(actor, backups, settings):
    settings.BACKUPS_AT_ONCE = 2
    run = run_set(actor, made(actor, backups, side_by_side=True))
    assert sources(RunState.RUNNING) == ["mail1", "web1"]
    assert sources(RunState.WAITING) == ["pve1"]
    for one in BackupRun.objects.filter(state=RunState.RUNNING):
        end_run(one, RunState.DONE)
    end()
    run.refresh_from_db()
    assert run.state == SetState.DONE


@pytest.mark.parametrize(("go_on", "ran"), [(True, 3), (False, 1)])
def test_after_trouble_it_goes_on_or_ends_as_it_was_told(actor, backups, go_on, ran):
    run = run_set(actor, made(actor, backups, go_on=go_on))
    end(RunState.FAILED)
    while BackupRun.objects.open().exists():
        end()
    run.refresh_from_db()
    assert BackupRun.objects.count() == ran
    assert (run.state, run.words) == (SetState.FAILED, f"{ran - 1} of 3 backups ended well.")


def test_while_it_runs_it_is_not_started_again_and_that_is_written_down(actor, backups):
    set_ = made(actor, backups)
    first = run_set(actor, set_)
    second = run_set(actor, set_)
    assert (second.state, second.words) == (SetState.NOT_STARTED, "The run before it was still on.")
    assert not second.parts.exists()
    first.refresh_from_db()
    assert first.state == SetState.RUNNING
    assert BackupRun.objects.count() == 1
    assert set_.__class__.objects.with_last().get().last_state == SetState.NOT_STARTED


def test_of_four_who_start_it_at_once_one_does(actor, backups):
    set_ = made(actor, backups)
    states = []

    def start() -> None:
        try:
            states.append(run_set(actor, set_).state)
        finally:
            connections.close_all()

    threads = [threading.Thread(target=start) for _number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(states) == [SetState.NOT_STARTED] * 3 + [SetState.RUNNING]
    assert BackupRun.objects.count() == 1


def test_a_run_that_waits_already_is_the_sets_as_well(actor, backups, settings):
    settings.BACKUPS_AT_ONCE = 1
    run_now(actor, backups[2])
    waiting = run_now(actor, backups[0])
    run = run_set(actor, made(actor, backups[:1]))
    assert run.parts.get().run == waiting
    end()
    end()
    run.refresh_from_db()
    assert run.state == SetState.DONE


def test_stop_ends_what_it_started_and_starts_nothing_more(actor, backups):
    run = run_set(actor, made(actor, backups))
    stop_set(actor, run)
    run.refresh_from_db()
    assert (run.state, run.words) == (SetState.STOPPED, "Stopped by ada.")
    assert BackupRun.objects.get().stop_asked_by == "ada"
    end(RunState.STOPPED)
    assert BackupRun.objects.count() == 1
    with pytest.raises(RunRefused):
        stop_set(actor, run)


def test_what_a_set_has_missed_it_makes_up_for(actor, backups):
    run = run_set(actor, made(actor, backups[:2]))
    # As if the process had died between the end of a run and what follows from it.
    BackupRun.objects.update(state=RunState.DONE, ended_at=timezone.now())
    look_after_sets()
    assert sources(RunState.RUNNING) == ["web1"]
    BackupRun.objects.update(state=RunState.DONE)
    look_after_sets()
    run.refresh_from_db()
    assert run.state == SetState.DONE


def test_a_backup_that_is_deleted_meanwhile_is_no_part_any_more(actor, backups):
    run = run_set(actor, made(actor, backups))
    backups[1].delete()
    end()
    end()
    run.refresh_from_db()
    assert run.state == SetState.DONE
    assert run.parts.count() == 2


def test_a_set_that_runs_is_not_deleted_and_its_backups_stay(actor, backups):
    set_ = made(actor, backups[:1])
    run_set(actor, set_)
    with pytest.raises(RunRefused):
        delete_set(actor, set_)
    end()
    delete_set(actor, set_)
    assert not BackupSetRun.objects.exists()
    assert BackupRun.objects.get().state == RunState.DONE


def test_the_schedule_starts_the_active_ones_whose_time_has_come_once(actor, backups):
    now = here_and_now() - timedelta(minutes=2)
    times = {"hour": now.hour, "minute": now.minute}
    due = made(actor, backups[:1], name="due", active=True, **times)
    made(actor, backups[1:2], name="by hand", active=False, **times)
    later = here_and_now() + timedelta(hours=3)
    made(actor, backups[2:], name="later", active=True, hour=later.hour, minute=later.minute)
    assert [run.set for run in run_due_sets()] == [due]
    assert run_due_sets() == []
    assert due.runs.get().asked_by == "scheduler"


def test_a_backup_that_is_switched_off_runs_in_its_set_and_the_page_says_so(actor, admin_client, backups):
    switch_backup(actor, backups[0], active=False)
    run_set(actor, made(actor, backups[:1]))
    assert sources(RunState.RUNNING) == [backups[0].source.name]
    end()
    assert "only by hand or in a set" in admin_client.get(backups[0].get_absolute_url()).content.decode()
    edit = admin_client.get(f"{backups[0].get_absolute_url()}edit/").content.decode()
    assert "Switched off, it runs only by hand or in a set" in edit
    assert "100: only where nothing comes from it any more" in edit


def test_what_only_a_set_runs_is_named_before_that_is_deleted(actor, admin_client, backups):
    """“Its backups stay” was all that was said: one that is switched off was copied no more, and nobody told."""
    switch_backup(actor, backups[0], active=False)
    set_ = made(actor, backups[:2], active=True)
    page = admin_client.get(f"{set_.get_absolute_url()}delete/").content.decode()
    words = "is switched off, and runs in no other set"
    assert [f"{backup} {words}" in page for backup in backups[:2]] == [True, False]
    made(actor, backups[:1], name="other", active=True)
    assert words not in admin_client.get(f"{set_.get_absolute_url()}delete/").content.decode()
