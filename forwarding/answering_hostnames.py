"""Where the way of a hostname breaks: at a destination, at nginx, on the host, or before it."""

import http.client
import socket
import ssl
import time
from collections.abc import Iterable

from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from forwarding import nginx_reading
from forwarding.answering import (
    SECONDS,
    Answer,
    Connect,
    listens,
    not_through,
    outside_of,
    reaches,
    switched_off,
)
from forwarding.desired_hostnames import CHOSEN, KIND, site_of
from forwarding.hostname_ways import WayIn
from forwarding.models import HostnameDestination, HostnameForward
from forwarding.nginx_sites import FOLDER, site_conf
from hosts.bounds import KIB, Allowance, CountingSocket, CountingTls, tls_context
from hosts.host import Host
from servers.models import Server

STEPS = {
    "guest": gettext_lazy("Something listens at the destination"),
    "reached": gettext_lazy("The nginx server reaches the destination"),
    "nginx": gettext_lazy("nginx serves the hostname"),
    "host": gettext_lazy("The host reaches nginx"),
    "outside": gettext_lazy("The hostname answers from outside"),
    "name": gettext_lazy("The name leads to the host"),
}
ANSWER_BYTES = 256 * KIB  # taken from outside: only the head is looked at
# What runs on the host is constant; address and port come as arguments, the request on standard input.
ASK = ("timeout", str(SECONDS), "bash", "-c", 'exec 3<>"/dev/tcp/$0/$1" && cat >&3 && head -n 1 <&3')


def asked_name(row: HostnameForward) -> str:
    """A name that the hostname matches."""
    return row.domain.replace("*", "gestion-asks", 1)


def at_destination(row: HostnameForward, to: HostnameDestination, connect: Connect) -> Answer:
    """Does something listen there?"""
    return listens("guest", to.server, "tcp", row.destination_port, connect)


def from_nginx(row: HostnameForward, to: HostnameDestination, nginx: Server, host: Host) -> Answer:
    """What does the destination answer the nginx server?"""
    if not to.address:
        return Answer("reached", False, _("%s has no address that leads there.") % to.server)
    way = reaches("reached", nginx, host, to.address, row.destination_port)
    if not way.ok:
        return way
    line, spent = _ask(host, to.address, row.destination_port, asked_name(row))
    return _judge("reached", str(to.server), line, spent)


def at_nginx(row: HostnameForward, nginx: Server, host: Host) -> Answer:
    """Does nginx serve it, and what does it answer on its own machine?"""
    if said := _why_unserved(row, nginx, host):
        return Answer("nginx", False, said)
    address = nginx.internal_ip or "127.0.0.1"
    way = reaches("nginx", nginx, host, address, row.port)
    if not way.ok:
        return way
    line, spent = _ask(host, address, row.port, asked_name(row))
    if " 502 " in line or " 504 " in line:
        return Answer("nginx", False, _("nginx gets an answer from no destination (%s).") % line)
    return _judge("nginx", "nginx", line, spent)


def _why_unserved(row: HostnameForward, nginx: Server, host: Host) -> str:
    """Why nginx does not serve it, or not as it is now, whatever answers there; else nothing."""
    if not row.active:
        return switched_off(_("The hostname is switched off."), nginx, KIND)
    nginx_reading.read(nginx, host)
    row.refresh_from_db(fields=["left_out"])
    if row.left_out:
        return _("nginx serves without it: %s") % row.left_out
    if f"/{row.pk}.conf;" not in (host.read(CHOSEN) or b"").decode(errors="replace"):
        return _("nginx does not have it: %s") % (not_through(nginx, KIND) or _("somebody has taken it out."))
    if not _as_it_is(row, host):
        said = not_through(nginx, KIND) or _("somebody has changed its file.")
        return _("nginx has it, but not as it is here: %s") % said
    return ""


def _as_it_is(row: HostnameForward, host: Host) -> bool:
    """Whether the file that nginx reads for it says what the row says."""
    try:
        wanted = site_conf(site_of(row))
    except ValueError:  # what cannot be written is left out, and this was said
        return False
    return (host.read(f"{FOLDER}/sites/{row.pk:d}.conf") or b"").decode(errors="replace") == wanted


def _ask(host: Host, address: str, port: int, name: str) -> tuple[str, int]:
    """The first line of the answer to a request, and the milliseconds it took."""
    usual = "" if port == 80 else f":{port}"
    request = f"GET / HTTP/1.1\r\nHost: {name}{usual}\r\nUser-Agent: gestion\r\nConnection: close\r\n\r\n"
    started = time.monotonic()
    result = host.run([*ASK, address, str(port)], stdin=request.encode(), timeout=SECONDS + 10)
    return result.text.strip()[:100], round((time.monotonic() - started) * 1000)


