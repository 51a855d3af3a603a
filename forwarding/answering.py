"""Where the way of a forwarded port breaks: at the destination, on the host, in its rules, or before it."""

import socket
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from forwarding.desired_ports import KIND, SCRIPT, forward_of
from forwarding.models import PortForward, PortReading, Protocol
from forwarding.reading import SOCKETS
from hosts.address import BadConnection, parse_connection
from hosts.errors import HostError
from hosts.host import Host, Result
from servers.configs import NotWritable
from servers.models import Rollout, RolloutState, Server
from servers.words import sentence

SECONDS = 10  # for one try, its shell's start included; nginx gives a destination four, and then says that it has none
# What runs on the host is constant; address and port come as arguments.
CONNECT = ("timeout", str(SECONDS), "bash", "-c", 'exec 3<>"/dev/tcp/$0/$1"')

STEPS = {
    "guest": gettext_lazy("Something listens at the destination"),
    "host": gettext_lazy("The host reaches the destination"),
    "rule": gettext_lazy("The rule is active on the host"),
    "outside": gettext_lazy("The port answers from outside"),
}

Connect = Callable[[Server], Any]  # servers.connect.connect


@dataclass(frozen=True)
class Answer:
    """How one step of the way went; `ok` is None where it cannot be tried."""

    step: str
    ok: bool | None
    words: str


def outside_of(host: Server) -> str:
    """The address or name under which the host's ports are reached from outside."""
    if host.external_ip:
        return host.external_ip
    try:
        own = parse_connection(host.ssh_connection).host if host.ssh_connection else ""
    except BadConnection:
        own = ""
    return host.external_hostname_for_vms or own or host.name


def at_destination(rule: PortForward, connect: Connect) -> Answer:
    """Does something listen on the destination's port?"""
    return listens("guest", rule.destination, rule.protocol, rule.destination_first, connect)


def listens(step: str, guest: Server, protocol: str, port: int, connect: Connect) -> Answer:
    """Does something listen on this port in the guest, for others than itself?"""
    try:
        with connect(guest) as host:
            found = host.run(list(SOCKETS), timeout=20).check().text
    except HostError as error:
        return Answer(
            step,
            None,
            _("Gestion cannot look inside %(guest)s: %(why)s") % {"guest": guest, "why": sentence(error)},
        )
    addresses = _listeners(found, protocol, port)
    words = {
        "protocol": Protocol(protocol).label,
        "port": port,
        "guest": guest,
        "where": ", ".join(addresses),
    }
    if not addresses:
        return Answer(step, False, _("Nothing listens on %(protocol)s %(port)s in %(guest)s.") % words)
    if all(address.startswith(("127.", "[::1]")) for address in addresses):
        return Answer(
            step,
            False,
            _("In %(guest)s it listens on %(where)s alone, where only %(guest)s itself comes.") % words,
        )
    return Answer(step, True, _("%(guest)s listens on %(where)s.") % words)


def _listeners(text: str, protocol: str, port: int) -> list[str]:
    lines = (line.split() for line in text.split("\n"))
    found = {words[4] for words in lines if len(words) > 4 and words[0] == protocol}
    return sorted(address for address in found if address.rpartition(":")[2] == str(port))


def from_host(rule: PortForward, host: Host) -> Answer:
    """Does the host reach the destination's port?"""
    if rule.protocol != Protocol.TCP:
        return Answer("host", None, _("UDP does not say whether anybody is there."))
    return reaches("host", rule.host, host, str(rule.destination.internal_ip), rule.destination_first)


def reaches(step: str, server: Server, host: Host, address: str, port: int) -> Answer:
    """Does a server, connected to as `host`, reach this TCP port?"""
    started = time.monotonic()
    result = host.run([*CONNECT, address, str(port)], timeout=SECONDS + 10)
    words = {"host": server, "to": f"{address}:{port}", "spent": round((time.monotonic() - started) * 1000)}
    if result.code == 0:
        return Answer(step, True, _("%(host)s reaches %(to)s (%(spent)s ms).") % words)
    return Answer(step, False, _why_not(words, result))


