"""Restores while they are at work: stopped on both hosts, and in nobody's way."""

import re
import threading
from datetime import timedelta

import pytest
from django.db import connections

from backups.models import Restore, RunState, TaskState, Verification
from backups.services import restores as services
from jobs import execute
from pages import second_word
from tests.backups.lab_rows import CUT_OFF, SOURCE_FOLDER, SYSTEM, ground, sh
from tests.backups.test_restores_lab import backed_up, look, restored
from tests.jobs.working import work_off
from tests.waiting import wait_for

pytestmark = [pytest.mark.lab, pytest.mark.django_db(transaction=True)]
RESTORER = "/usr/local/lib/gestion/backup-restore"


@pytest.fixture
def place(fleet, lab_key, django_db_blocker):
    made = ground(fleet, lab_key)
    yield made
    sh(made.there, f"rm -f {RESTORER}")  # it was changed by hand


@pytest.fixture
def backup(place):
    """A backup whose restore can be cut off before its end, and whose source has lost everything."""
    sh(place.here, f"cd {SOURCE_FOLDER} && for i in $(seq 20); do head -c 1000000 /dev/urandom >f$i; done")
    made = place.backup()
    assert place.run(made).state == RunState.DONE
    slow(place, CUT_OFF)
    sh(place.here, f"rm {SOURCE_FOLDER}/f*; echo new >{SOURCE_FOLDER}/new")
    made.refresh_from_db()
    return made


def slow(place, rate: int) -> None:
    """Have no more than so many KiB/s restored, so that there is a middle; 0: as fast as it goes."""
    options = f"rsync -aHAXSx --bwlimit={rate}" if rate else "rsync -aHAXSx"
    sh(place.there, f"sed -Ei 's/rsync -aHAXSx( --bwlimit=[0-9]+)?/{options}/' {RESTORER}", check=True)


def at_work(backup) -> tuple[Restore, threading.Thread]:
    """A restore that transfers."""
    row = look(backup, backup.state.copies[0][1])
    assert row.state == TaskState.READY, row.error
    with second_word.second_word():
        services.begin_restore(SYSTEM, row)
    return row, followed(row)


def followed(row: Restore | Verification) -> threading.Thread:
    """Another thread that follows it as a worker would; it transfers."""

    def work() -> None:
        try:
            job = execute.claim(row.job_id or 0)
            assert job
            execute.carry_out(job)
        finally:
            connections.close_all()

    thread = threading.Thread(target=work)
    thread.start()

    def transfers() -> bool:
        row.refresh_from_db()
        return bool(row.live.get("bytes"))

    wait_for(transfers, name="the transfer")
    return thread


def test_a_stopped_restore_leaves_nothing_running_and_can_be_done_again(place, backup):
    row, thread = at_work(backup)
    services.stop_task(SYSTEM, row)
    work_off()
    thread.join(150)
    row.refresh_from_db()
    assert (row.state, row.code) == (TaskState.STOPPED, "stopped")
    for host in (place.there, place.here):
        sh(
            host,
            "for i in $(seq 600); do pgrep -x rsync >/dev/null || exit 0; sleep 0.1; done; exit 1",
            check=True,
        )
    assert sh(place.there, "ls /var/lib/gestion/backups/runs") == ""
    again = services.look_again(SYSTEM, row)
    work_off()
    again.refresh_from_db()
    assert again.state == TaskState.READY
    assert 0 < again.counts["new"] + again.counts["changed"] <= 20


def test_nothing_rotates_while_somebody_restores(place, backup):
    row, thread = at_work(backup)
    run = place.run(backup)  # the source has lost more than half, of which little is back yet: let it pass
    assert run.state == RunState.HELD
    run = place.run(backup, accepts=["source_shrunk", "source_empty"])
    thread.join(150)
    row.refresh_from_db()
    assert (row.state, row.error) == (TaskState.DONE, "")
    assert run.state == RunState.DONE, run.error
    # By the backup server's own clock; of a run it is its beginning and how long it took, each in whole seconds.
    assert run.ended_at
    assert row.ended_at
    assert row.ended_at - run.ended_at <= timedelta(seconds=1)
    assert sh(place.here, f"ls {SOURCE_FOLDER} | wc -l") == "21"


def test_the_scratch_folder_goes_even_when_a_verification_is_killed(place, backup):
    row = services.ask_verification(SYSTEM, backup)
    thread = followed(row)
    assert ".verify" in sh(place.there, "ls -A /backups/tree")
    sh(place.there, f"systemctl kill -s KILL gestion-backup-{row.name}", check=True)
    thread.join(150)
    row.refresh_from_db()
    assert (row.state, row.code) == (TaskState.FAILED, "died")
    assert ".verify" not in sh(place.there, "ls -A /backups/tree")


def test_too_little_space_is_said_before_anything_is_restored(place):
    sh(
        place.there,
        "mkdir -p /backups/tree && mount -t tmpfs -o size=30m gestion-test /backups/tree",
        check=True,
    )
    try:
        sh(place.here, f"head -c 18000000 /dev/urandom >{SOURCE_FOLDER}/big")
        backup = place.backup()
        assert place.run(backup).state == RunState.DONE
        backup.refresh_from_db()
        row = services.ask_verification(SYSTEM, backup)
        work_off()
        row.refresh_from_db()
        assert (row.state, row.code) == (TaskState.FAILED, "low_space")
        assert ".verify" not in sh(place.there, "ls -A /backups/tree")
    finally:
        sh(place.there, "umount /backups/tree")


def test_a_target_whose_disk_fills_up_is_told_as_that(place):
    backup, at = backed_up(place, "cd /srv/tree && head -c 6000000 /dev/urandom >a && echo b >b")
    sh(place.here, "mkdir -p /mnt/small && mount -t tmpfs -o size=3m none /mnt/small", check=True)
    try:
        row = restored(backup, at, folder="/mnt/small")
    finally:
        sh(place.here, "umount /mnt/small")
    assert row.state == TaskState.FAILED
    # Which of these it is: whether the target's words came before rsync ended its ssh.
    assert re.match(
        "The disk of the target is full|The target could not write on, as where its disk is full", row.error
    )
    assert "Broken pipe" not in row.error
