"""The works of this room."""

from collections.abc import Sequence

from django.db.models import Exists, OuterRef

from hosts.errors import HostError
from jobs import works
from jobs.run import Run
from servers import contact, looking, rolling
from servers.models import Contact, Rollout, Server
from servers.rollouts import WORK

works.expect(HostError, rolling.RolloutFailed, Server.DoesNotExist)


def _this(server: int, **_more: object) -> list[int]:
    return [server]


@works.register("servers.check", safe_to_repeat=True, again=True, touches=_this)
def check(run: Run, *, server: int) -> None:
    """Try to reach one server."""
    row = Server.objects.get(pk=server)
    contact.check(row)
    row.refresh_from_db()
    run.log(row.contact_why or row.get_contact_display())


@works.register("servers.check_all", safe_to_repeat=True, again=True)
def check_all(run: Run, *, everyone: bool = False) -> None:
    """Try to reach every server whose turn it is, or everyone."""
    rows = list((Server.objects.all() if everyone else contact.to_check()).select_related("vm_host"))
    for done, (server, state) in enumerate(contact.check_many(rows), 1):
        run.progress(done, len(rows))
        run.log(f"{server}: {Contact(state).label}")
        run.check_stop()


@works.register(WORK, safe_to_repeat=True, touches=_this, by_rows=True)
def roll_out(run: Run, *, server: int) -> None:
    """Roll out all that waits on one server."""
    rolling.roll_out(run, Server.objects.get(pk=server))


@works.register("servers.look", safe_to_repeat=True, touches=_this)
def look(run: Run, *, server: int, kinds: Sequence[str] | None = None) -> None:
    """Compare one server with what it should hold, and change nothing."""
    looking.look_at(run, Server.objects.get(pk=server), kinds)


@works.register("servers.look_all", safe_to_repeat=True, again=True)
def look_all(run: Run) -> None:
    """Look for drift on every server that was reachable last and holds something of ours."""
    held = Rollout.objects.filter(server=OuterRef("pk"), state__in=looking.LOOKED_AT)
    looking.look_at_many(run, Server.objects.filter(Exists(held), contact=Contact.OK))
