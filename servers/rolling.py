"""Roll out on one server: what it should hold, compared with what it holds, applied and recorded."""

import logging
from dataclasses import replace
from datetime import timedelta

from django.db.models import Q
from django.utils import timezone
from django.utils.translation import gettext as _

from accounts.actors import Actor
from hosts import engine
from hosts.errors import (
    Busy,
    Drift,
    ForeignFile,
    HostError,
    HostKeyChanged,
    HostKeyUnknown,
    Interrupted,
    LoginRefused,
    RollbackFailed,
    TimedOut,
    Unreachable,
)
from hosts.host import Host
from hosts.state import State
from jobs.models import Job, JobState
from jobs.rights import may_operate
from jobs.run import Run, Stopped
from servers import registry
from servers.claims import claim, release
from servers.configs import NotWritable
from servers.connect import GatewayBlocked, NoConnection, connect, reconnecting
from servers.contact import Reached, check, note
from servers.models import Contact, Outcome, Rollout, RolloutRecord, RolloutState, Server
from servers.rollouts import WORK, due_on, start
from servers.words import sentence

log = logging.getLogger(__name__)

# The server as a whole is out of reach: no use in trying its other kinds now.
AWAY = (Unreachable, NoConnection, GatewayBlocked, HostKeyUnknown, HostKeyChanged, LoginRefused)
# Worth trying again by itself: nothing is known to be wrong with what should be rolled out.
PASSING = (Unreachable, GatewayBlocked, LoginRefused, TimedOut, Interrupted, Busy)
FIRST_WAIT, LONGEST_WAIT = timedelta(seconds=30), timedelta(minutes=30)
DRIFT_TRIES = 3  # a host whose files move under us that often is being edited by somebody


class RolloutFailed(Exception):  # noqa: N818 - the job's outcome, told to a person
    """Not everything could be rolled out; str() says what and why."""


def roll_out(run: Run, server: Server) -> None:
    """Roll out all that waits on this server. Raises RolloutFailed when something could not be."""
    if not claim(server, run.job):
        run.log(_("Another job is rolling out on this server; it will see to this too."))
        return
    # Nobody else is at it, so what says so was left by a worker that died.
    left = Rollout.objects.filter(server=server, state=RolloutState.APPLYING)
    left.update(state=RolloutState.WAITING, retry_at=None, since=timezone.now())
    try:
        troubles = _roll_out_all(run, server)
    finally:
        release(server, run.job)
    # Whoever asked between our last look and the release found the server taken, and left it to us.
    if due_on(server).exists():
        start(Actor.system("scheduler"), server)
    if troubles:
        raise RolloutFailed("\n".join(troubles))


def _roll_out_all(run: Run, server: Server) -> list[str]:
    troubles: list[str] = []
    while rollout := _next(server):
        trouble = None
        try:
            with run.step(rollout.title):
                trouble = _roll_out_kind(run, server, rollout)
        except HostError as error:
            trouble = sentence(error)
            away = _is_away(server, error)
            _note_host_error(run, rollout, error, away=away)
            if away:
                _note_away(server, error)
        except Stopped:
            raise
        except NotWritable as error:  # nothing of this kind can be said, so nothing of it was touched
            trouble = f"{rollout.title}: {error}"
            _settle(rollout, state=RolloutState.FAILED, why=str(error))
        except Exception as error:  # a fault of one kind's own code must not keep the others from their turn
            log.exception("Rolling out %s failed", rollout)
            trouble = _("%(kind)s: a fault in Gestion (%(error)s). See the log of the worker.") % {
                "kind": rollout.title,
                "error": f"{type(error).__name__}: {error}",
            }
            _settle(rollout, state=RolloutState.FAILED, why=trouble)
        if trouble:
            run.log(trouble, "err")
            troubles.append(trouble)
    return troubles


def _next(server: Server) -> Rollout | None:
    order = list(registry.kinds())
    waiting = list(due_on(server).select_related("server"))
    return min(waiting, key=lambda r: order.index(r.kind) if r.kind in order else len(order), default=None)


