"""Tasks that are another room's job: started once, waited for, and told of."""

from collections.abc import Callable

from django.db import transaction
from django.utils.translation import gettext as _

from jobs.models import Job, JobState
from wizards.declare import Later, Refused, TaskRun


def follow_job(run: TaskRun, start: Callable[[], Job], fact: str = "job") -> Later | None:
    """Have a job done and wait for its end. None when it is done; raises Refused with its error when it is not.

    The job and the fact that it was started are committed together, so that a task that is killed here never starts
    it twice. After a failure the next call (a resume) starts it anew. `fact` names where its number is kept.
    """
    known = run.facts.get(fact)
    job = Job.objects.filter(pk=known).first() if known else None
    if job is None:
        with transaction.atomic():
            job = start()
            run.save(**{fact: job.pk})
    if not job.ended:
        return Later(job=job, why=job.title)
    if job.state == JobState.DONE:
        return None
    run.save(**{fact: None})
    raise Refused(job.error or _("“%s” was stopped.") % job.title)
