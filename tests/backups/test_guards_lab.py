"""Each guard, while a test really unmounts, empties, fills and takes away. Nothing is rotated before it let pass."""

import pytest

from backups.models import BackupRun, RunState
from backups.services.runs import RunRefused, accept_run
from jobs.models import Job, JobState
from tests.backups.lab_rows import DESTINATION, SOURCE_FOLDER, SYSTEM, ground, sh, state

pytestmark = [pytest.mark.lab, pytest.mark.django_db(transaction=True)]


# By then it sends: it is ten seconds' worth of data.
STOP_IN_THE_MIDDLE = """until pgrep -x rsync; do sleep 0.1; done
sleep 1; for p in $(pgrep -x rsync); do kill -STOP $p; done"""


@pytest.fixture
def place(fleet, lab_key, django_db_blocker):
    made = ground(fleet, lab_key)
    yield made
    sh(made.there, f"[ ! -L {DESTINATION} ] || rm {DESTINATION}")  # before umount follows it
    for host in (made.there, made.here):
        sh(
            host,
            f"umount -l /backups {DESTINATION} {SOURCE_FOLDER} 2>/dev/null; sed -i '/gestion-test/d' /etc/fstab",
        )


def fill(place, count: int = 20) -> None:
    """Some files at the source."""
    script = f"cd {SOURCE_FOLDER} && for i in $(seq {count}); do head -c 20000 /dev/urandom >f$i; done"
    sh(place.here, script, check=True)


def copies(place) -> str:
    """What lies in the destination, the way that only a rotation changes."""
    return sh(place.there, f"cd {DESTINATION} && ls -d hourly.* && ls hourly.0/data | sha256sum")


def accept(place, run: BackupRun) -> BackupRun:
    """Release a held run, and what came of it."""
    return place.carry_out(accept_run(SYSTEM, run))


def held(place, backup, code: str) -> BackupRun:
    """Run it: it is held for this reason, nothing was rotated, and its job has told everybody."""
    before = copies(place) if state(backup).copies else ""
    run = place.run(backup)
    assert (run.state, run.code) == (RunState.HELD, code), (run.error, run.output)
    assert run.rotated == []
    if before:
        assert copies(place) == before
    job = Job.objects.get(pk=run.job_id)
    assert job.state == JobState.FAILED
    assert run.error in job.error
    return run


def test_an_emptied_source_is_held_and_passes_once_it_is_accepted(place):
    fill(place)
    backup = place.backup()
    assert place.run(backup).state == RunState.DONE
    sh(place.here, f"rm -rf {SOURCE_FOLDER}/*")
    run = held(place, backup, "source_empty")
    again = accept(place, run)
    assert again.state == RunState.DONE, (again.error, again.output)
    assert sh(place.there, f"ls {DESTINATION}/hourly.1/data | wc -l") == "20"
    with pytest.raises(RunRefused):
        accept_run(SYSTEM, run)  # it is not what stands now


def test_a_source_that_shrank_is_held_until_it_is_accepted_or_back(place):
    fill(place)
    backup = place.backup(shrink_limit=50)
    assert place.run(backup).state == RunState.DONE
    sh(place.here, f"cd {SOURCE_FOLDER} && mkdir ../away && mv f1? ../away")
    sh(place.here, f"cd {SOURCE_FOLDER} && rm f1 f2")
    run = held(place, backup, "source_shrunk")
    assert "21" in run.error  # what it was
    sh(place.here, f"mv {SOURCE_FOLDER}/../away/* {SOURCE_FOLDER}; rmdir {SOURCE_FOLDER}/../away")
    assert place.run(backup).state == RunState.DONE  # back again, it passes by itself
    sh(place.here, f"cd {SOURCE_FOLDER} && for f in *; do : >$f; done")  # as many files, no bytes
    run = held(place, backup, "source_shrunk")
    assert accept(place, run).state == RunState.DONE
    assert state(backup).good_bytes == 0
    assert place.run(backup).state == RunState.DONE  # the new normal


def test_an_unmounted_source_is_held(place):
    sh(place.here, f"mount -t tmpfs gestion-test {SOURCE_FOLDER}", check=True)
    fill(place)
    backup = place.backup()
    assert place.run(backup).state == RunState.DONE
    sh(place.here, f"umount {SOURCE_FOLDER} && touch {SOURCE_FOLDER}/README", check=True)
    held(place, backup, "source_unmounted")
    sh(place.here, f"rm -r {SOURCE_FOLDER}")
    held(place, backup, "source_unmounted")


def test_a_source_that_was_never_mounted_is_held_where_fstab_says_that_it_should_be(place):
    fill(place)
    sh(place.here, f"echo 'gestion-test {SOURCE_FOLDER} tmpfs noauto 0 0' >>/etc/fstab")
    backup = place.backup()
    run = place.run(backup)
    assert (run.state, run.code) == (RunState.HELD, "source_unmounted")


