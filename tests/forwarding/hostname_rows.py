"""Rows of hostnames, without what the forms check."""

from forwarding.models import HostnameDestination, HostnameForward
from servers.models import Server


def hostname(
    host: Server,
    domain: str,
    *servers: Server,
    weights: tuple[int, ...] = (),
    spare: int = 0,
    **fields: object,
) -> HostnameForward:
    """A hostname of `host` that leads to these servers; the last `spare` of them are spare ones."""
    row = HostnameForward.objects.create(host=host, domain=domain, **fields)
    for position, server in enumerate(servers):
        HostnameDestination.objects.create(
            hostname=row,
            server=server,
            position=position,
            weight=weights[position] if weights else 1,
            backup=position >= len(servers) - spare,
        )
    return row