def _judge(step: str, who: str, line: str, spent: int) -> Answer:
    status = line.partition(" ")[2]
    words = {"who": who, "line": status, "spent": spent}
    if not line:
        return Answer(step, False, _("%(who)s takes the connection, but says nothing.") % words)
    if not line.startswith("HTTP/"):
        return Answer(step, False, _("%(who)s answers, but not by HTTP.") % words)
    if status[:1] == "5":
        return Answer(step, False, _("%(who)s answers with an error: %(line)s.") % words)
    return Answer(step, True, _("%(who)s answers: %(line)s (%(spent)s ms).") % words)


def from_host(row: HostnameForward, way: WayIn, nginx: Server, host: Host) -> Answer:
    """Does the Proxmox host reach this port of nginx?"""
    if not nginx.internal_ip:
        return Answer("host", None, _("%s has no internal IP.") % nginx)
    return reaches("host", row.host, host, nginx.internal_ip, way.port)


def from_outside(row: HostnameForward, way: WayIn, nginx: Server) -> Answer:
    """What does a client get that comes the way of visitors?"""
    if way.scheme == "https" and not site_of(row).certificate:
        return Answer("outside", None, _("It has no certificate yet, so nothing answers by HTTPS."))
    if way.outside is None:
        words = {"host": row.host, "port": way.port, "nginx": nginx}
        return Answer("outside", False, _("No port of %(host)s leads to port %(port)s of %(nginx)s.") % words)
    address = nginx.external_ip or outside_of(row.host)
    who = f"{way.scheme}://{asked_name(row)} ({address}:{way.outside})"
    started = time.monotonic()
    try:
        line = _get(address, way.outside, asked_name(row), tls=way.scheme == "https")
    except ssl.SSLCertVerificationError as error:
        return Answer(
            "outside",
            False,
            _("Browsers do not trust its certificate: %s.") % error.verify_message.rstrip("."),
        )
    except TimeoutError:
        return Answer("outside", False, _("%s does not answer.") % who)
    except (OSError, http.client.HTTPException) as error:
        said = getattr(error, "strerror", None) or error
        return Answer("outside", False, _("%(to)s: %(said)s") % {"to": who, "said": said})
    return _judge("outside", who, line, round((time.monotonic() - started) * 1000))


def _get(address: str, port: int, name: str, *, tls: bool) -> str:
    connection = http.client.HTTPConnection(name, port, timeout=SECONDS)
    try:
        allowance = Allowance(ANSWER_BYTES, 2 * SECONDS)
        plain = socket.create_connection((address, port), timeout=SECONDS)
        raw = CountingSocket.of(plain, allowance)
        connection.sock = CountingTls.over(raw, name, tls_context()) if tls else raw
        connection.request("GET", "/", headers={"User-Agent": "gestion", "Connection": "close"})
        answer = connection.getresponse()
        return f"HTTP/1.1 {answer.status} {answer.reason}"[:100]
    finally:
        connection.close()


def of_name(row: HostnameForward, nginx: Server) -> Answer:
    """Does the name's address lead to where it is served?"""
    name, here = asked_name(row), nginx.external_ip or outside_of(row.host)
    try:
        found = _addresses(name)
    except OSError:
        return Answer("name", False, _("%s does not resolve: DNS has no address for it.") % name)
    words = {"name": name, "found": ", ".join(sorted(found)), "here": here}
    try:
        leads = bool(found & _addresses(here))
    except OSError:
        leads = False
    if leads:
        return Answer("name", True, _("%(name)s is %(found)s.") % words)
    # Something else may stand before it: another proxy, an address translation.
    return Answer("name", None, _("%(name)s is %(found)s, not %(here)s.") % words)


def _addresses(name: str) -> set[str]:
    return {str(entry[4][0]) for entry in socket.getaddrinfo(name, None, type=socket.SOCK_STREAM)}


def verdict(answers: Iterable[Answer]) -> str:
    """Where the way breaks, in one sentence; a destination that is down breaks it only when all are."""
    answers = list(answers)
    ends = [answer for answer in answers if answer.step == "nginx" and answer.ok]
    inner = {"guest", "reached"}
    broken = [answer for answer in answers if answer.ok is False and not (ends and answer.step in inner)]
    if broken:
        return broken[0].words
    down = [answer.words for answer in answers if answer.ok is False]
    if down:
        return _("It answers, but not from every destination: %s") % down[0]
    if any(answer.ok for answer in answers if answer.step == "outside"):
        return _("It answers all the way.")
    return _("Everything that could be tried is as it should be.")
