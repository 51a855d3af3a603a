"""Keeps runs going: wakes those whose awaited job has ended, and revives those whose own job was lost."""

from django.db import transaction
from django.utils.translation import gettext as _

from accounts.actors import Actor
from jobs.models import ENDED, Job, JobState
from jobs.services import acknowledge, hurry, start_job
from wizards import accounting
from wizards.engine import WORK, actor_of_job
from wizards.models import ACTIVE, RunState, WizardRun

MOST_REVIVED = 5  # times that jobs may be lost in one task before the task is held to be the cause


def note_end(job: Job) -> None:
    """A job has ended: wake the run that waits for it, or see to the run that it carried on."""
    waiting = WizardRun.objects.filter(awaited=job, state=RunState.WAITING).exclude(job=None)
    for job_id in waiting.values_list("job", flat=True):
        hurry(job_id)
    if job.work == WORK:
        for row in WizardRun.objects.filter(job=job, state__in=ACTIVE):
            _see_to(row, job)


def look() -> None:
    """Find what nobody was told of, because a process died between the end of a job and the telling."""
    for row in WizardRun.objects.filter(state__in=ACTIVE).select_related("job__owner", "awaited"):
        if row.job is None or row.job.state in ENDED:
            _see_to(row, row.job)
        elif row.state == RunState.WAITING and row.awaited is not None and row.awaited.ended:
            hurry(row.job.pk)


def _see_to(row: WizardRun, job: Job | None) -> None:
    """The job that carried this run on has ended, and the run does not know."""
    if job is not None and job.state == JobState.STOPPED:
        accounting.halt(row.pk, job.pk, RunState.STOPPED, "")
    elif job is not None and job.state == JobState.FAILED:
        accounting.halt(row.pk, job.pk, RunState.FAILED, job.error)
    else:
        _revive(row, job)


@transaction.atomic
def _revive(row: WizardRun, job: Job | None) -> None:
    fresh = WizardRun.objects.select_for_update().filter(pk=row.pk, job=job, state__in=ACTIVE).first()
    if fresh is None:
        return
    if job is not None and fresh.revived >= MOST_REVIVED:
        sentence = _("The worker died again and again in this task.")
        accounting.halt(fresh.pk, job.pk, RunState.FAILED, sentence)
        return
    actor = actor_of_job(job) if job else Actor(fresh.owner, fresh.actor_name)
    fresh.revived += 1
    askers = job.askers if job else None
    args = {"wizard_run": fresh.pk}
    fresh.job = start_job(actor, WORK, str(fresh), args, subject=fresh, askers=askers)
    fresh.save()
    if job is not None:
        acknowledge(Actor.system("wizards"), [job])
