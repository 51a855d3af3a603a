"""The lab's hosts as rows of the inventory, reached by the lab's key."""

from django.utils import timezone

from forwarding.models import PortForward
from lab import Fleet, LabHost
from servers.models import HostKey, PanelIdentity, Server
from tests.lab_fixtures import LabKey


def enlist(fleet: Fleet, key: LabKey) -> dict[str, Server]:
    """A row for each host of the lab: its connection, its pinned host key."""
    PanelIdentity.objects.create(pk=1, private_key=key.private, public_key=key.public)
    rows: dict[str, Server] = {}
    for host in sorted(fleet, key=lambda host: bool(host.behind)):
        fields: dict[str, object] = {"external_ip": host.address}
        if host.role == "proxmox":
            fields |= {"is_proxmox": True, "proxmox_node": host.name, "external_interface": "eth0"}
            fields |= {"internal_ip": "10.0.0.1"}
        if host.behind:
            fields = {"is_vm": True, "vm_host": rows[host.behind], "internal_ip": host.address}
        rows[host.name] = Server.objects.create(
            name=host.name, keymanager_name=host.name, ssh_connection=host.connection, **fields
        )
        pin(rows[host.name], host)
    return rows


def pin(server: Server, host: LabHost) -> None:
    """Accept the host key that the lab made."""
    HostKey.objects.create(
        server=server, key=host.host_key, fingerprint=f"of {host.name}", pinned_at=timezone.now()
    )


def rule(host: Server, guest: Server, ports: str, inside: str = "", **fields: object) -> PortForward:
    """A rule that is not saved, as people type its ports."""
    first, _, last = ports.partition("-")
    inside_first, _, inside_last = (inside or ports).partition("-")
    return PortForward(
        host=host,
        destination=guest,
        first_port=int(first),
        last_port=int(last or first),
        destination_first=int(inside_first),
        destination_last=int(inside_last or inside_first),
        **fields,
    )
