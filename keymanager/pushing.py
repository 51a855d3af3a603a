"""After a change, have the servers concerned fetch at once: quick changes become one job.

The hourly fetch stays the safety net: a server that cannot be reached now is not tried again from here.
"""

import time
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor, as_completed

from django.conf import settings
from django.db import connections
from django.utils import timezone
from django.utils.translation import gettext as _

from accounts.actors import Actor
from hosts.errors import HostError
from hosts.host import Result
from jobs.models import Job
from jobs.run import Run
from jobs.services import start_job
from keymanager.desired import SCRIPT
from keymanager.found_lines import look_again
from keymanager.models import FetchToken
from servers.connect import connect
from servers.models import Server
from servers.words import sentence

PUSH = "keymanager.push"
FETCH = "keymanager.fetch"
COALESCE = 0.5  # seconds
SETTLED = 0.7  # seconds in which an endpoint may answer by what was before: live.MAX_AGE, and a moment
SIDE_BY_SIDE = 16
LONGEST = 180.0  # seconds that one server's fetch may take
SYSTEM = Actor.system("keymanager")


class FetchFailed(Exception):  # noqa: N818 - the job's outcome, told to a person
    """Some servers could not fetch; str() says which and why."""


def fetch_soon(names: Iterable[str]) -> Job | None:
    """Have the servers with these keymanager names fetch as soon as this transaction is committed.

    None when none of them fetches from us, or KEYS_PUSH is off.
    """
    if not settings.KEYS_PUSH:
        return None
    servers = Server.objects.filter(keymanager_name__in=set(names)).order_by().values("pk")
    # Servers whose rollout has not put the script there yet fetch when it does.
    marked = FetchToken.objects.filter(server__in=servers, server__fetch_report__isnull=False)
    if not marked.update(push_wanted_at=timezone.now()):
        return None
    return start_job(SYSTEM, PUSH, _("Have servers fetch their keys"), delay=COALESCE, once=True)


def fetch_now(actor: Actor, servers: Iterable[Server]) -> Job:
    """A job in which these servers fetch side by side, with their output."""
    rows = list(servers)
    title = _("Fetch keys on %(server)s") % {"server": rows[0]} if len(rows) == 1 else _("Fetch keys")
    subject = rows[0] if len(rows) == 1 else None
    return start_job(actor, FETCH, title, {"servers": [row.pk for row in rows]}, subject=subject)


def push(run: Run) -> None:
    """The work behind fetch_soon: until no server is marked any more."""
    failed: list[str] = []
    while wanted := dict(
        FetchToken.objects.filter(push_wanted_at__isnull=False).values_list("server_id", "push_wanted_at")
    ):
        failed += run_on(run, Server.objects.filter(pk__in=wanted))
        for server, at in wanted.items():  # one that was marked again meanwhile stays marked
            FetchToken.objects.filter(server=server, push_wanted_at=at).update(push_wanted_at=None)
    if failed:
        run.log(_("They fetch at their own hour in any case."))


def fetch(run: Run, servers: list[int]) -> None:
    """The work behind fetch_now. Raises FetchFailed."""
    rows = Server.objects.filter(pk__in=servers)
    failed = run_on(run, rows)
    look_again(rows)
    if failed:
        raise FetchFailed("\n".join(failed))


def run_on(run: Run, servers: Iterable[Server], *arguments: str, said: list[str] | None = None) -> list[str]:
    """Run the script on these servers side by side; returns a sentence for each that failed.

    What those say that did not fail is added to `said`.

    First it waits until every endpoint answers by what is committed now: a host that hears that nothing is new comes
    back in an hour. When a change was noted says little: it may have taken long to commit, and be by another's clock.
    """
    rows = list(servers)
    time.sleep(SETTLED)
    failed: list[str] = []
    for done, (server, trouble) in enumerate(_each(rows, arguments), 1):
        run.progress(done, len(rows))
        if isinstance(trouble, Result) and trouble.code == 0:
            words = _last_line(trouble.out)
            run.log(f"{server}: {words}")
            if said is not None:
                said.append(words)
            continue
        words = _last_line(trouble.err) if isinstance(trouble, Result) else trouble
        failed.append(f"{server}: {words}")
        run.log(failed[-1], "err")
        run.check_stop()
    return failed


def _each(rows: list[Server], arguments: tuple[str, ...]) -> Iterator[tuple[Server, Result | str]]:
    with ThreadPoolExecutor(SIDE_BY_SIDE) as pool:
        futures = {pool.submit(_one, row, arguments): row for row in rows}
        try:
            for future in as_completed(futures):
                yield futures[future], future.result()
        finally:
            pool.shutdown(cancel_futures=True)


def _one(server: Server, arguments: tuple[str, ...]) -> Result | str:
    try:
        with connect(server) as host:
            return host.run([SCRIPT, *arguments], timeout=LONGEST)
    except HostError as error:
        return sentence(error)
    finally:
        connections.close_all()  # this thread's own


def _last_line(output: bytes) -> str:
    lines = output.decode(errors="replace").strip().splitlines()
    return lines[-1] if lines else _("no word")