def test_an_unmounted_destination_never_fills_the_disk_below_it(place):
    fill(place)
    sh(place.there, "mkdir -p /backups; mount -t tmpfs gestion-test /backups", check=True)
    backup = place.backup()
    assert place.run(backup).state == RunState.DONE
    sh(place.there, "umount /backups", check=True)
    run = place.run(backup)
    assert (run.state, run.code) == (RunState.HELD, "destination_gone"), run.error
    assert sh(place.there, "find /backups -mindepth 1") == ""
    sh(place.there, f"echo 'gestion-test /backups tmpfs noauto 0 0' >>/etc/fstab; mkdir -p {DESTINATION}")
    run = place.run(backup)
    assert (run.state, run.code) == (RunState.HELD, "destination_unmounted")
    assert sh(place.there, f"ls -A {DESTINATION}") == ""


def test_a_destination_on_another_disk_is_held_even_with_its_marker(place):
    fill(place)
    backup = place.backup()
    assert place.run(backup).state == RunState.DONE
    sh(
        place.there,
        f"cd / && cp -a {DESTINATION} /root/kept && mount -t tmpfs gestion-test {DESTINATION} && "
        f"cp -a /root/kept/. {DESTINATION}; rm -rf /root/kept",
        check=True,
    )
    run = held(place, backup, "destination_moved")
    again = accept(place, run)
    assert again.state == RunState.DONE, (again.code, again.error, again.output)
    again = place.run(backup)
    assert again.state == RunState.DONE, (again.code, again.error, again.output)


def test_a_folder_that_holds_something_else_is_refused_until_it_is_adopted(place):
    fill(place)
    sh(place.there, f"mkdir -p {DESTINATION}; echo precious >{DESTINATION}/precious")
    backup = place.backup()
    run = held(place, backup, "destination_foreign")
    assert accept(place, run).state == RunState.DONE
    assert sh(place.there, f"cat {DESTINATION}/precious") == "precious"


def test_another_backups_folder_and_the_root_folder_are_refused_whatever_anybody_accepts(place):
    fill(place)
    sh(place.there, f"mkdir -p {DESTINATION}; echo 123-of-another >{DESTINATION}/.gestion-backup")
    backup = place.backup()
    run = held(place, backup, "destination_other")
    with pytest.raises(RunRefused):
        accept_run(SYSTEM, run)
    sh(place.there, f"rm -r {DESTINATION}; ln -s / {DESTINATION}")
    run = place.run(backup)
    assert (run.state, run.code) == (RunState.HELD, "destination_root")
    assert sh(place.there, "ls -A / | grep gestion-backup") == ""


def test_low_space_is_foreseen_before_anything_is_copied(place):
    small = "mount -t tmpfs -o size=40m gestion-test"
    fill(place)
    sh(place.there, f"mkdir -p {DESTINATION}; {small} {DESTINATION}", check=True)
    backup = place.backup()
    for number in range(3):  # it grows by 6 MB each time
        sh(place.here, f"head -c 6000000 /dev/urandom >{SOURCE_FOLDER}/grown{number}")
        assert place.run(backup).state == RunState.DONE
    sh(place.there, f"head -c 14000000 /dev/zero >{DESTINATION}/filler")
    sh(place.here, f"head -c 6000000 /dev/urandom >{SOURCE_FOLDER}/grown3")
    run = held(place, backup, "low_space")
    assert "need" in run.error
    sh(place.there, f"rm {DESTINATION}/filler")
    assert place.run(backup).state == RunState.DONE


def test_a_first_copy_that_is_too_big_is_ended_before_the_disk_is_full(place):
    sh(place.here, f"cd {SOURCE_FOLDER} && for i in $(seq 40); do head -c 1000000 /dev/urandom >b$i; done")
    sh(place.here, f"cd {SOURCE_FOLDER} && truncate -s 1K small")
    sh(place.there, f"mkdir -p {DESTINATION}; mount -t tmpfs -o size=48m gestion-test {DESTINATION}")
    backup = place.backup()
    assert place.run(backup).state == RunState.DONE
    # Slow, so that it is seen coming: the watch looks every few seconds, and the last 4 MiB take eight.
    config = f"/etc/gestion/backups/{backup.uuid}.conf"
    sh(place.there, f"sed -i 's/--stats/--stats --bwlimit=500/' {config}", check=True)
    sh(place.here, f"cd {SOURCE_FOLDER} && for i in $(seq 40); do head -c 1000000 /dev/urandom >b$i; done")
    run = held(place, backup, "low_space")
    free = int(sh(place.there, f"stat -f -c %a {DESTINATION}"))
    assert free > 0
    assert "nearly full" in run.error


def test_a_source_that_hangs_is_ended_and_said(place, settings):
    settings.BACKUP_STALL_SECONDS = 4
    sh(place.here, f"cd {SOURCE_FOLDER} && head -c 30000000 /dev/urandom >big")
    backup = place.backup()
    sh(place.there, f"sed -i 's/--stats/--stats --bwlimit=3000/' /etc/gestion/backups/{backup.uuid}.conf")
    sh(place.here, f"( {STOP_IN_THE_MIDDLE} ) >/dev/null 2>&1 &")
    run = place.run(backup)
    assert (run.state, run.code) == (RunState.FAILED, "hung"), (run.error, run.output)
    sh(place.here, "for p in $(pgrep -x rsync); do kill -KILL $p; done")
    sh(place.there, f"sed -i 's/ --bwlimit=3000//' /etc/gestion/backups/{backup.uuid}.conf")
    settings.BACKUP_STALL_SECONDS = 1800  # so quickly a busy machine need not begin to answer
    assert place.run(backup).state == RunState.DONE
