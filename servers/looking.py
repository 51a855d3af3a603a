"""Look at what a server holds without changing it: what a rollout would do, and what has drifted."""

import logging
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import dataclass, field

from django.utils import timezone
from django.utils.translation import gettext as _

from hosts import engine
from hosts.errors import HostError
from hosts.state import State
from hosts.target import Target
from jobs.run import Run
from servers import registry
from servers.claims import claimed
from servers.connect import target_of
from servers.contact import SIDE_BY_SIDE, Reached, note
from servers.models import Contact, Rollout, RolloutState, Server
from servers.rolling import AWAY, desired, foreign_paths, tell_plan
from servers.transport import transport
from servers.words import sentence

log = logging.getLogger(__name__)
LOOKED_AT = (RolloutState.IN_SYNC, RolloutState.DRIFTED)


@dataclass
class Look:
    """One server with the kinds to look at, and what was seen."""

    server: Server
    target: Target
    states: list[tuple[Rollout, State]]
    plans: list[tuple[Rollout, engine.Plan]] = field(default_factory=list)
    errors: list[tuple[Rollout, HostError]] = field(default_factory=list)


def look_at(run: Run, server: Server, kinds: Iterable[str] | None = None) -> None:
    """Compare one server with what it should hold (some kinds, or all that it has); raises HostError."""
    rollouts = Rollout.objects.filter(server=server).select_related("server")
    if kinds is not None:
        rollouts = rollouts.filter(kind__in=list(kinds))
    if claimed(server):
        run.log(_("A rollout is running on this server; look again when it has ended."))
        return
    look = prepare(run, server, rollouts)
    _see(look)
    _write(run, look)
    for _rollout, error in look.errors:
        raise error


def look_at_many(run: Run, servers: Iterable[Server]) -> None:
    """Look for drift on all of them, side by side; what one server says does not end the others' turn."""
    looks = []
    for server in servers:
        rollouts = Rollout.objects.filter(server=server, state__in=LOOKED_AT).select_related("server")
        if rollouts and not claimed(server):
            try:
                looks.append(prepare(run, server, rollouts))
            except HostError as error:
                run.log(sentence(error), "err")
    done = 0
    with ThreadPoolExecutor(SIDE_BY_SIDE, thread_name_prefix="look") as threads:
        for task in as_completed([threads.submit(_see, look) for look in looks]):
            done += 1
            run.progress(done, len(looks))
            if not run.stopping:
                _write(run, task.result())
    run.check_stop()


def prepare(run: Run, server: Server, rollouts: Iterable[Rollout]) -> Look:
    """Everything from the database that a look needs; raises HostError."""
    states = []
    for rollout in rollouts:
        try:
            states.append((rollout, desired(server, rollout.kind)))
        except Exception as error:  # a fault of one kind's own code must not keep the others from their look
            log.exception("Looking at %s failed", rollout)
            run.log(f"{rollout}: {type(error).__name__}: {error}", "err")
    return Look(server, target_of(server), states)


def _see(look: Look) -> Look:
    """What the server holds; touches no database, so that threads may call it."""
    current = None
    try:
        with transport().connect(look.target, look.server.name) as host:
            for current in look.states:
                look.plans.append((current[0], engine.plan(host, current[1])))
    except HostError as error:
        if current or look.states:
            look.errors.append(((current or look.states[0])[0], error))
    return look


def _write(run: Run, look: Look) -> None:
    for rollout, plan in look.plans:
        _write_plan(run, rollout, plan)
    for rollout, error in look.errors:
        run.log(f"{rollout.server}, {rollout.title}: {sentence(error)}", "err")
        if isinstance(error, AWAY):
            note(Reached(look.server, error))
    if look.plans and not look.errors and look.server.contact != Contact.OK:
        note(Reached(look.server, None))


def _write_plan(run: Run, rollout: Rollout, plan: engine.Plan) -> None:
    now = timezone.now()
    # Only where nothing was asked for or applied since the look: else the look is of yesterday.
    rows = Rollout.objects.filter(pk=rollout.pk, wanted=rollout.wanted, applied=rollout.applied)
    # What somebody set up by hand as it should be differs in nothing.
    holds = not plan.differing and not plan.inactive
    rows.update(checked_at=now, diff="" if holds else plan.diff, foreign=foreign_paths(plan))
    registry.tell_looked(rollout.server, plan)
    if holds:
        run.log(_("%s: holds what it should.") % rollout)
        rows.filter(state=RolloutState.DRIFTED).update(state=RolloutState.IN_SYNC, since=now, why="")
        return
    run.log(_("%s differs:") % rollout)
    tell_plan(run, rollout.kind, plan)
    paths = ", ".join(change.path for change in plan.differing) or plan.inactive.splitlines()[-1]
    why = _("Changed on the host: %s") % paths
    rows.filter(state=RolloutState.DRIFTED).update(why=why)  # what differs may be something else by now
    rows.filter(state=RolloutState.IN_SYNC).update(state=RolloutState.DRIFTED, since=now, why=why)
