"""What can be done with runs, without a backup server: that nobody is left waiting."""

import pytest

from backups.following import wait_for_rollouts
from backups.models import Backup, BackupRun, RunState
from backups.services.plans import create_backup
from backups.services.runs import run_now, stop_run
from backups.works_plans import try_way
from jobs.masking import Masker
from jobs.models import Job, JobState
from jobs.run import Run, Stopped
from servers.models import Rollout, RolloutState, Server

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.services]


def test_a_run_whose_job_waits_for_a_worker_is_stopped_by_another_job_at_once(actor, rows):
    run = BackupRun.objects.get(pk=run_now(actor, rows.backup()).pk)
    first = run.job
    assert first is not None
    stop_run(actor, run)
    run.refresh_from_db()
    first.refresh_from_db()
    assert (first.state, run.state, run.stop_asked_by) == (JobState.STOPPED, RunState.RUNNING, "ada")
    assert run.job is not None
    assert run.job.pk != first.pk
    assert run.job.state == JobState.WAITING


class Waiting(Run):
    """A job during whose waits one rollout after the other comes to its end."""

    waited = 0

    def wait(self, seconds: float) -> None:
        """In the place of that time."""
        coming = (
            Rollout.objects.filter(state=RolloutState.WAITING).order_by("pk").values_list("pk", flat=True)
        )
        self.waited += 1
        Rollout.objects.filter(pk=coming[0]).update(state=RolloutState.FAILED)


class Ending(Run):
    """A job that is ended as soon as it waits."""

    def wait(self, seconds: float) -> None:
        """In the place of that time."""
        raise Stopped


@pytest.mark.parametrize("by_sudo", [False, True])
def test_a_try_and_a_run_wait_for_what_a_new_backup_needs_on_either_server(actor, rows, by_sudo):
    """A try said at once that it was not rolled out, where a run waited; neither waited for what sudo needs."""
    Server.objects.filter(pk=rows.mail1.pk).update(backup_ssh_connection="keeper@198.51.100.20")
    rows.mail1.refresh_from_db()
    backup = create_backup(actor, rows.unsaved(source=rows.mail1, as_root=by_sudo))
    kinds = set(Rollout.objects.filter(state=RolloutState.WAITING).values_list("kind", flat=True))
    assert kinds == {"rsnapshot", *(["backup-source"] if by_sudo else [])}
    job = Waiting(Job(), Masker())
    wait_for_rollouts(job, Backup.objects.get(pk=backup.pk))
    assert job.waited == len(kinds)
    Rollout.objects.filter(kind=max(kinds)).update(state=RolloutState.APPLYING)
    with pytest.raises(Stopped):
        try_way(Ending(Job(), Masker()), backup=backup.pk)
