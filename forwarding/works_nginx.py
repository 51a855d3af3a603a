"""Reading what nginx servers leave out, by schedule: a hostname may fail to come up after a start of the machine."""

from django.db.models import QuerySet
from django.utils.translation import gettext as _

from accounts.actors import Actor
from forwarding import nginx_reading
from hosts.errors import HostError
from jobs import schedule, works
from jobs.run import Run
from jobs.services import start_job
from servers.connect import connect
from servers.models import Contact, Server
from servers.words import sentence

READ = "forwarding.read_nginx"
EVERY = 900  # seconds


@works.register(READ, safe_to_repeat=True, again=True)
def read_nginx(run: Run) -> None:
    """Read every nginx server; one that cannot be read does not end the others' turn."""
    for nginx in _in_use():
        run.check_stop()
        try:
            with connect(nginx) as host:
                run.log(f"{nginx}: {nginx_reading.read(nginx, host) or _('nothing is left out')}")
        except HostError as error:
            run.log(f"{nginx}: {sentence(error)}", "err")


def _in_use() -> QuerySet[Server]:
    """Reachable nginx servers that serve hostnames."""
    rows = Server.objects.filter(contact=Contact.OK)
    return rows.filter(nginx_for__hostname_forwards__active=True).distinct()


def start_readings() -> None:
    """One job that reads them all; none where there is no such server."""
    if _in_use().exists():
        start_job(Actor.system("scheduler"), READ, _("Read which hostnames are left out"), once=True)


def register() -> None:
    """Put it on the schedule."""
    schedule.every(READ, EVERY, start_readings)
