"""What can be done with runs, without a backup server: that nobody is left waiting."""

import pytest

from backups.models import BackupRun, RunState
from backups.services.runs import run_now, stop_run
from jobs.models import JobState

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
