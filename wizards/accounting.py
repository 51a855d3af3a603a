"""How a run comes to a halt, and whose time was whose.

The panel's own share is all the time that a run was active, less what is known to have been spent outside: inside the
calls of its tasks by `hosts.meter`, between them the wait that a task asked for, or the outside time of the job it
waited for. Time until a worker takes it up again, or until a dead worker is noticed, is the panel's own.
"""

from django.db import transaction
from django.utils import timezone

from jobs.models import Job
from wizards.models import ACTIVE, RunState, TaskState, WizardRun

AT_WORK = (TaskState.RUNNING, TaskState.WAITING, TaskState.UNDOING)


def count_wait(row: WizardRun, awaited: Job | None) -> None:
    """Count the wait that ends now, if there is one. The caller saves the row."""
    if row.waits_since is None:
        return
    waited = (timezone.now() - row.waits_since).total_seconds()
    outside = awaited.outside_seconds if awaited else row.waits_seconds
    row.outside_seconds += min(waited, outside)
    row.waits_since = None
    row.waits_seconds = 0.0


def end_stretch(row: WizardRun) -> None:
    """The run is not active any more. The caller saves the row."""
    if row.started_at:
        row.active_seconds += (timezone.now() - row.started_at).total_seconds()


def halt(run_id: int, job_id: int, state: RunState, why: str) -> bool:
    """Note that a run that this job carries on has failed or was stopped, and its task; whether it was that job's."""
    with transaction.atomic():
        row = WizardRun.objects.select_for_update().filter(pk=run_id, job=job_id, state__in=ACTIVE).first()
        if row is None:
            return False
        count_wait(row, row.awaited)
        end_stretch(row)
        row.state, row.why, row.awaited = state, why, None
        row.ended_at = timezone.now()
        row.save()
        task_state = TaskState.FAILED if state == RunState.FAILED else TaskState.STOPPED
        row.tasks.filter(state__in=AT_WORK).update(state=task_state, why=why, ended_at=timezone.now())
        return True
