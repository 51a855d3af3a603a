"""A server as it was at one moment: for watchers of changes and for the audit trail."""

from dataclasses import asdict, dataclass
from typing import Any

from servers.models import Server


@dataclass(frozen=True)
class ServerFacts:
    """Everything an admin can set on a server, as plain values."""

    name: str
    keymanager_name: str
    is_vm: bool
    external_ip: str | None
    internal_ip: str | None
    vm_host_id: int | None
    nginx_server_id: int | None
    ssh_connection: str
    backup_ssh_connection: str
    external_interface: str
    is_proxmox: bool
    proxmox_node: str
    external_hostname_for_vms: str
    samba_management: bool
    samba_base_folder: str
    notes: str
    owner_ids: tuple[int, ...]
    tags: tuple[str, ...]
    unix_users: tuple[str, ...]


SETTINGS = tuple(
    name for name in ServerFacts.__dataclass_fields__ if name not in {"owner_ids", "tags", "unix_users"}
)


def facts_of(server: Server) -> ServerFacts:
    """What the database says of this server now."""
    row = Server.objects.values(*SETTINGS).get(pk=server.pk)
    return ServerFacts(
        **row,
        owner_ids=tuple(server.owners.order_by("pk").values_list("pk", flat=True)),
        tags=tuple(server.tags.order_by("name").values_list("name", flat=True)),
        unix_users=tuple(server.unix_users.order_by("name").values_list("name", flat=True)),
    )


def readable(facts: ServerFacts) -> dict[str, Any]:
    """The facts with names in place of numbers, for the audit trail."""
    from accounts.models import User

    values = asdict(facts)
    servers = dict(
        Server.objects.filter(pk__in=[facts.vm_host_id, facts.nginx_server_id]).values_list("pk", "name")
    )
    values["vm_host"] = servers.get(values.pop("vm_host_id"))
    values["nginx_server"] = servers.get(values.pop("nginx_server_id"))
    values["owners"] = sorted(
        User.objects.filter(pk__in=values.pop("owner_ids")).values_list("username", flat=True)
    )
    return values