def _roll_out_kind(run: Run, server: Server, rollout: Rollout) -> str | None:
    """Roll out one kind; what of it could not be written, in sentences."""
    # First the revision, then what it wants: a change in between asks again, and is rolled out again.
    Rollout.objects.filter(pk=rollout.pk).update(
        state=RolloutState.APPLYING,
        since=timezone.now(),
        job=run.job.pk,
        retry_at=None,
        tries=rollout.tries + 1,
    )
    state = desired(server, rollout.kind)
    with connect(server) as host:
        for attempt in range(1, DRIFT_TRIES + 1):
            plan = engine.plan(host, state)
            tell_plan(run, rollout.kind, plan)
            _note_plan(rollout, plan)
            try:
                outcome = _apply(host, server, rollout, plan)
            except Drift:
                if attempt == DRIFT_TRIES:
                    raise
                run.log(_("The host changed just now; looking again."))
            else:
                outcome = replace(
                    outcome, said=f"{outcome.said} {_afterwards(server, rollout, host)}".strip()
                )
                run.log(outcome.said or _("Nothing to do."))
                _note_success(run, rollout, plan, outcome)
                note(Reached(server, None), wake=False)
                return _note_left_out(rollout, state)
    return None


def desired(server: Server, kind_name: str) -> State:
    """What the server should hold of this kind now; LookupError when no room brings it any more."""
    kind = registry.kinds().get(kind_name)
    if kind is None:
        raise LookupError(_("no module brings the kind “%s” any more") % kind_name)
    fresh = Server.objects.get(pk=server.pk)
    state = kind.desired(fresh) or State(kind=kind_name, items=())
    if state.kind != kind_name:  # the host would keep it under the other name, and lose that one's files
        raise ValueError(f"the kind {kind_name} gave a State of the kind {state.kind}")
    return state


def _afterwards(server: Server, rollout: Rollout, host: Host) -> str:
    """What the kind itself says of the host after a rollout that ended well; trouble in it changes nothing."""
    kind = registry.kinds().get(rollout.kind)
    try:
        return kind.afterwards(server, host) if kind and kind.afterwards else ""
    except HostError as error:
        return sentence(error)


def foreign_paths(plan: engine.Plan) -> list[str]:
    """Where something lies that is not ours."""
    return sorted(change.path for change in plan.changes if change.foreign)


def _apply(host: Host, server: Server, rollout: Rollout, plan: engine.Plan) -> engine.Outcome:
    foreign = foreign_paths(plan)
    # Only what a person has seen is adopted: a path that came since then is asked about anew.
    adopt = bool(foreign) and set(foreign) <= set(rollout.adopt) and _may_still_adopt(rollout)
    with reconnecting(server) as again:
        return engine.apply(host, plan, adopt=adopt, reconnect=again)


def _may_still_adopt(rollout: Rollout) -> bool:
    """Whether who said to replace what lies there may (still) say so."""
    servers = set() if registry.needs_admin(rollout.kind) else {rollout.server_id}
    return may_operate(rollout.asked_by, servers)


def tell_plan(run: Run, kind: str, plan: engine.Plan) -> None:
    """Log what differs. The files of a kind that needs an admin name others' servers, and owners read the log."""
    for past in plan.recovered:
        run.log(
            _("An interrupted rollout of %(kind)s has ended in the %(state)s state. %(words)s")
            % {"kind": past.kind, "state": past.state, "words": past.words}
        )
    if plan.diff and not registry.needs_admin(kind):
        run.log(plan.diff, "out")
    elif plan.diff:
        run.log(_("What differs is on the page of this rollout."))


def _note_plan(rollout: Rollout, plan: engine.Plan) -> None:
    rollout.diff, rollout.foreign = plan.diff, foreign_paths(plan)
    Rollout.objects.filter(pk=rollout.pk).update(
        diff=rollout.diff, foreign=rollout.foreign, checked_at=timezone.now()
    )
    registry.tell_looked(rollout.server, plan)


