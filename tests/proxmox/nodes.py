"""Simulated Proxmox hosts as rows of the inventory, and looks at them."""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from datetime import datetime

from lab.pve import PveServer, World
from proxmox.looking import look_at
from proxmox.models import GuestSeen, NodeSeen
from servers.models import Server
from tests.proxmox.panel_side import host_row


@contextmanager
def many_hosts(count: int, containers: int) -> Iterator[list[tuple[PveServer, Server]]]:
    """So many hosts with so many containers each, every one with its own API."""
    with ExitStack() as stack:
        found = []
        for number in range(1, count + 1):
            world = World.example(containers=containers, node=f"pve{number}")
            server = stack.enter_context(PveServer(world))
            found.append((server, host_row(server, name=f"pve{number}")))
        yield found


def see(*hosts: Server) -> list[int]:
    """Look at these hosts now; the ids of those looked at."""
    return look_at([host.pk for host in hosts])


def node_of(host: Server) -> NodeSeen:
    """What was seen of the host."""
    return NodeSeen.objects.get(host=host)


def guest_of(host: Server, vmid: int) -> GuestSeen:
    """What was seen of a guest."""
    return GuestSeen.objects.get(host=host, vmid=vmid)


def looked_at(host: Server) -> datetime:
    """When the host was looked at last."""
    moment = node_of(host).looked_at
    assert moment is not None
    return moment


def answered_at(host: Server) -> datetime:
    """When the host answered last."""
    moment = node_of(host).answered_at
    assert moment is not None
    return moment


def add_server(host: Server, name: str, ip: str | None = None) -> Server:
    """A server of the inventory that runs on this host."""
    return Server.objects.create(name=name, keymanager_name=name, is_vm=True, vm_host=host, internal_ip=ip)
