"""What the schedule does for servers: checks that are due, rollouts whose turn has come, looks for drift."""

from django.db.models import Exists, OuterRef, Q
from django.utils import timezone
from django.utils.translation import gettext as _

from accounts.actors import Actor
from jobs import schedule
from jobs.models import ENDED, Job
from jobs.services import start_job
from servers import contact
from servers.looking import LOOKED_AT
from servers.models import Rollout, RolloutState, Server
from servers.rollouts import due, start

SCHEDULER = Actor.system("scheduler")


def register() -> None:
    """Put it all on the schedule."""
    schedule.every("servers.check", contact.EVERY.total_seconds(), start_checks)
    schedule.every("servers.resume", 30, resume)
    schedule.every("servers.look", 3600, start_looks)


def start_checks() -> None:
    """One job that tries to reach every server whose turn it is; none where there is no server to try."""
    if contact.to_check().exists():
        start_job(SCHEDULER, "servers.check_all", _("Check the servers"), once=True)


def start_looks() -> None:
    """One job that looks for drift, where a server holds anything of ours, rolled out or set up by hand."""
    if Rollout.objects.filter(state__in=LOOKED_AT).exists():
        start_job(SCHEDULER, "servers.look_all", _("Look for drift"), once=True)


def resume() -> None:
    """Start what should be running and is not: retries whose time has come, and what a dead worker left."""
    now = timezone.now()
    given_up = Rollout.objects.filter(
        state__in=[RolloutState.WAITING, RolloutState.UNREACHABLE], tries__gt=0, retry_until__lte=now
    )
    why = _("Tried for 24 hours. Roll out again once the server is back.")
    given_up.update(state=RolloutState.FAILED, since=now, why=why, retry_at=None)
    orphaned = Q(state=RolloutState.APPLYING) & (Q(job=None) | Q(job__state__in=ENDED))
    idle = Rollout.objects.filter(due() | orphaned, server=OuterRef("pk"))
    working = Job.objects.filter(pk=OuterRef("rollout_job")).exclude(state__in=ENDED)
    for server in Server.objects.filter(Exists(idle), ~Exists(working)):
        start(SCHEDULER, server)
