"""The way from a backup server to a source: where it logs in, through which hosts, and which host keys count."""

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from hosts.address import Address, BadConnection, parse_connection
from servers.models import HostKey, Server

if TYPE_CHECKING:
    from backups.models import Backup

# At a source where the backup server comes as somebody else than root: has a folder read as root, by sudo.
SOURCE_READER = "/usr/local/lib/gestion/backup-source"
_HOST_KEY = re.compile(r"[a-z0-9@.-]{1,60} [A-Za-z0-9+/]+={0,3}", re.ASCII)


class NoWay(Exception):  # noqa: N818 - named like NoConnection
    """The inventory does not say how the backup server reaches this server; str() is its name."""


@dataclass(frozen=True)
class Hop:
    """One sshd on the way, and the pinned host keys ("ssh-ed25519 AAAA…") under the server's name."""

    name: str
    address: Address
    host_keys: tuple[str, ...]


def way_from(backup_server: Server, source: Server) -> tuple[Hop, ...]:
    """The hops from the backup server to the source, the source last; raises NoWay, also for what cannot be read.

    The connection string "from backup" counts first. Without one: a neighbour on the same Proxmox host is reached
    by its internal IP, anything else as from Gestion, at last through its host.
    """
    if source.backup_ssh_connection:
        return (_hop(source, _read(source, source.backup_ssh_connection)),)
    if source.internal_ip and source.vm_host_id and source.vm_host_id == backup_server.vm_host_id:
        return (_hop(source, Address(source.internal_ip)),)
    if source.ssh_connection:
        return (_hop(source, _read(source, source.ssh_connection)),)
    if source.internal_ip and source.vm_host and source.vm_host_id != source.pk:
        if source.vm_host_id == backup_server.pk:
            return (_hop(source, Address(source.internal_ip)),)
        return (*way_from(backup_server, source.vm_host), _hop(source, Address(source.internal_ip)))
    raise NoWay(source.name)


def reader_of(backup: "Backup") -> str:
    """The unix user for whom sudo reads the source's files as root; empty where none is needed, or none is wanted.

    Raises NoWay.
    """
    user = way_from(backup.destination, backup.source)[-1].address.user
    return user if backup.as_root and user != "root" else ""


def _read(server: Server, text: str) -> Address:
    try:
        return parse_connection(text)
    except BadConnection as error:  # stored by an earlier version
        raise NoWay(server.name) from error


def _hop(server: Server, address: Address) -> Hop:
    keys = HostKey.objects.filter(server=server, pinned_at__isnull=False).order_by("pk")
    plain = (" ".join(key.split()[:2]) for key in keys.values_list("key", flat=True))
    return Hop(server.name, address, tuple(key for key in plain if _HOST_KEY.fullmatch(key)))
