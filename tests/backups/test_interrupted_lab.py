"""Runs that are cut off in the middle: nothing good is lost, it is said, and the next run succeeds."""

import threading

import pytest
from django.db import connections
from django.utils import timezone

from backups.models import BackupRun, RunState
from backups.services.runs import look_after, run_now, stop_run
from backups.works_runs import look_after_runs
from jobs import execute
from jobs.models import Job, JobState
from jobs.pulse import pulse
from tests.backups.lab_rows import CUT_OFF, DESTINATION, SOURCE_FOLDER, SYSTEM, TO_ITS_END, ground, sh
from tests.jobs.working import work_off
from tests.waiting import wait_for

pytestmark = [pytest.mark.lab, pytest.mark.django_db(transaction=True)]
LIST = "cd {} && find . -type f -print0 | sort -z | xargs -0 sha256sum | sha256sum"


def job_of(run: BackupRun) -> Job:
    """The job that follows a run, as it is now."""
    assert run.job_id
    return Job.objects.get(pk=run.job_id)


@pytest.fixture
def place(fleet, lab_key, django_db_blocker):
    made = ground(fleet, lab_key)
    yield made
    made.there.mend()
    made.here.mend()


@pytest.fixture
def backup(place):
    """One good copy, and a source that has so much new that the next run is cut off before its end."""
    sh(place.here, f"cd {SOURCE_FOLDER} && for i in $(seq 30); do head -c 100000 /dev/urandom >f$i; done")
    made = place.backup()
    assert place.run(made).state == RunState.DONE
    sh(place.here, f"cd {SOURCE_FOLDER} && for i in $(seq 20); do head -c 1000000 /dev/urandom >new$i; done")
    slow(place, made, CUT_OFF)
    return made


def slow(place, backup, rate: int) -> None:
    """Have no more than so many KiB/s copied, so that there is a middle; 0: as fast as it goes."""
    options = f"--stats --bwlimit={rate}" if rate else "--stats"
    change = f"s/--stats( --bwlimit=[0-9]+)?/{options}/"
    sh(place.there, f"sed -Ei '{change}' /etc/gestion/backups/{backup.uuid}.conf", check=True)


class Working:
    """Another thread that carries the run's job out, as a worker does."""

    def __init__(self, run: BackupRun) -> None:
        self.run = run
        self.thread = threading.Thread(target=self._work)
        self.thread.start()
        wait_for(self.copying, name="the copying")

    def _work(self) -> None:
        try:
            job = execute.claim(job_of(BackupRun.objects.get(pk=self.run.pk)).pk)
            assert job
            execute.carry_out(job)
        finally:
            connections.close_all()

    def copying(self) -> bool:
        """Whether bytes are on their way."""
        self.run.refresh_from_db()
        return bool(self.run.live.get("bytes"))

    def end(self, seconds: float = 150) -> BackupRun:
        """Wait for the job's end."""
        self.thread.join(seconds)
        assert not self.thread.is_alive()
        self.run.refresh_from_db()
        return self.run


def good(place) -> str:
    """The first good copy, file by file."""
    return sh(place.there, LIST.format(f"{DESTINATION}/hourly.0/data"))


def next_run_succeeds(place, backup, before: str) -> None:
    """At full speed again: the new copy is like the source, and the one before is what it was."""
    slow(place, backup, 0)
    run = place.run(backup)
    assert run.state == RunState.DONE, (run.code, run.error, run.output)
    assert sh(place.there, LIST.format(f"{DESTINATION}/hourly.1/data")) == before
    assert good(place) == sh(place.here, LIST.format(SOURCE_FOLDER))
    assert sh(place.there, f"ls -A {DESTINATION}").split() == [".gestion-backup", "hourly.0", "hourly.1"]


def test_the_network_to_the_source_is_cut(place, backup):
    before = good(place)
    working = Working(run_now(SYSTEM, backup))
    assert working.run.live["percent"] is None or working.run.live["percent"] < 100
    place.here.cut()
    sh(place.there, "for p in $(pgrep -x ssh); do kill $p; done")  # what the kernel notices in a minute
    run = working.end()
    place.here.mend()
    assert (run.state, run.code, run.rotated) == (RunState.FAILED, "connection", []), run.error
    assert good(place) == before
    next_run_succeeds(place, backup, before)


def test_the_source_is_rebooted_and_the_run_is_tried_again_by_itself(place, backup, settings):
    settings.BACKUP_SCHEDULE = False
    before = good(place)
    working = Working(run_now(SYSTEM, backup))
    place.here.reboot()
    run = working.end()
    assert (run.state, run.code, run.rotated) == (RunState.FAILED, "connection", []), run.error
    assert "(2 of 4)" in run.again_words
    assert job_of(run).state == JobState.DONE  # nobody is told yet
    slow(place, backup, 0)
    look_after_runs()
    assert not BackupRun.objects.filter(backup=backup, attempt=2).exists()
    BackupRun.objects.filter(pk=run.pk).update(again_at=timezone.now())
    look_after_runs()
    again = place.carry_out(BackupRun.objects.get(backup=backup, attempt=2))
    assert again.state == RunState.DONE, again.error
    run.refresh_from_db()
    assert run.again_at is None
    assert sh(place.there, LIST.format(f"{DESTINATION}/hourly.1/data")) == before
    assert good(place) == sh(place.here, LIST.format(SOURCE_FOLDER))


