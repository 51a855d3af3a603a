"""The work that tries what answers for a hostname."""

from collections.abc import Callable
from dataclasses import asdict

from django.utils import timezone

from forwarding import answering_hostnames as answering
from forwarding.answering import Answer
from forwarding.hostname_ways import ways_in
from forwarding.models import HostnameDestination, HostnameForward
from forwarding.services.hostname_answers import ANSWERS
from hosts.errors import HostError
from jobs import works
from jobs.run import Run
from servers.connect import connect
from servers.models import Server
from servers.words import sentence

Note = Callable[[Answer], None]

works.expect(HostnameForward.DoesNotExist)


def _destinations(hostname: int) -> list[int]:
    return list(HostnameDestination.objects.filter(hostname=hostname).values_list("server", flat=True))


@works.register(ANSWERS, safe_to_repeat=True, again=True, touches=_destinations)
def what_answers(run: Run, *, hostname: int) -> None:
    """Try the way of a hostname from the inside out, and keep what was found."""
    rows = HostnameForward.objects.select_related("host__nginx_server")
    row = rows.prefetch_related("destinations__server").get(pk=hostname)
    nginx = row.host.nginx_server
    found: list[Answer] = []

    def note(answer: Answer) -> None:
        found.append(answer)
        run.log(answer.words, "err" if answer.ok is False else "info")

    with run.step(answering.STEPS["guest"]):
        for to in row.destinations.all():
            run.check_stop()
            note(answering.at_destination(row, to, connect))
    if nginx is not None:
        _at_nginx(run, row, nginx, note)
        _on_the_way(run, row, nginx, note)
    run.log(answering.verdict(found))
    HostnameForward.objects.filter(pk=hostname).update(
        answers=[asdict(answer) for answer in found], answers_at=timezone.now()
    )


def _at_nginx(run: Run, row: HostnameForward, nginx: Server, note: Note) -> None:
    try:
        with connect(nginx) as host:
            with run.step(answering.STEPS["reached"]):
                for to in row.destinations.all():
                    note(answering.from_nginx(row, to, nginx, host))
            with run.step(answering.STEPS["nginx"]):
                note(answering.at_nginx(row, nginx, host))
    except HostError as error:
        note(Answer("nginx", None, sentence(error)))


def _on_the_way(run: Run, row: HostnameForward, nginx: Server, note: Note) -> None:
    if not nginx.external_ip:
        with run.step(answering.STEPS["host"]):
            try:
                with connect(row.host) as host:
                    for way in ways_in(row):
                        note(answering.from_host(row, way, nginx, host))
            except HostError as error:
                note(Answer("host", None, sentence(error)))
    with run.step(answering.STEPS["outside"]):
        for way in ways_in(row):
            note(answering.from_outside(row, way, nginx))
    with run.step(answering.STEPS["name"]):
        note(answering.of_name(row, nginx))
