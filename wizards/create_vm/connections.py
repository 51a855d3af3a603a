"""How a new guest is reached ⚓: the port of its host that leads to its sshd, and the connection strings."""

from collections.abc import Iterator
from contextlib import suppress
from ipaddress import ip_address

from forwarding.models import PortClaim, PortForward, PortReading, Protocol
from forwarding.models.ports import LAST_PORT
from forwarding.port_dangers import OWN_PORTS, connections_through
from hosts.address import Address, BadConnection, parse_connection
from proxmox.addresses import network_of
from servers.connect import reachable_by, suggested_connection
from servers.models import Server

SSH = 22
FIRST = 100  # the guest with the number n in its network has port 100 + n of the host ⚓
NEXT = 1024  # where the search goes on when everything above is in use


def port_of(host: Server, address: str) -> int | None:
    """The port of the host that shall lead to port 22 of this address, 100 + n, or the next free one after it.

    None where no port can be forwarded: by IPv6, or when nothing is free.
    """
    if not address or ip_address(address).version != 4:
        return None
    network = network_of(host)
    number = (
        int(ip_address(address)) - int(network.network_address) if network else int(address.split(".")[3])
    )
    first = FIRST + number if 0 <= number <= LAST_PORT - FIRST else NEXT
    taken = ports_in_use(host)
    wanted = (*range(first, LAST_PORT + 1), *range(NEXT, first))
    return next((port for port in wanted if port not in taken), None)


def port_led_to(host: Server, server: Server | None) -> int | None:
    """The port of the host that leads to a known server's sshd already; None if none does."""
    rules = PortForward.objects.filter(
        host=host, destination=server, active=True, protocol=Protocol.TCP, destination_first=SSH
    )
    rule = rules.first() if server else None
    return rule.first_port if rule else None


def ports_in_use(host: Server, *, but_for: Server | None = None) -> set[int]:
    """TCP ports of the host that something has already: a rule, the host itself, somebody's connection."""
    claims = PortClaim.objects.filter(host=host, protocol=Protocol.TCP)
    if but_for is not None:
        claims = claims.exclude(rule__destination=but_for)
    found = {*claims.values_list("port", flat=True), *OWN_PORTS}
    found |= {port for server, port, _whose in connections_through(host) if server != but_for}
    return found | set(_of_reading(host))


def _of_reading(host: Server) -> Iterator[int]:
    reading = PortReading.objects.filter(host=host).first()
    if reading is None:
        return
    for protocol, first, last, _by in [*reading.listening, *reading.foreign]:
        if protocol == Protocol.TCP:
            yield from range(first, last + 1)


def connection_from(beside: str, host: Server, name: str, address: str, port: int | None) -> str:
    """The connection string ⚓ for whoever is on the Proxmox host `beside` ("" for: on none).

    On the guest's own host: root at its internal address. Elsewhere: the forwarded port of the host's outside name.
    Empty where there is none of both: then the way goes through the host.
    """
    text = suggested_connection(host=host, internal_ip=address, external_ip="", name=name, panel_host=beside)
    if "<port>" not in text:
        return text
    if port is None:
        return ""
    return parse_connection(text.replace("<port>", str(port))).text


def has_way_in(host: Server, address: str, connection: str) -> bool:
    """Whether the panel could log in: by a connection string, or through the host."""
    return bool(connection) or bool(address and reachable_by(host))


def leads_through(host: Server, connection: str) -> int | None:
    """The port of this host through which a connection string goes; None if it goes elsewhere."""
    try:
        wanted = parse_connection(connection) if connection else None
    except BadConnection:
        return None
    if wanted is None or wanted.host.lower() not in _names(host):
        return None
    return wanted.port


def _names(host: Server) -> set[str]:
    names = (host.external_ip, host.name, host.external_hostname_for_vms)
    return {name.lower() for name in names if name}


def command_for(server: Server) -> str:
    """What a person types to log in."""
    host = server.vm_host
    rule = PortForward.objects.filter(
        host=host, destination=server, active=True, protocol=Protocol.TCP, destination_first=SSH
    ).first()
    if host is not None and rule is not None:
        outside = host.external_hostname_for_vms or host.external_ip or host.name
        return f"ssh {Address(outside, port=rule.first_port).text}"
    if server.ssh_connection:
        with suppress(BadConnection):  # stored by an earlier version
            return f"ssh {parse_connection(server.ssh_connection).text}"
    if host is not None and host.ssh_connection and server.internal_ip:
        with suppress(BadConnection):  # stored by an earlier version
            return f"ssh -J {parse_connection(host.ssh_connection).jump} root@{server.internal_ip}"
    return ""
