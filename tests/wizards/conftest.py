"""Fixtures of wizards."""

from pathlib import Path

import pytest

from accounts.actors import Actor
from backups.models import Backup
from forwarding.models import PortForward
from keymanager.models import Group
from proxmox.models import GuestSeen
from servers.models import Server, UnixUser
from tests.forwarding.hostname_rows import hostname
from tests.proxmox.conftest import host, pve  # noqa: F401 - fixtures

SAMPLES = Path(__file__).parent / "samples"


@pytest.fixture(autouse=True)
def sample_folder(settings) -> Path:
    """The wizards of the tests, beside the panel's own."""
    settings.WIZARDS_FOLDER = str(SAMPLES)
    return SAMPLES


@pytest.fixture
def actor(admin) -> Actor:
    """The admin, acting."""
    return Actor(admin, admin.username, "192.0.2.7")


@pytest.fixture
def leaving(host) -> Server:  # noqa: F811 - the fixture
    """ct101 with all that can hang on a server."""
    server, other, nginx = (
        Server.objects.create(name=name, keymanager_name=name, is_vm=True, vm_host=host, internal_ip=ip)
        for name, ip in (("ct101", "10.0.0.101"), ("ct102", "10.0.0.102"), ("proxy", "10.0.0.2"))
    )
    Server.objects.filter(pk=host.pk).update(nginx_server=nginx)
    GuestSeen.objects.create(host=host, vmid=101, kind="lxc", name="ct101", server=server)
    hostname(host, "alone.example.org", server)
    hostname(host, "both.example.org", server, other)
    PortForward.objects.create(
        host=host,
        destination=server,
        first_port=101,
        last_port=101,
        destination_first=22,
        destination_last=22,
    )
    group = Group.objects.create(name="web")
    group.member_servers.add(server)
    group.allowed_servers.add(server, other)
    group.allowed_unix_users.add(UnixUser.objects.create(server=server, name="deploy"))
    store = Server.objects.create(name="store", keymanager_name="store", external_ip="198.51.100.9")
    Backup.objects.create(source=server, destination=store, destination_folder="/backups/ct101")
    return server
