"""Whether a job may (still) be done: by the servers that it touches, asked anew whenever a worker begins with it.

Between the wish and the work somebody may have lost a server, the role of an admin, the account or the token. Then
the job ends as failed, with a sentence, and the audit trail has it.
"""

from typing import Any

from django.core.exceptions import ObjectDoesNotExist
from django.utils.translation import gettext as _

from accounts.actors import Actor
from accounts.audit import record
from accounts.models import ApiToken, User
from jobs import works
from jobs.guarding import operated_by
from jobs.models import Job, JobTouch, Reach


class NoLongerError(Exception):
    """Nobody who asked for the job may have it done any more; str() says so."""


works.expect(NoLongerError)


def may_operate(user: Any, servers: set[int]) -> bool:
    """Whether this user may operate all of these servers; for none at all, only an admin."""
    if user is None or not user.is_active:
        return False
    if user.is_admin:
        return True
    return bool(servers) and servers <= set(
        operated_by(user).filter(pk__in=servers).values_list("pk", flat=True)
    )


def touched(work: works.Work, args: dict[str, Any]) -> set[int]:
    """The servers that a job with these arguments touches now."""
    if not callable(work.touches):
        return set()
    try:
        return set(work.touches(**args))
    except ObjectDoesNotExist:
        return set()


def reach_of(work: works.Work, servers: set[int]) -> Reach:
    """Who a job of this work concerns; what says nothing of itself is for admins."""
    if work.touches == works.NOTHING:
        return Reach.ASKER
    return Reach.SERVERS if servers else Reach.ADMINS


def note_touched(job: Job, servers: set[int]) -> None:
    """Keep which servers a job touches."""
    rows = [JobTouch(job=job, server=server) for server in sorted(servers)]
    JobTouch.objects.bulk_create(rows, ignore_conflicts=True)


def may_run_again(user: User, job: Job) -> bool:
    """Whether this user may run this ended job again."""
    return works.may_run_again(user, job) and Job.objects.visible_to(user).filter(pk=job.pk).exists()


def actor_of(job: Job) -> Actor:
    """Who had this job done, to have more done in the same name."""
    asker = next(iter(job.askers), None)
    return Actor(job.owner, job.actor_name, job.address, asker.get("token") if asker else None)


def check(job: Job) -> None:
    """Raises NoLongerError if nobody who asked for this job may have it done any more, and notes that.

    What has begun on a host goes on: whoever may, stops it. Where nothing is touched, no right is needed.
    """
    work = works.get(job.work)
    if work.touches == works.NOTHING or work.by_rows or _has_begun(work, job):
        return
    servers = set(job.touches.values_list("server", flat=True)) | touched(work, job.args)
    askers = job.askers or [Actor(job.owner, job.actor_name).asker]
    if any(asker is None or _may(asker, servers) for asker in askers):
        return
    words = {"who": job.actor_name, "job": job.title}
    sentence = (
        _("%(who)s may no longer operate what this concerns: it was not begun.")
        if servers
        else _("%(who)s may no longer have this done: it was not begun.")
    ) % words
    Job.objects.filter(pk=job.pk).update(refused=True)
    record(Actor(job.owner, job.actor_name, job.address), "job.refuse", job, after={"why": sentence})
    raise NoLongerError(sentence)


def _has_begun(work: works.Work, job: Job) -> bool:
    try:
        return bool(work.begun and work.begun(**job.args))
    except ObjectDoesNotExist:
        return False


def _may(asker: dict[str, int], servers: set[int]) -> bool:
    if "token" in asker and not ApiToken.objects.filter(pk=asker["token"], user=asker["person"]).exists():
        return False
    return may_operate(User.objects.filter(pk=asker["person"]).first(), servers)
