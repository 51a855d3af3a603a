"""Simulated Proxmox hosts as rows of the inventory, and a look at them."""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

from lab.pve import PveServer, World
from proxmox.looking import look_at
from proxmox.models import GuestSeen, NodeSeen, ProxmoxAccess
from servers.models import Server


def enlist(server: PveServer, name: str = "pve1", **more: Any) -> Server:
    """A row for a simulated host, with its token and its pinned certificate."""
    row = Server.objects.create(
        name=name, keymanager_name=name, is_proxmox=True, proxmox_node=server.node, external_interface="vmbr0",
        external_ip=None,
    )  # fmt: skip
    access = {"user": "root@pam!panel", "secret": "secret", "fingerprint": server.fingerprint}
    ProxmoxAccess.objects.create(
        server=row, address="127.0.0.1", port=server.port, certificate=server.certificate_pem, **access | more
    )
    return row


@contextmanager
def many_hosts(count: int, containers: int) -> Iterator[list[tuple[PveServer, Server]]]:
    """So many hosts with so many containers each, every one with its own API."""
    with ExitStack() as stack:
        found = []
        for number in range(1, count + 1):
            world = World.example(containers=containers, node=f"pve{number}")
            server = stack.enter_context(PveServer(world))
            found.append((server, enlist(server, f"pve{number}")))
        yield found


def see(*hosts: Server) -> None:
    """Look at these hosts now."""
    look_at([host.pk for host in hosts])


def node_of(host: Server) -> NodeSeen:
    """What was seen of the host."""
    return NodeSeen.objects.get(host=host)


def guest_of(host: Server, vmid: int) -> GuestSeen:
    """What was seen of a guest."""
    return GuestSeen.objects.get(host=host, vmid=vmid)
