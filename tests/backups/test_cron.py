"""What `backup_cron` asks for, in each mode and in none, and what it says is in the way."""

from datetime import timedelta
from io import StringIO

import pytest
from django.core.management import CommandError, call_command
from django.utils import timezone

from backups.ending import end_run
from backups.models import BackupRun, BackupState, Level, RunState, Why
from backups.services.runs import here_and_now, run_now

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.services]
ALL = ["monthly", "weekly", "daily", "hourly"]


def cron(*words: str, verbosity: int = 1) -> str:
    """What it prints; raises CommandError, which cron sees as exit code 1."""
    out = StringIO()
    call_command("backup_cron", *words, verbosity=verbosity, stdout=out)
    return out.getvalue()


def asked() -> dict[str, list[str]]:
    """The levels that were asked for, by backup, of runs that have not ended."""
    return {str(run.backup): run.levels for run in BackupRun.objects.open()}


def rotated_now(backup, *levels: str) -> None:
    now = timezone.now().isoformat()
    BackupState.objects.update_or_create(backup=backup, defaults={"rotated": dict.fromkeys(levels, now)})


def test_without_a_mode_each_active_backup_runs_that_is_due(rows):
    rows.backup()
    rows.backup(source=rows.web1, active=False)
    resting = rows.backup(source=rows.pve1)
    rotated_now(resting, *Level.values)
    assert cron() == ""
    assert asked() == {"mail1:/": ALL}
    run = BackupRun.objects.get()
    assert (run.why, run.asked_by, run.state) == (Why.CRON, "cron", RunState.RUNNING)


def test_without_a_mode_one_that_is_at_it_is_left_alone(rows):
    rows.backup()
    cron()
    assert cron() == ""
    assert BackupRun.objects.count() == 1


@pytest.mark.parametrize("mode", Level.values)
def test_a_mode_runs_that_level_of_each_backup_that_keeps_it(rows, settings, mode):
    settings.BACKUP_SCHEDULE = False
    rotated_now(rows.backup(), *Level.values)  # whether or not its time has come: cron knows
    others = {f"keep_{level}": int(level != mode) * 2 for level in Level.values}
    rows.backup(source=rows.web1, **others)
    rows.backup(source=rows.pve1, active=False)
    assert cron(mode, verbosity=2) == f"mail1:/: {mode}\n"
    assert asked() == {"mail1:/": [mode]}


def test_beside_the_panels_own_schedule_nothing_runs_twice_in_its_slot(rows, settings):
    settings.BACKUP_SCHEDULE = True
    backup = rows.backup()
    rotated_now(backup, "hourly")
    cron("hourly")
    assert asked() == {}
    cron("daily")
    assert asked() == {"mail1:/": ["daily"]}


def test_lines_for_several_levels_at_one_minute_become_one_run(rows, settings):
    settings.BACKUP_SCHEDULE, settings.BACKUPS_AT_ONCE = False, 1
    rows.backup()
    other = rows.backup(source=rows.web1)
    BackupRun.objects.create(backup=other, state=RunState.RUNNING, levels=["monthly"])
    for mode in ("hourly", "daily"):
        cron(mode)
    assert asked()["mail1:/"] == ["daily", "hourly"]


def test_a_level_that_still_runs_is_said_and_the_others_run_all_the_same(rows, actor, settings):
    settings.BACKUP_SCHEDULE = False
    slow = rows.backup()
    run_now(actor, slow)
    rows.backup(source=rows.web1)
    with pytest.raises(CommandError, match=r"mail1:/: not started, it still runs since \d{4}-"):
        cron("hourly")
    assert asked() == {"mail1:/": ALL, "web1:/": ["hourly"]}


def test_what_is_held_is_not_rotated_by_a_higher_level_but_copied_again(rows, actor, settings):
    settings.BACKUP_SCHEDULE = False
    backup = rows.backup()
    run = run_now(actor, backup)
    run.refresh_from_db()
    end_run(run, RunState.HELD, "source_empty", "The source folder is empty.")
    with pytest.raises(CommandError, match=r"mail1:/: not rotated, it is held: The source folder is empty\."):
        cron("daily")
    assert asked() == {}
    cron("hourly")
    assert asked() == {"mail1:/": ["hourly"]}


def test_a_run_that_failed_for_a_passing_reason_is_not_for_cron_to_try_again(rows, actor):
    backup = rows.backup()
    run = run_now(actor, backup)
    run.refresh_from_db()
    end_run(run, RunState.FAILED, "connection", "It was lost.")
    cron()
    assert asked() == {}
    began = here_and_now() - timedelta(minutes=20)
    BackupRun.objects.update(ended_at=began)
    cron()
    assert asked() == {}
    assert BackupRun.objects.get().again_at


def test_an_unknown_mode_is_refused(rows):
    rows.backup()
    with pytest.raises(CommandError, match="yearly"):
        cron("yearly")
    assert not BackupRun.objects.exists()
