"""Ask for rollouts: note that a server should hold something else, and have a worker see to it."""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from datetime import timedelta

from django.db import transaction
from django.db.models import F, Q, QuerySet
from django.utils import timezone
from django.utils.translation import gettext as _

from accounts.actors import Actor
from jobs.models import Job
from jobs.services import start_job
from servers.models import Contact, HostKey, Rollout, RolloutState, Server

WORK = "servers.roll_out"
COALESCE = 0.3  # seconds in which quick changes become one rollout
KEEP_TRYING = timedelta(hours=24)


Asked = dict[tuple[int, str], None]  # ids of servers and kinds, in the order asked for
_noted: ContextVar[Asked | None] = ContextVar("noted_rollouts", default=None)


@contextmanager
def noted() -> Iterator[Asked]:
    """What is asked for inside, by id of server and kind; it is asked for all the same."""
    found: Asked = {}
    token = _noted.set(found)
    try:
        yield found
    finally:
        _noted.reset(token)


def ask(actor: Actor, server: Server, kinds: Iterable[str], why: str) -> None:
    """Note that the server should hold these kinds as the rows now say, and start one job for it on commit.

    Call it in the transaction that changes the rows. `why` is shown on the rollout and kept in its history.
    """
    now = timezone.now()
    wanted = sorted(set(kinds))
    if (heard := _noted.get()) is not None:
        heard.update(dict.fromkeys((server.pk, kind) for kind in wanted))
    with transaction.atomic():
        for kind in wanted:  # one order for everybody, so that no two wait for each other
            Rollout.objects.get_or_create(server=server, kind=kind)
            # Adoption is the word of the one who looked: it does not pass to who asks next.
            theirs = Rollout.objects.filter(server=server, kind=kind).exclude(asked_by=actor.user)
            theirs.update(adopt=[])
            Rollout.objects.filter(server=server, kind=kind).update(
                wanted=F("wanted") + 1,
                state=RolloutState.WAITING,
                since=now,
                why="",
                tries=0,
                retry_at=None,
                retry_until=now + KEEP_TRYING,
                asked_for=str(why)[:255],
                asked_at=now,
                asked_by=actor.user,
                asked_by_name=actor.name,
            )
        start(actor, server)


def ask_and_adopt(actor: Actor, server: Server, kind: str, paths: Iterable[str], why: str) -> None:
    """Like ask, and adopt what lies at these paths: a person has looked at it."""
    with transaction.atomic():
        ask(actor, server, [kind], why)
        Rollout.objects.filter(server=server, kind=kind).update(adopt=sorted(paths))


def start(actor: Actor, server: Server) -> Job | None:
    """Have a worker roll out what waits on this server; None while no host key of it is accepted.

    Then nothing could be sent to it. The check that follows the acceptance starts what waits.
    """
    accepted = HostKey.objects.filter(server=server, pinned_at__isnull=False)
    changed = Server.objects.filter(pk=server.pk, contact=Contact.CHANGED)
    if changed.exists() or not accepted.exists():
        why = _("Waits until the server has been reached and its host key is accepted.")
        Rollout.objects.filter(due(), server=server).update(why=why)
        return None
    return start_job(
        actor,
        WORK,
        _("Roll out on %(server)s") % {"server": server},
        {"server": server.pk},
        subject=server,
        delay=COALESCE,
        once=True,
    )


def start_look(actor: Actor, server: Server, kinds: list[str] | None) -> Job:
    """Have a worker compare the server with what it should hold of these kinds, of all if None, and change nothing."""
    title = _("Compare %(server)s with what it should hold") % {"server": server}
    return start_job(
        actor, "servers.look", title, {"server": server.pk, "kinds": kinds}, subject=server, once=True
    )


def due() -> Q:
    """Which rollouts a worker should see to now."""
    return Q(state=RolloutState.WAITING, retry_at=None) | Q(
        state__in=[RolloutState.WAITING, RolloutState.UNREACHABLE], retry_at__lte=timezone.now()
    )


def due_on(server: Server) -> QuerySet[Rollout]:
    """The rollouts of this server that a worker should see to now."""
    return Rollout.objects.filter(due(), server=server)
