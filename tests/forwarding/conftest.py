"""A small fleet of rows: one Proxmox host with two guests, and a backup server."""

from dataclasses import dataclass
from typing import Any

import pytest

from accounts.actors import Actor
from forwarding.models import HostnameDestination, HostnameForward, PortForward
from servers.models import Server


@dataclass(frozen=True)
class Rows:
    """The servers, and a short way to a rule that is not saved."""

    pve1: Server
    proxy: Server
    web1: Server
    backup1: Server

    def rule(
        self, ports: str = "8080", to: Server | None = None, inside: str = "80", **fields: object
    ) -> PortForward:
        """A rule of pve1 to web1, or to another guest."""
        first, _, last = ports.partition("-")
        inside_first, _, inside_last = inside.partition("-")
        return PortForward(
            host=self.pve1,
            destination=to or self.web1,
            first_port=int(first),
            last_port=int(last or first),
            destination_first=int(inside_first),
            destination_last=int(inside_last or inside_first),
            **fields,
        )


@pytest.fixture
def rows(db) -> Rows:
    """pve1 with proxy (its nginx server) and web1 behind it, and backup1."""
    pve1 = Server.objects.create(
        name="pve1", is_proxmox=True, proxmox_node="pve1", external_interface="eth0",
        external_ip="198.51.100.10", internal_ip="10.0.0.1", ssh_connection="root@198.51.100.10",
        keymanager_name="pve1",
    )  # fmt: skip
    guests = [
        Server.objects.create(name=name, is_vm=True, vm_host=pve1, internal_ip=ip, keymanager_name=name)
        for name, ip in (("proxy", "10.0.0.101"), ("web1", "10.0.0.102"))
    ]
    backup1 = Server.objects.create(name="backup1", external_ip="198.51.100.11", keymanager_name="backup1")
    return Rows(pve1, guests[0], guests[1], backup1)


@pytest.fixture
def actor(admin) -> Actor:
    """The admin, as services see her."""
    return Actor(admin, admin.username)


@dataclass(frozen=True)
class HostnameRows(Rows):
    """The fleet with proxy as pve1's nginx server, and a second web server."""

    web2: Server

    def hostname(self, **fields: Any) -> HostnameForward:
        """A hostname of pve1 that is not saved."""
        return HostnameForward(host=self.pve1, **{"domain": "www.example.org", **fields})

    def to(self, *servers: Server) -> list[HostnameDestination]:
        """Destinations that are not saved."""
        return [HostnameDestination(server=server) for server in servers]

    def other_host(self) -> Server:
        """A second Proxmox host, without guests."""
        return Server.objects.create(
            name="pve2", is_proxmox=True, proxmox_node="pve2", external_interface="eth0"
        )


@pytest.fixture
def web(rows: Rows) -> HostnameRows:
    """pve1 with its nginx server proxy, and web1 and web2 behind it."""
    Server.objects.filter(pk=rows.pve1.pk).update(nginx_server=rows.proxy)
    rows.pve1.refresh_from_db()
    web2 = Server.objects.create(
        name="web2", is_vm=True, vm_host=rows.pve1, internal_ip="10.0.0.103", keymanager_name="web2"
    )
    return HostnameRows(rows.pve1, rows.proxy, rows.web1, rows.backup1, web2)