def _note_success(run: Run, rollout: Rollout, plan: engine.Plan, outcome: engine.Outcome) -> None:
    said = outcome.said
    if outcome.kept:
        said += " " + _("What was adopted is kept in %s on the host.") % outcome.kept
    _record(run, rollout, Outcome.APPLIED if outcome.changed else Outcome.NOTHING, said)
    Rollout.objects.filter(pk=rollout.pk).update(
        applied=rollout.wanted, diff="", foreign=[], adopt=[], tries=0, checked_at=timezone.now()
    )
    _settle(rollout, state=RolloutState.IN_SYNC, why="")


def _note_left_out(rollout: Rollout, state: State) -> str | None:
    """What the rows say and no file can: it is not in sync, though all the rest is."""
    if not state.left_out:
        return None
    why = " ".join((_("All the rest is rolled out."), *state.left_out))
    _settle(rollout, state=RolloutState.FAILED, why=why)
    return f"{rollout.title}: {why}"


def _settle(rollout: Rollout, **fields: object) -> None:
    """Write how it ended, unless something else is wanted by now: then it waits for its next turn."""
    now = timezone.now()
    rows = Rollout.objects.filter(pk=rollout.pk)
    if not rows.filter(wanted=rollout.wanted).update(since=now, **fields):
        rows.update(state=RolloutState.WAITING, since=now)


def _record(run: Run, rollout: Rollout, outcome: Outcome, said: str) -> None:
    RolloutRecord.objects.create(
        server=rollout.server,
        kind=rollout.kind,
        revision=rollout.wanted,
        asked_for=rollout.asked_for,
        by_id=rollout.asked_by_id,
        by_name=rollout.asked_by_name,
        outcome=outcome,
        said=said,
        diff=rollout.diff,
        job_id=run.job.pk,
    )


def _note_host_error(run: Run, rollout: Rollout, error: HostError, *, away: bool) -> None:
    if isinstance(error, AWAY + PASSING):
        wait = min(LONGEST_WAIT, FIRST_WAIT * 2 ** min(rollout.tries, 8))
        retry_at = timezone.now() + wait if isinstance(error, PASSING) else None
        state = RolloutState.UNREACHABLE if away else RolloutState.WAITING
        _settle(rollout, state=state, why=sentence(error), retry_at=retry_at)
        return
    if isinstance(error, ForeignFile):
        rollout.foreign = sorted(error.paths)
        _settle(rollout, state=RolloutState.FAILED, why=sentence(error), foreign=rollout.foreign, adopt=[])
        return
    failed = Outcome.ROLLBACK_FAILED if isinstance(error, RollbackFailed) else Outcome.FAILED
    _record(run, rollout, failed, sentence(error))
    _settle(rollout, state=RolloutState.FAILED, why=sentence(error), adopt=[])


def _is_away(server: Server, error: HostError) -> bool:
    """Whether the server as a whole is out of reach; its contact is noted too."""
    if isinstance(error, HostKeyUnknown | HostKeyChanged):
        check(
            server, wake=False
        )  # looks at the gateway first, so that its key is not taken for this server's
        return True
    if isinstance(error, AWAY):
        note(Reached(server, error))
        return True
    if isinstance(error, Interrupted | TimedOut):  # a warm connection that died: only a new one tells
        return check(server, wake=False) != Contact.OK
    return False


def _note_away(server: Server, error: HostError) -> None:
    """The server's other kinds wait for it too, as long as the one that was tried."""
    tried = Rollout.objects.filter(server=server, state=RolloutState.UNREACHABLE).order_by("-since").first()
    due_on(server).update(
        state=RolloutState.UNREACHABLE,
        since=timezone.now(),
        why=sentence(error),
        retry_at=tried.retry_at if tried else None,
    )


def job_ended(job: Job) -> None:
    """A rollout that somebody stopped stays as it is until somebody asks again; called for every job."""
    if job.work != WORK or job.state != JobState.STOPPED:
        return
    rows = Rollout.objects.filter(server=job.args["server"])
    cut = Q(state=RolloutState.WAITING) | Q(state=RolloutState.APPLYING, job=job.pk)
    why = _("Stopped by %s. Roll out again when you are ready.") % (job.stop_asked_by or "?")
    rows.filter(cut).update(state=RolloutState.FAILED, since=timezone.now(), why=why, retry_at=None)
