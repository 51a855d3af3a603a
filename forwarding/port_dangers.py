"""What a change of a forwarded port may cut off: such a change wants a second word."""

from collections.abc import Iterator
from dataclasses import dataclass

from django.db.models import Q
from django.utils.translation import gettext as _

from forwarding.models import PortForward, PortReading, Protocol
from hosts.address import BadConnection, parse_connection
from servers.models import Server
from servers.panel import leads_to_panel

OWN_PORTS = {22: "SSH", 8006: "Proxmox"}
WEB_PORTS = (80, 443)


@dataclass(frozen=True)
class Way:
    """Where one rule leads the ports of its host; nowhere while it is switched off."""

    protocol: str
    first: int
    last: int
    destination_id: int
    to_first: int
    to_last: int
    active: bool

    @classmethod
    def of(cls, rule: PortForward) -> "Way":
        """As the rule says now."""
        return cls(
            rule.protocol,
            rule.first_port,
            rule.last_port,
            rule.destination_id,
            rule.destination_first,
            rule.destination_last,
            rule.active,
        )

    def leads(self, protocol: str, port: int) -> tuple[int, int] | None:
        """The destination and its port to which a port leads."""
        if not self.active or protocol != self.protocol or not self.first <= port <= self.last:
            return None
        offset = 0 if self.to_first == self.to_last else port - self.first
        return self.destination_id, self.to_first + offset


def dangers(host: Server, before: Way | None, after: Way | None) -> list[str]:
    """What a change from `before` to `after` may cut off; empty where it wants no second word."""
    return [*_taken(host, before, after), *_connections(host, before, after), *_lost(host, before, after)]


def _taken(host: Server, before: Way | None, after: Way | None) -> Iterator[str]:
    """Ports that something on the host uses itself, and that this change takes away from it."""
    if after is None or not after.active:
        return

    def takes(protocol: str, first: int, last: int) -> bool:
        ports = range(max(first, after.first), min(last, after.last) + 1)
        return protocol == after.protocol and any(
            before is None or before.leads(protocol, port) is None for port in ports
        )

    for port, name in OWN_PORTS.items():
        if takes(Protocol.TCP, port, port):
            yield _("%(port)s is where %(host)s itself is reached (%(name)s).") % {
                "port": port,
                "host": host,
                "name": name,
            }
    reading = PortReading.objects.filter(host=host).first()
    for protocol, first, last, name in reading.listening if reading else ():
        known = protocol == Protocol.TCP and first == last and first in OWN_PORTS
        if not known and takes(protocol, first, last):
            yield _("%(host)s itself listens on %(protocol)s %(port)s (%(name)s).") % {
                "host": host,
                "protocol": protocol.upper(),
                "port": first,
                "name": name or "?",
            }
    for protocol, first, last, chain in reading.foreign if reading else ():
        if takes(protocol, first, last):
            yield _(
                "A rule on %(host)s that is not from Gestion (%(chain)s) forwards %(protocol)s %(port)s "
                "already, and comes first."
            ) % {"host": host, "chain": chain, "protocol": protocol.upper(), "port": first}


def _connections(host: Server, before: Way | None, after: Way | None) -> Iterator[str]:
    """Connections of the panel or of the backup server that go through a port of this host."""
    for server, port, whose in connections_through(host):
        then = before.leads(Protocol.TCP, port) if before else None
        now = after.leads(Protocol.TCP, port) if after else None
        if then == now:
            continue
        words = {"port": port, "host": host, "server": server}
        if server.pk == host.pk:
            if now is not None and port not in OWN_PORTS:
                yield (
                    _("The backup server connects to %(host)s itself by port %(port)s.")
                    if whose == "backup"
                    else _("Gestion connects to %(host)s itself by port %(port)s.")
                ) % words
        elif (then and then[0] == server.pk) or (then is None and now and now[0] != server.pk):
            yield (
                _("The backup server's own connection to %(server)s goes through port %(port)s of %(host)s.")
                if whose == "backup"
                else _("Gestion's own connection to %(server)s goes through port %(port)s of %(host)s.")
            ) % words


def connections_through(host: Server) -> Iterator[tuple[Server, int, str]]:
    """The servers whose SSH connection goes to an outside address of this host: the port, and whose it is."""
    names = {
        name.lower()
        for name in (host.external_ip, host.name, host.external_hostname_for_vms, _own_host(host))
        if name
    }
    with_connection = Server.objects.filter(Q(ssh_connection__gt="") | Q(backup_ssh_connection__gt=""))
    for server in with_connection.order_by("name"):
        for whose, text in (("panel", server.ssh_connection), ("backup", server.backup_ssh_connection)):
            try:
                address = parse_connection(text) if text else None
            except BadConnection:
                continue
            if address and address.host.lower() in names:
                yield server, address.port, whose


def _own_host(host: Server) -> str:
    """The name or address by which the panel itself reaches the host."""
    try:
        return parse_connection(host.ssh_connection).host if host.ssh_connection else ""
    except BadConnection:
        return ""


def _lost(host: Server, before: Way | None, after: Way | None) -> Iterator[str]:
    """Ways to the web sites of the host's nginx server and to the panel that this change ends."""
    if before is None:
        return
    for port in WEB_PORTS:
        then = before.leads(Protocol.TCP, port)
        if (
            then
            and then[0] == host.nginx_server_id
            and (after is None or after.leads(Protocol.TCP, port) != then)
        ):
            yield _("Port %(port)s leads to %(nginx)s, and with it to every website of %(host)s.") % {
                "port": port,
                "nginx": host.nginx_server,
                "host": host,
            }
    if not (before.active and before.protocol == Protocol.TCP) or before == after:
        return
    if leads_to_panel(host, [before.destination_id]):
        yield _("This rule leads to the server that Gestion itself runs on.")
