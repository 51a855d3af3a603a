"""How visitors from outside come to the nginx server of a hostname: by a forwarded port, or not at all."""

from dataclasses import dataclass

from forwarding.models import HostnameForward, PortForward, Protocol
from servers.models import Server

USUAL = {"http": 80, "https": 443}


@dataclass(frozen=True)
class WayIn:
    """A port of the nginx server that a hostname uses, and the port outside that leads there (None: none does)."""

    port: int
    scheme: str
    outside: int | None
    url: str


def ways_in(hostname: HostnameForward) -> list[WayIn]:
    """One for each port of the hostname."""
    found = []
    for scheme, port in ports_of(hostname).items():
        outside = port_outside(hostname.host_id, hostname.host.nginx_server, port)
        number = "" if outside in {None, USUAL[scheme]} else f":{outside}"
        found.append(WayIn(port, scheme, outside, f"{scheme}://{hostname.domain}{number}/"))
    return found


def ports_of(hostname: HostnameForward) -> dict[str, int]:
    """The ports of the nginx server that it uses, by what is spoken there."""
    return {"http": hostname.port} | ({"https": hostname.https_port} if hostname.wants_tls else {})


def port_outside(host_id: int, nginx: Server | None, port: int) -> int | None:
    """The port of the host that leads to this port of an nginx server; the usual one where there are several."""
    if nginx is None or nginx.external_ip:
        return port if nginx else None
    rules = PortForward.objects.filter(
        host=host_id,
        destination=nginx,
        active=True,
        protocol=Protocol.TCP,
        destination_first__lte=port,
        destination_last__gte=port,
    )
    ports = [
        rule.first_port
        if rule.destination_first == rule.destination_last
        else rule.first_port + port - rule.destination_first
        for rule in rules
    ]
    return port if port in ports else min(ports, default=None)