def _why_not(words: dict[str, object], result: Result) -> str:
    if result.code == 124:
        return _("%(to)s does not answer %(host)s: is it switched off, or behind a firewall?") % words
    said = result.err.decode(errors="replace").strip().rpartition(": ")[2]
    return _("%(host)s cannot reach %(to)s: %(said)s") % {**words, "said": said}


def in_rules(rule: PortForward, host: Host) -> Answer:
    """Is the rule active on the host, and does no other rule come before it?"""
    if not rule.active:
        return Answer("rule", False, switched_off(_("The rule is switched off."), rule.host, KIND))
    status = host.run([SCRIPT, "status"], timeout=20)
    active = f"--comment gestion-{rule.pk} -j DNAT"
    if not any(f"{active} " in line for line in status.text.split("\n")):
        return Answer("rule", False, _why_no_rule(rule, status))
    if said := _why_another(rule, host, status):
        return Answer("rule", False, said)
    reading = PortReading.objects.filter(host=rule.host).first()
    for protocol, first, last, chain in reading.foreign if reading else ():
        if protocol == rule.protocol and first <= rule.last_port and last >= rule.first_port:
            text = _("A rule that is not from Gestion (%(chain)s) forwards port %(port)s, and comes first.")
            return Answer("rule", False, text % {"chain": chain, "port": first})
    return Answer("rule", True, _("%(host)s has this rule.") % {"host": rule.host})


def _why_no_rule(rule: PortForward, status: Result) -> str:
    said = (status.text or status.err.decode(errors="replace")).strip().rpartition("\n")[2]
    words = {"host": rule.host, "said": not_through(rule.host, KIND) or said}
    return _("%(host)s does not have this rule: %(said)s") % words


def _why_another(rule: PortForward, host: Host, status: Result) -> str:
    """Why the rule that the host has is not this one, as it is now; else nothing."""
    try:
        wanted = forward_of(rule)
    except NotWritable as error:
        said = str(error)
    else:
        dport = f" --dport {wanted.ports} -m comment --comment gestion-{rule.pk} -j DNAT "
        script = (host.read(SCRIPT) or b"").decode(errors="replace")
        if wanted.line in script.split("\n") and dport in status.text:
            return ""
        said = not_through(rule.host, KIND) or _("somebody has changed it there.")
    return _("%(host)s has this rule, but not as it is here: %(said)s") % {"host": rule.host, "said": said}


def switched_off(words: str, server: Server, kind: str) -> str:
    """These words; and how its rollout stands where the server may not know of it yet."""
    said = not_through(server, kind)
    if not said:
        return words
    more = _("%(server)s may not know of it yet: %(said)s") % {"server": server, "said": said}
    return f"{words} {more}"


def not_through(server: Server, kind: str) -> str:
    """How this rollout stands, as long as the server need not have what the rows say; else nothing."""
    rollout = Rollout.objects.filter(server=server, kind=kind).first()
    if rollout is None or rollout.state in (RolloutState.IN_SYNC, RolloutState.DRIFTED):
        return ""
    return _("its rollout is “%s”.") % rollout.get_state_display()


def from_outside(rule: PortForward) -> Answer:
    """Does the port answer the panel?"""
    if rule.protocol != Protocol.TCP:
        return Answer("outside", None, _("UDP does not say whether anybody is there."))
    address = outside_of(rule.host)
    words = {"to": f"{address}:{rule.first_port}"}
    started = time.monotonic()
    try:
        socket.create_connection((address, rule.first_port), timeout=SECONDS).close()
    except TimeoutError:
        return Answer("outside", False, _("%(to)s does not answer.") % words)
    except OSError as error:
        return Answer("outside", False, _("%(to)s: %(said)s") % {**words, "said": error.strerror or error})
    spent = round((time.monotonic() - started) * 1000)
    return Answer("outside", True, _("%(to)s answers (%(spent)s ms).") % {**words, "spent": spent})


def verdict(answers: list[Answer]) -> str:
    """Where the way breaks, in one sentence; that of the innermost step that failed."""
    broken = next((answer for answer in answers if answer.ok is False), None)
    if broken is not None:
        return broken.words
    if any(answer.ok for answer in answers if answer.step == "outside"):
        return _("It answers all the way.")
    return _("Everything that could be tried is as it should be.")
