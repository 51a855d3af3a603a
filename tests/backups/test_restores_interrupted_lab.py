"""Restores that are cut off in the middle: each file is the old one or the new one, and done again it is whole."""

import threading
from datetime import timedelta

import pytest
from django.utils import timezone

from backups.models import Restore, TaskState
from backups.services import restores as services
from jobs.models import Job
from jobs.pulse import pulse
from jobs.upkeep import reap
from pages import second_word
from tests.backups.lab_rows import CUT_OFF, SOURCE_FOLDER, SYSTEM, TO_ITS_END, ground, sh
from tests.backups.test_restores_at_work_lab import at_work, slow
from tests.backups.test_restores_lab import look
from tests.jobs.processes import worker
from tests.jobs.working import work_off
from tests.waiting import wait_for

pytestmark = [pytest.mark.lab, pytest.mark.django_db(transaction=True)]
COUNT = 20
BEGINNINGS = "cd /srv/tree && find . -name '.f*.??????'"


@pytest.fixture
def place(fleet, lab_key, django_db_blocker):
    made = ground(fleet, lab_key)
    yield made
    made.there.mend()
    made.here.mend()


@pytest.fixture
def backup(place):
    """A restore of it has a middle; at the source each file has another content, and there is one more."""
    fill = f"cd {SOURCE_FOLDER} && for i in $(seq {COUNT}); do yes good$i | head -c 1000000 >f$i; done"
    sh(place.here, fill, check=True)
    made = place.backup()
    place.run(made)
    sh(
        place.here,
        f"cd {SOURCE_FOLDER} && for i in $(seq {COUNT}); do echo old >f$i; done; echo mine >own",
        check=True,
    )
    slow(place, TO_ITS_END)
    made.refresh_from_db()
    return made


def contents(place) -> dict[str, int]:
    """How many files at the target are as before, as in the copy, and neither; what was there besides is the same."""
    script = f"""cd {SOURCE_FOLDER} && [ "$(cat own)" = mine ] || exit 1
        for i in $(seq {COUNT}); do
          if [ "$(cat f$i)" = old ]; then echo old
          elif yes good$i | head -c 1000000 | cmp -s - f$i; then echo good
          else echo torn; fi
        done"""
    words = sh(place.here, script, check=True).split()
    return {word: words.count(word) for word in ("old", "good", "torn")}


def nothing_is_torn_and_again_it_becomes_whole(place, backup, row: Restore) -> None:
    """What lies at the target now, and after the same restore once more."""
    found = contents(place)
    assert (found["torn"], found["old"] > 0) == (0, True), found
    slow(place, 0)
    again = services.look_again(SYSTEM, row)
    work_off()
    again.refresh_from_db()
    assert (again.state, again.counts["changed"]) == (TaskState.READY, found["old"]), again.error
    with second_word.second_word():
        services.begin_restore(SYSTEM, again)
    work_off()
    again.refresh_from_db()
    assert (again.state, again.error) == (TaskState.DONE, "")
    assert contents(place) == {"old": 0, "good": COUNT, "torn": 0}


def ended(row: Restore, thread: threading.Thread) -> Restore:
    thread.join(200)
    assert not thread.is_alive()
    row.refresh_from_db()
    return row


@pytest.mark.parametrize("how", ["told to end", "killed"])
def test_it_goes_on_without_its_worker_and_the_next_one_finds_it(place, backup, tmp_path, how):
    row = look(backup, backup.state.copies[0][1])
    log = tmp_path / "worker.log"
    with worker(log) as process:
        with second_word.second_word():
            services.begin_restore(SYSTEM, row)
        wait_for(lambda: Restore.objects.get(pk=row.pk).live.get("bytes"), 60, log, name="the transfer")
        if how == "killed":
            process.kill()
            process.wait()
    row.refresh_from_db()
    assert row.state == TaskState.RUNNING
    if how == "killed":
        assert sh(place.there, "pgrep -xc rsync") != "0"  # it goes on
        Job.objects.filter(state="running").update(heartbeat_at=timezone.now() - timedelta(minutes=5))
        assert [job.pk for job in reap()] == [row.job_id]
    work_off()
    row.refresh_from_db()
    assert (row.state, row.error) == (TaskState.DONE, "")
    assert contents(place) == {"old": 0, "good": COUNT, "torn": 0}


def test_a_result_that_nobody_fetched_is_found_when_the_panel_is_back(place, backup):
    row, thread = at_work(backup)
    pulse.interrupt()
    ended(row, thread)
    pulse.ending = False
    Job.objects.filter(pk=row.job_id or 0).update(
        state="lost", ended_at=timezone.now()
    )  # its workers died too often
    wait_for(
        lambda: sh(place.there, "ls /var/lib/gestion/backups/runs/*/result 2>/dev/null"), name="the result"
    )
    services.look_after_all()
    work_off()
    row.refresh_from_db()
    assert (row.state, row.error) == (TaskState.DONE, "")
    assert row.figures["files_transferred"] == COUNT


@pytest.mark.parametrize(
    ("harm", "code"),
    [
        ("unit killed", "died"),
        ("backup server rebooted", "shutdown"),
        ("backup server without power", "died"),
        ("target's rsync killed", "connection"),
        ("target's rsync told to end", "connection"),
        ("target rebooted", "connection"),
        ("target without power", "connection"),
        ("cable pulled", "connection"),
    ],
)
def test_what_is_cut_off_is_said_and_done_again(place, backup, harm, code):
    slow(place, CUT_OFF)
    row, thread = at_work(backup)
    wait_for(lambda: contents(place)["good"] > 0, name="the first file")
    match harm:
        case "unit killed":
            sh(place.there, f"systemctl kill -s KILL gestion-backup-{row.name}", check=True)
        case "backup server rebooted":
            place.there.reboot()
        case "backup server without power":
            place.there.stop(power_cut=True)
            place.there.start()
        case "target's rsync killed":
            sh(place.here, "pkill -KILL -x rsync")
        case "target's rsync told to end":  # as by systemd, where it comes before the connection's end
            sh(place.here, "pkill -TERM -x rsync")
        case "target rebooted":
            place.here.reboot()
        case "target without power":
            place.here.stop(power_cut=True)
            sh(
                place.there, "for p in $(pgrep -x ssh); do kill $p; done"
            )  # what the kernel notices in a minute
            place.here.start()
        case "cable pulled":
            place.here.cut()
            sh(place.there, "for p in $(pgrep -x ssh); do kill $p; done")
    ended(row, thread)
    place.here.mend()
    if row.at_work:
        Job.objects.filter(pk=row.job_id or 0).update(not_before=timezone.now())
        services.look_after_all()
        work_off()
        row.refresh_from_db()
    assert (row.state, row.code) == (TaskState.FAILED, code), row.error
    assert "Look again" in row.error
    assert harm != "target's rsync killed" or "was lost, or rsync was killed there" in row.error
    assert sh(place.there, "ls /var/lib/gestion/backups/runs") == ""
    assert len(sh(place.here, BEGINNINGS).split()) <= 1  # as is said
    nothing_is_torn_and_again_it_becomes_whole(place, backup, row)
