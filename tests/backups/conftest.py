"""A small fleet of rows: a Proxmox host with a guest, a server of its own, and a backup server."""

from dataclasses import dataclass

import pytest

from accounts.actors import Actor
from backups.models import Backup
from servers.models import Server


@dataclass(frozen=True)
class Rows:
    """The servers, and a short way to a backup that is saved without a service."""

    pve1: Server
    web1: Server
    mail1: Server
    backup1: Server

    def unsaved(self, **fields: object) -> Backup:
        """mail1:/ to backup1, not saved."""
        fields.setdefault("source", self.mail1)
        fields.setdefault("destination", self.backup1)
        fields.setdefault("destination_folder", f"/backups/{fields['source']}")
        return Backup(**fields)

    def backup(self, **fields: object) -> Backup:
        """The same, saved."""
        made = self.unsaved(**fields)
        made.save()
        return made


@pytest.fixture
def rows(db) -> Rows:
    """pve1 with web1 behind it, mail1 and backup1 beside it."""
    pve1 = Server.objects.create(
        name="pve1", is_proxmox=True, proxmox_node="pve1", external_interface="eth0",
        external_ip="198.51.100.10", internal_ip="10.0.0.1", ssh_connection="root@198.51.100.10",
        keymanager_name="pve1",
    )  # fmt: skip
    web1 = Server.objects.create(
        name="web1", is_vm=True, vm_host=pve1, internal_ip="10.0.0.102", keymanager_name="web1"
    )
    mail1, backup1 = (
        Server.objects.create(name=name, external_ip=ip, ssh_connection=f"root@{ip}", keymanager_name=name)
        for name, ip in (("mail1", "198.51.100.20"), ("backup1", "198.51.100.11"))
    )
    for server in (pve1, web1, mail1, backup1):
        server.unix_users.create(name="root")
    return Rows(pve1, web1, mail1, backup1)


@pytest.fixture
def actor(admin) -> Actor:
    """The admin, as services see her."""
    return Actor(admin, admin.username)
