"""The works of forwarded ports, and what the schedule does for them."""

from dataclasses import asdict
from datetime import timedelta

from django.db.models import Q, QuerySet
from django.utils import timezone
from django.utils.translation import gettext as _

from accounts.actors import Actor
from forwarding import answering, reading
from forwarding.desired_ports import card_of
from forwarding.models import PortForward, PortReading
from forwarding.services.ports import ANSWERS, READ
from hosts.errors import HostError
from jobs import schedule, works
from jobs.run import Run
from jobs.services import start_job
from servers.connect import connect
from servers.models import Contact, Server
from servers.words import sentence

READ_DUE = "forwarding.read_ports_due"
READ_EVERY = timedelta(hours=6)

works.expect(PortForward.DoesNotExist)


def _destination(rule: int) -> list[int]:
    return [PortForward.objects.get(pk=rule).destination_id]


@works.register(ANSWERS, safe_to_repeat=True, again=True, touches=_destination)
def what_answers(run: Run, *, rule: int) -> None:
    """Try the way of a rule from the inside out, and keep what was found."""
    row = PortForward.objects.select_related("host", "destination").get(pk=rule)
    found: list[answering.Answer] = []

    def note(answer: answering.Answer) -> None:
        found.append(answer)
        run.log(answer.words, "err" if answer.ok is False else "info")

    with run.step(answering.STEPS["guest"]):
        note(answering.at_destination(row, connect))
    try:
        with connect(row.host) as host:
            with run.step(answering.STEPS["host"]):
                note(answering.from_host(row, host))
            with run.step(answering.STEPS["rule"]):
                _keep_reading(row.host, reading.read(host, _outside(row.host)))
                note(answering.in_rules(row, host))
    except HostError as error:
        note(answering.Answer("rule", None, sentence(error)))
    with run.step(answering.STEPS["outside"]):
        note(answering.from_outside(row))
    run.log(answering.verdict(found))
    PortForward.objects.filter(pk=rule).update(
        answers=[asdict(answer) for answer in found], answers_at=timezone.now()
    )


@works.register(READ, safe_to_repeat=True, again=True)
def read_ports(run: Run, *, host: int) -> None:
    """Read which ports one host uses itself."""
    row = Server.objects.get(pk=host)
    with connect(row) as connection:
        uses = reading.read(connection, _outside(row))
    _keep_reading(row, uses)
    for protocol, first, _last, name in uses.listening:
        run.log(f"{protocol} {first} {name}")
    for protocol, first, last, chain in uses.foreign:
        run.log(
            _("%(protocol)s %(first)s-%(last)s is forwarded by %(chain)s")
            % {"protocol": protocol, "first": first, "last": last, "chain": chain}
        )


@works.register(READ_DUE, safe_to_repeat=True)
def read_ports_due(run: Run) -> None:
    """Read every host whose turn it is; one that cannot be read does not end the others' turn."""
    for host in due():
        run.check_stop()
        try:
            with connect(host) as connection:
                _keep_reading(host, reading.read(connection, _outside(host)))
        except HostError as error:
            run.log(f"{host}: {sentence(error)}", "err")


def _outside(host: Server) -> reading.Outside:
    return reading.Outside(card_of(host), host.external_ip, host.internal_ip)


def _keep_reading(host: Server, uses: reading.Uses) -> None:
    PortReading.objects.update_or_create(
        host=host,
        defaults={"read_at": timezone.now(), "listening": uses.listening, "foreign": uses.foreign},
    )


def due() -> QuerySet[Server]:
    """Reachable Proxmox hosts that were not read for six hours."""
    old = Q(port_reading=None) | Q(port_reading__read_at__lt=timezone.now() - READ_EVERY)
    return Server.objects.filter(old, is_proxmox=True, contact=Contact.OK)


def start_readings() -> None:
    """One job that reads every host whose turn it is; none where there is no such host."""
    if due().exists():
        start_job(Actor.system("scheduler"), READ_DUE, _("Read which ports hosts use themselves"), once=True)


def register() -> None:
    """Put it on the schedule."""
    schedule.every(READ_DUE, 900, start_readings)
