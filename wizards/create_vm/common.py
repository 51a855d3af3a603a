"""What the tasks share: their server, waiting for rollouts, words of an undo."""

from collections.abc import Iterable
from typing import Any

from django.utils.translation import gettext as _

from jobs.models import ENDED, Job
from jobs.services import hurry
from servers import rollouts
from servers.models import Rollout, RolloutState, Server
from servers.registry import some
from servers.services import roll_out
from wizards.declare import Later, Refused, TaskRun


def server_of(task: TaskRun) -> Server:
    """The wizard's server. Raises Refused when somebody has deleted it."""
    pk = task.results.get("server", task.facts).get("server")
    found = Server.objects.select_related("vm_host").filter(pk=pk or 0).first()
    if found is None:
        raise Refused(_("%s is not in the inventory any more.") % task.data["name"])
    return found


def server_if_there(task: TaskRun) -> Server | None:
    """The same for an undo: None when it is gone already."""
    pk = task.results.get("server", task.facts).get("server")
    return Server.objects.select_related("vm_host").filter(pk=pk or 0).first()


def rolled_out(task: TaskRun, server: Server, kind: str) -> Later | None:
    """Wait until the server holds what the rows say. A rollout that failed is asked for again when resumed.

    Raises Refused with the reason of a rollout that failed.
    """
    row = Rollout.objects.filter(server=server, kind=kind).first()
    if row is None or row.state == RolloutState.IN_SYNC:
        return None
    if row.state in {RolloutState.FAILED, RolloutState.DRIFTED}:
        if not task.facts.get("rollout_failed"):
            task.save(rollout_failed=True)
            raise Refused(
                row.why or _("%(kind)s on %(server)s: failed.") % {"kind": row.title, "server": server}
            )
        task.save(rollout_failed=False)
        roll_out(task.actor, server, [kind])
        return Later(seconds=1)
    job = Job.objects.of(server).filter(work=rollouts.WORK).exclude(state__in=ENDED).first()
    if job is not None:
        hurry(job.pk)  # nothing else comes together with it that would be worth the wait
    why = row.why or _("%(kind)s is being rolled out on %(server)s.") % {"kind": row.title, "server": server}
    return Later(job=job, seconds=1, why=why)


def taken_off(task: TaskRun, server: Server, kind: str) -> Later | None:
    """The same of an undo: for a container that goes with it, and may be why it is undone, nothing is waited."""
    if task.data.get("make_container") and server == server_if_there(task):
        return None
    return rolled_out(task, server, kind)


def with_it(words: str, held: Iterable[Any]) -> str:
    """These words of an undo, and what else goes by it."""
    texts = [str(one.text) for one in held]
    return _("%(words)s; with it go: %(what)s") % {"words": words, "what": some(texts)} if texts else words
