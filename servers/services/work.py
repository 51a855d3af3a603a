"""Have a worker do something with servers: check, look, roll out."""

from collections.abc import Iterable

from django.db import transaction
from django.utils.translation import gettext as _

from accounts.actors import Actor
from accounts.audit import record
from jobs.models import Job
from jobs.services import start_job
from servers import rollouts
from servers.contact import check_soon
from servers.models import Rollout, RolloutState, Server


def start_check(actor: Actor, server: Server) -> Job:
    """A job that tries to reach this server; what is reached through it follows at the next round."""
    check_soon(server)
    return start_job(
        actor,
        "servers.check",
        _("Check %(server)s") % {"server": server},
        {"server": server.pk},
        subject=server,
        once=True,
    )


@transaction.atomic
def check_server(actor: Actor, server: Server) -> Job:
    """Try to reach this server now."""
    record(actor, "server.check", server)
    return start_check(actor, server)


@transaction.atomic
def check_everyone(actor: Actor) -> Job:
    """Try to reach every server now."""
    record(actor, "server.check_all")
    return start_job(actor, "servers.check_all", _("Check all servers"), {"everyone": True}, once=True)


@transaction.atomic
def look_closer(actor: Actor, server: Server, kinds: Iterable[str] | None = None) -> Job:
    """Compare the server with what it should hold now, and change nothing."""
    wanted = sorted(kinds) if kinds is not None else None
    record(actor, "rollout.look", server, after={"kinds": wanted})
    return rollouts.start_look(actor, server, wanted)


@transaction.atomic
def roll_out(actor: Actor, server: Server, kinds: Iterable[str]) -> None:
    """Roll out these kinds by hand: also what drifted is put back."""
    kinds = sorted(set(kinds))
    record(actor, "rollout.ask", server, after={"kinds": kinds})
    rollouts.ask(actor, server, kinds, _("by hand"))


@transaction.atomic
def adopt(actor: Actor, rollout: Rollout, paths: Iterable[str]) -> None:
    """Roll out, and replace what lies at these paths and is not ours; it is kept aside on the host."""
    paths = sorted(set(paths))
    record(actor, "rollout.adopt", rollout.server, after={"kind": rollout.kind, "paths": paths})
    rollouts.ask_and_adopt(actor, rollout.server, rollout.kind, paths, _("by hand, with adoption"))


@transaction.atomic
def roll_out_waiting(actor: Actor, servers: Iterable[Server]) -> int:
    """Try anew what waits, failed or could not reach its server; not what drifted. Returns how many."""
    states = [RolloutState.WAITING, RolloutState.FAILED, RolloutState.UNREACHABLE]
    rows = Rollout.objects.filter(server__in=servers, state__in=states).select_related("server")
    asked: dict[Server, list[str]] = {}
    for row in rows:
        asked.setdefault(row.server, []).append(row.kind)
    for server, kinds in asked.items():
        roll_out(actor, server, kinds)
    return sum(len(kinds) for kinds in asked.values())
