"""One rollout job at a time on a server: whoever changes the server's row from "nobody" to his job has it."""

from django.db.models import Q

from jobs.models import ENDED, Job
from servers.models import Server


def claim(server: Server, job: Job) -> bool:
    """Take the server for this job. A job that has ended, however it died, holds nothing any more."""
    free = Q(rollout_job=None) | Q(rollout_job=job.pk)
    # Conditions on the row's own column, so that the second of two updates at once sees what the first wrote.
    ended = Q(rollout_job__in=Job.objects.filter(state__in=ENDED).values("pk"))
    return Server.objects.filter(free | ended, pk=server.pk).update(rollout_job=job.pk) == 1


def release(server: Server, job: Job) -> None:
    """Give the server back, if this job still has it."""
    Server.objects.filter(pk=server.pk, rollout_job=job.pk).update(rollout_job=None)


def claimed(server: Server) -> bool:
    """Whether a rollout runs on the server now."""
    return (
        Server.objects.filter(pk=server.pk, rollout_job__isnull=False)
        .exclude(rollout_job__state__in=ENDED)
        .exists()
    )
