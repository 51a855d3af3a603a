"""What can be done with scripts: run one, run it again, stop it."""

from collections.abc import Iterable
from contextlib import suppress
from typing import Any

from django.db import transaction
from django.utils.translation import gettext as _

from accounts.actors import Actor
from accounts.audit import record
from fabrun.catalogue import catalogue, why_none
from fabrun.models import ScriptRun, ServerRun
from jobs.models import JobState
from jobs.services import JobRefusedError, start_job, stop_job
from servers.models import Server

WORK = "fabrun.run"


class ScriptMissing(Exception):  # noqa: N818  # a refusal; its text is a sentence for the page
    """The folder has no such script (any more)."""


def run_script(
    actor: Actor,
    script: str,
    servers: Iterable[Server],
    *,
    arguments: dict[str, Any],
    unix_user: str = "",
    seconds: int,
) -> ScriptRun:
    """Run a script on these servers, side by side, each as a job. `seconds`: how long it may take on each.

    Raises ScriptMissing, and ValueError for no servers at all: nothing ever means “all”.
    """
    chosen = list(servers)
    if not chosen:
        raise ValueError("No servers were chosen.")
    # The catalogue is read by a process of its own: never while the database is locked.
    there = catalogue()
    if script not in there.scripts:
        raise ScriptMissing(why_none(there, script))
    with transaction.atomic():
        run = ScriptRun.objects.create(
            script=script,
            arguments=arguments,
            unix_user=unix_user,
            seconds=seconds,
            owner=actor.user,
            actor_name=actor.name,
        )
        for server in chosen:
            part = ServerRun.objects.create(run=run, server=server, server_name=server.name)
            title = _("Run %(script)s on %(server)s") % {"script": script, "server": server}
            part.job = start_job(actor, WORK, title, {"part": part.pk}, subject=server)
            part.save(update_fields=["job"])
        after = {
            "servers": [server.name for server in chosen],
            "arguments": arguments,
            "unix_user": unix_user,
        }
        record(actor, "script.run", run, after=after)
    return run


def run_again(actor: Actor, run: ScriptRun) -> ScriptRun:
    """The same script with the same arguments, on those of its servers that are still there.

    Raises ScriptMissing, also when none of them is.
    """
    servers = list(Server.objects.filter(script_runs__run=run).order_by("name"))
    if not servers:
        raise ScriptMissing(_("None of its servers is in the inventory any more."))
    return run_script(
        actor,
        run.script,
        servers,
        arguments=run.arguments,
        unix_user=run.unix_user,
        seconds=run.seconds,
    )


def stop_run(actor: Actor, run: ScriptRun) -> int:
    """Stop what of it still waits or runs; returns on how many servers."""
    stopped = 0
    for part in run.parts.select_related("job").filter(job__state__in=[JobState.WAITING, JobState.RUNNING]):
        with suppress(JobRefusedError):  # it ended in this moment
            if part.job:
                stop_job(actor, part.job)
                stopped += 1
    return stopped
