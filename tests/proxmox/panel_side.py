"""A simulated Proxmox API, the inventory's row of its host, and a worker in this process."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from django.utils import timezone

from accounts.actors import Actor
from jobs.models import Job, JobState
from lab.pve import PveServer, World
from proxmox.client import Endpoint, Login
from proxmox.guests import GuestRef
from proxmox.models import ProxmoxAccess
from servers.models import Server
from tests.servers.conftest import work_off

ACTOR = Actor.system("test")
TOKEN = Login("root@pam!panel", "secret")


def host_row(pve: PveServer, *, name: str = "pve1", node: str = "", login: Login = TOKEN) -> Server:
    """The inventory's row of this API's host, with an access whose certificate is accepted."""
    server = Server.objects.create(
        name=name,
        keymanager_name=name,
        is_proxmox=True,
        proxmox_node=node or pve.node,
        external_interface="vmbr0",
        external_ip="127.0.0.1",
    )
    ProxmoxAccess.objects.create(
        server=server,
        port=pve.port,
        user=login.who,
        secret=login.secret,
        certificate=pve.certificate_pem,
        fingerprint=pve.fingerprint,
        accepted_by="ada",
        accepted_at=timezone.now(),
    )
    return server


@contextmanager
def simulated(**world: Any) -> Iterator[PveServer]:
    """An API with three containers: 101, 102 and 103 run."""
    with PveServer(World.example(**world)) as running:
        yield running


def endpoint(pve: PveServer, **more: Any) -> Endpoint:
    """Where and as whom to reach it."""
    values: dict[str, Any] = {
        "host": "pve1",
        "node": pve.node,
        "address": "127.0.0.1",
        "port": pve.port,
        "login": TOKEN,
        "fingerprint": pve.fingerprint,
    }
    return Endpoint(**{**values, **more})


def guest(host: Server, vmid: int = 101, name: str = "", kind: str = "lxc") -> GuestRef:
    """A guest of the example world."""
    return GuestRef(host, kind, vmid, name or f"ct{vmid}")


def carry_out(job: Job) -> Job:
    """Work this job off (and what it starts); gives it as it ended."""
    work_off()
    job.refresh_from_db()
    return job


def die_in_the_middle(job: Job) -> None:
    """What is left of a job whose worker was killed: it waits for its next attempt."""
    Job.objects.filter(pk=job.pk).update(state=JobState.WAITING, ended_at=None, error="", times_lost=1)


def lines(job: Job) -> str:
    """All that the job has logged."""
    return "\n".join(job.lines.values_list("text", flat=True))