def test_the_backup_server_loses_its_power(place, backup):
    before = good(place)
    working = Working(run_now(SYSTEM, backup))
    place.there.stop(power_cut=True)
    working.end()
    assert working.run.state == RunState.RUNNING  # nobody knows yet
    place.there.start()
    look_after_runs()
    place.carry_out(working.run)
    assert (working.run.state, working.run.code) == (RunState.FAILED, "rebooted"), working.run.error
    assert good(place) == before
    next_run_succeeds(place, backup, before)


def test_the_backup_server_is_rebooted(place, backup):
    before = good(place)
    working = Working(run_now(SYSTEM, backup))
    place.there.reboot()
    working.end()
    look_after_runs()
    place.carry_out(working.run)
    assert working.run.state == RunState.FAILED
    assert working.run.code in {"shutdown", "rebooted"}
    next_run_succeeds(place, backup, before)


def test_the_worker_ends_in_the_middle_and_another_one_finds_the_run_again(place, backup):
    slow(place, backup, TO_ITS_END)
    before = good(place)
    working = Working(run_now(SYSTEM, backup))
    unit = sh(place.there, "systemctl list-units --no-legend --plain 'gestion-backup-*' | wc -l")
    assert unit == "1"
    pulse.interrupt()
    working.end()
    pulse.ending = False
    assert working.run.state == RunState.RUNNING
    assert job_of(working.run).state == JobState.WAITING
    assert sh(place.there, "pgrep -xc rsync") != "0"  # it goes on
    work_off()
    working.run.refresh_from_db()
    assert working.run.state == RunState.DONE, working.run.error
    assert sh(place.there, LIST.format(f"{DESTINATION}/hourly.1/data")) == before
    assert good(place) == sh(place.here, LIST.format(SOURCE_FOLDER))


def test_a_run_whose_result_nobody_fetched_is_read_later(place, backup):
    slow(place, backup, TO_ITS_END)
    working = Working(run_now(SYSTEM, backup))
    pulse.interrupt()
    working.end()
    pulse.ending = False
    Job.objects.filter(pk=job_of(working.run).pk).update(
        state=JobState.LOST
    )  # the worker was killed too often
    wait_for(
        lambda: sh(place.there, "ls /var/lib/gestion/backups/runs/*/result 2>/dev/null"),
        name="the result",
    )
    look_after(working.run)
    work_off()
    working.run.refresh_from_db()
    assert working.run.state == RunState.DONE
    assert working.run.files
    assert sh(place.there, "ls /var/lib/gestion/backups/runs") == ""


def test_stop_ends_rsync_on_both_sides(place, backup):
    before = good(place)
    working = Working(run_now(SYSTEM, backup))
    assert sh(place.here, "pgrep -xc rsync") != "0"
    stop_run(SYSTEM, working.run)
    run = working.end()
    assert run.state == RunState.STOPPED
    assert job_of(run).state == JobState.STOPPED
    assert sh(place.there, "pgrep -xc rsync") == "0"
    wait_for(lambda: sh(place.here, "pgrep -xc rsync") == "0", name="the end of rsync at the source")
    assert good(place) == before
    next_run_succeeds(place, backup, before)


def test_what_runs_there_is_killed_from_outside(place, backup):
    before = good(place)
    working = Working(run_now(SYSTEM, backup))
    sh(place.there, "systemctl kill -s KILL 'gestion-backup-*'")
    run = working.end()
    assert (run.state, run.code) == (RunState.FAILED, "died")
    next_run_succeeds(place, backup, before)


@pytest.fixture
def no_units(place):
    """A backup server without systemd-run."""
    sh(place.there, "mount --bind /bin/false /usr/bin/systemd-run", check=True)
    yield
    sh(place.there, "umount /usr/bin/systemd-run")


def test_without_systemd_a_run_is_a_session_that_survives_the_worker_and_that_stop_ends(
    place, no_units, backup
):
    before = good(place)
    working = Working(run_now(SYSTEM, backup))
    assert sh(place.there, "systemctl list-units --no-legend --plain 'gestion-backup-*' | wc -l") == "0"
    pulse.interrupt()
    working.end()
    pulse.ending = False
    assert working.run.state == RunState.RUNNING
    assert sh(place.there, "pgrep -xc rsync") != "0"  # it goes on
    stop_run(SYSTEM, working.run)
    work_off()
    working.run.refresh_from_db()
    assert working.run.state == RunState.STOPPED
    assert sh(place.there, "pgrep -xc 'rsync|rsnapshot'") == "0"
    assert good(place) == before
    next_run_succeeds(place, backup, before)
