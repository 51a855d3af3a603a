"""When a run began and ended, whatever the clocks of the backup server do meanwhile."""

from datetime import timedelta
from typing import Any

import pytest
from django.utils import timezone

from accounts.actors import Actor
from backups.ending import end_run
from backups.following_restores import end_task
from backups.models import Backup, BackupRun, Restore, RunState, TaskState, Verification
from backups.runner import read_look
from backups.services.plans import delete_backup
from jobs.models import Job

pytestmark = pytest.mark.django_db
HOUR = 3600


@pytest.mark.parametrize(
    ("began", "ended", "took", "seconds"),
    [
        (-15, 0, 15, 15),
        (-15, HOUR * 24 * 365, 15, 15),  # put forward in the middle
        (-15, -HOUR * 5, 15, 15),  # put back
        (-15, -HOUR * 5, None, 15),  # the same, by a runner that did not count: as the panel saw its end
        (-HOUR * 24 * 365 * 40, 0, 20, 20),  # it began without a clock of its own
        (-HOUR * 24, -HOUR * 24 + 30, 30, 30),  # a day behind
        (-30, 0, None, 30),
        (-30, 0, 10**12, 30),
    ],
)
def test_a_run_lasts_as_long_as_it_lasted(rows, began, ended, took, seconds):
    now = timezone.now()
    at = int(now.timestamp())
    run = BackupRun.objects.create(
        backup=rows.backup(), state=RunState.RUNNING, asked_at=now - timedelta(hours=1), levels=["hourly"],
        started_at=now - timedelta(minutes=10),
    )  # fmt: skip
    facts = f"state=done\nrotated=hourly\nstarted={at + began}\nended={at + ended}\n"
    facts += "" if took is None else f"took={took}\n"
    assert end_run(run, RunState.DONE, look=read_look(f"known=yes\n{facts}\noutput:\n".encode()))
    assert run.started_at
    assert run.ended_at
    assert abs((run.ended_at - run.started_at).total_seconds() - seconds) <= 1
    assert now - timedelta(minutes=11) <= run.started_at <= now


def test_what_failed_before_needs_no_look_once_a_run_is_good_or_the_backup_is_gone(rows):
    backup, other = rows.backup(), rows.backup(source_folder="/etc", destination_folder="/backups/etc")

    def failed(of: Backup) -> Job:
        job = Job.objects.create(work="backups.run", title="x", state="failed")
        BackupRun.objects.create(backup=of, state=RunState.FAILED, job=job)
        return job

    earlier, elsewhere = failed(backup), failed(other)
    run = BackupRun.objects.create(backup=backup, state=RunState.RUNNING)
    look = read_look(b"known=yes\nstate=done\nrotated=hourly\ncopy=hourly.0 1\noutput:\n")
    assert end_run(run, RunState.INCOMPLETE, look=look)
    assert set(Job.objects.unacknowledged()) == {earlier, elsewhere}
    run = BackupRun.objects.create(backup=backup, state=RunState.RUNNING, levels=["hourly"])
    assert end_run(run, RunState.DONE, look=look)
    assert list(Job.objects.unacknowledged()) == [elsewhere]
    delete_backup(Actor.system("test"), other)
    assert not Job.objects.unacknowledged().exists()


def test_what_could_not_be_verified_or_restored_needs_no_look_once_the_same_is_done(rows):
    backup = rows.backup()

    def ended(state: TaskState, of: type[Restore | Verification] = Verification, **more: Any) -> Job:
        state_of_job = "done" if state == TaskState.DONE else "failed"
        job = Job.objects.create(work="backups.x", title="x", state=state_of_job)
        task = of.objects.create(backup=backup, at=1, copy="hourly.0", job=job, **more)
        assert end_task(task, state)
        return job

    into: dict[str, Any] = {"of": Restore, "target": rows.web1}
    verified, here, there = (
        ended(TaskState.FAILED),
        ended(TaskState.FAILED, folder="/srv/a", **into),
        ended(TaskState.FAILED, folder="/srv/b", **into),
    )
    ended(TaskState.INCOMPLETE)
    assert {verified, here, there} < set(Job.objects.unacknowledged())
    ended(TaskState.DONE)
    assert set(Job.objects.unacknowledged()) == {here, there}
    ended(TaskState.DONE, folder="/srv/a", **into)
    assert list(Job.objects.unacknowledged()) == [there]
    delete_backup(Actor.system("test"), backup)
    assert not Job.objects.unacknowledged().exists()
