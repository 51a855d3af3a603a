"""The works of this room, and when the schedule starts them."""

from django.db.models import Q
from django.utils import timezone
from django.utils.translation import gettext as _

from accounts.actors import Actor
from hosts.errors import HostError
from jobs import schedule, works
from jobs.models import ENDED, Job
from jobs.run import Run
from jobs.services import start_job
from servers import contact, looking, rolling
from servers.models import Contact, Rollout, RolloutState, Server
from servers.rollouts import due, start
from servers.words import sentence

works.expect(HostError, rolling.RolloutFailed, Server.DoesNotExist)
SCHEDULER = Actor.system("scheduler")


@works.register("servers.check", safe_to_repeat=True, again=True)
def check(run: Run, *, server: int) -> None:
    """Try to reach one server."""
    row = Server.objects.get(pk=server)
    contact.check(row)
    row.refresh_from_db()
    run.log(row.contact_why or row.get_contact_display())


@works.register("servers.check_all", safe_to_repeat=True, again=True)
def check_all(run: Run, *, everyone: bool = False) -> None:
    """Try to reach every server whose turn it is, or everyone."""
    rows = list(Server.objects.all() if everyone else servers_to_check())
    for done, (server, state) in enumerate(contact.check_many(rows), 1):
        run.progress(done, len(rows))
        run.log(f"{server}: {Contact(state).label}")
        run.check_stop()


def servers_to_check():  # noqa: ANN201
    """The servers whose turn it is, also those that cannot be reached as the inventory stands."""
    return Server.objects.filter(next_check_at__lte=timezone.now())
