"""`backup_cron` as cron calls it, with a worker that carries out; and a worker that is killed with `kill -9`."""

import os
import signal
import subprocess
import sys
from datetime import timedelta

import pytest
from django.utils import timezone

from backups.models import Backup, BackupRun, RunState
from backups.services.runs import run_now
from jobs.models import Job, JobState
from tests.backups.lab_rows import DESTINATION, SOURCE_FOLDER, SYSTEM, ground, sh, state
from tests.jobs.processes import environment, worker
from tests.panel import ROOT
from tests.waiting import wait_for

pytestmark = [pytest.mark.lab, pytest.mark.django_db(transaction=True)]
LEVELS = ("monthly", "weekly", "daily", "hourly")
KEPT = {f"keep_{level}": 2 for level in LEVELS}


@pytest.fixture
def place(fleet, lab_key, django_db_blocker):
    made = ground(fleet, lab_key)
    sh(made.here, f"cd {SOURCE_FOLDER} && for i in $(seq 20); do head -c 300000 /dev/urandom >f$i; done")
    return made


def cron(*words: str) -> subprocess.CompletedProcess[str]:
    """The line of the crontab, with nothing of a terminal around it."""
    argv = [sys.executable, str(ROOT / "manage.py"), "backup_cron", *words]
    # Slots are of four hours, from midnight: in this zone one began an hour ago, so none begins between two lines.
    zone = f"Etc/GMT+{(timezone.now().hour - 1) % 4}"
    env = environment(BACKUP_SCHEDULE="false", TIME_ZONE=zone)
    return subprocess.run(
        argv,
        cwd="/",
        env=env,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=240,
        check=False,
    )


def test_cron_runs_what_is_due_and_then_each_level_and_says_nothing(place, tmp_path):
    backup = place.backup(**KEPT)
    with worker(tmp_path / "worker.log", BACKUP_SCHEDULE="false"):
        answers = [cron("--wait"), cron("--wait")]  # the first one makes hourly.0; then nothing is due
        answers += [cron("hourly", "--wait") for _time in range(2)]
        answers += [cron(level, "--wait") for level in ("daily", "hourly", "daily", "weekly")]
        asked = cron("-v", "2", "monthly", "--wait")
    for answer in answers:
        assert (answer.returncode, answer.stdout, answer.stderr) == (0, "", "")
    assert (asked.returncode, asked.stdout, asked.stderr) == (0, "files1:/srv/tree: monthly\n", "")
    runs = [run.rotated for run in backup.runs.order_by("pk")]
    assert runs == [["hourly"]] * 3 + [["daily"], ["hourly"], ["daily"], ["weekly"], []]
    names = sorted(name for name, _at in state(backup).copies)
    assert names == ["daily.0", "hourly.0", "weekly.0"]


def test_cron_says_what_did_not_end_well_and_exits_with_1(place, tmp_path):
    backup = place.backup(**KEPT)
    sh(place.here, f"rm -r {SOURCE_FOLDER}")
    with worker(tmp_path / "worker.log", BACKUP_SCHEDULE="false"):
        answer = cron("hourly", "--wait")
    assert answer.returncode == 1
    assert "The backup files1:/srv/tree is held, and nothing was rotated." in answer.stderr
    assert backup.runs.get().code == "source_missing"
    rotating = cron("daily")
    assert rotating.returncode == 1
    assert "not rotated, it is held" in rotating.stderr
    assert cron("yearly").returncode != 0


def slow(place, backup: Backup) -> None:
    """Slow the copying down to fifteen seconds, so that there is a middle."""
    config = f"/etc/gestion/backups/{backup.uuid}.conf"
    sh(place.there, f"sed -i 's/--stats/--stats --bwlimit=400/' {config}", check=True)


def copying(run: BackupRun) -> bool:
    """Whether bytes are on their way."""
    run.refresh_from_db()
    return bool(run.live.get("bytes"))


def ended(run: BackupRun) -> bool:
    """Whether the panel knows its end."""
    run.refresh_from_db()
    return run.ended


def test_a_worker_that_is_killed_is_survived_by_the_run_and_another_one_reads_its_result(place, tmp_path):
    backup = place.backup()
    slow(place, backup)
    log = tmp_path / "worker.log"
    with worker(log) as process:
        run = run_now(SYSTEM, backup)
        wait_for(lambda: copying(run), log=log)
        os.kill(process.pid, signal.SIGKILL)
        process.wait()
    assert run.job_id
    assert Job.objects.get(pk=run.job_id).state == JobState.RUNNING  # nobody could say otherwise
    assert sh(place.there, "pgrep -xc rsync") != "0"
    answer = cron("hourly")
    assert answer.returncode == 1
    assert "not started, it still runs since" in answer.stderr
    # What a minute without a heartbeat would say.
    Job.objects.filter(pk=run.job_id).update(heartbeat_at=timezone.now() - timedelta(minutes=2))
    with worker(log):
        wait_for(lambda: ended(run), 120, log)
    assert (run.state, run.error) == (RunState.DONE, "")
    assert backup.runs.count() == 1
    assert run.files == 21
    assert Job.objects.get(pk=run.job_id).times_lost == 1
    assert sh(place.there, f"ls {DESTINATION}") == "hourly.0"
    assert sh(place.there, "ls /var/lib/gestion/backups/runs") == ""
