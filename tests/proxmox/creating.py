"""A simulated Proxmox in front of the panel, and creates that run in this process."""

import re
from collections.abc import Iterator
from contextlib import contextmanager

from accounts.actors import Actor
from jobs.execute import carry_out, claim
from jobs.models import Job
from jobs.pulse import pulse
from lab.pve import PveServer, World
from lab.pve.world import Guest
from proxmox.models import Creation, ProxmoxAccess
from proxmox.services.create import Wanted, create_container
from servers.models import Server

TEMPLATE = "local:vztmpl/debian-12-standard_12.7-1_amd64.tar.zst"
ACTOR = Actor.system("test")


@contextmanager
def simulated(world: World | None = None) -> Iterator[tuple[PveServer, Server]]:
    """A server of the API, and the host of the inventory that it is."""
    with PveServer(world or World.example(containers=2)) as pve:
        yield pve, host_of(pve)


def host_of(pve: PveServer, name: str = "pve1.example.org", **more) -> Server:
    host = Server.objects.create(
        name=name, keymanager_name=name, is_proxmox=True, proxmox_node=pve.node, external_interface="vmbr0",
        internal_ip="10.0.0.1", **more,
    )  # fmt: skip
    ProxmoxAccess.objects.create(
        server=host, address="127.0.0.1", port=pve.port, user="root@pam!panel", secret="secret",
        certificate=pve.certificate_pem, fingerprint=pve.fingerprint,
    )  # fmt: skip
    return host


def wanted(host: Server, name: str = "web1.example.org", **more) -> Wanted:
    return Wanted(**{"host": host, "name": name, "template": TEMPLATE, "storage": "local-lvm", **more})


def ask(host: Server, name: str = "web1.example.org", **more) -> Creation:
    return create_container(ACTOR, wanted(host, name, **more))


def run(creation: Creation) -> Creation:
    """Carry its job out as a worker would; gives the row as it is then."""
    try:
        claimed = claim(job_of(creation).pk)
        assert claimed is not None
        carry_out(claimed)
    finally:
        pulse.stop()
    return Creation.objects.select_related("job", "host", "server").get(pk=creation.pk)


def log_of(creation: Creation) -> str:
    return "\n".join(job_of(creation).lines.values_list("text", flat=True))


def job_of(creation: Creation) -> Job:
    """Its job, as it is now."""
    return Job.objects.get(pk=creation.job_id or 0)


def made_by(pve: PveServer, creation: Creation) -> Guest:
    """The container on Proxmox."""
    return pve.world.guests[creation.vmid or 0]


def address_in(guest: Guest) -> str:
    found = re.search(r"ip=([0-9.]+)/", guest.config["net0"])
    return found[1] if found else ""


def guests_named(pve: PveServer, name: str = "web1.example.org") -> list[int]:
    return [vmid for vmid, guest in pve.world.guests.items() if guest.config.get("hostname") == name]
