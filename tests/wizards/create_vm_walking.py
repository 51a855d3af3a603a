"""create_vm's tasks called as the engine does, with a simulated Proxmox; and what people hang on its server."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from accounts.actors import Actor
from backups.models import Backup
from forwarding.models import PortForward
from jobs.masking import Masker
from jobs.models import Job
from jobs.run import Run
from proxmox.models import Creation, Offer
from servers.models import Server
from tests.forwarding.hostname_rows import hostname
from tests.jobs.working import work_off
from tests.proxmox.creating import TEMPLATE, guests_named, simulated
from wizards.create_vm import task_container, task_server
from wizards.declare import TaskRun
from wizards.refusing import refusing

NAME = "shop.example.org"


@contextmanager
def begun(*, there: bool = False, **more: Any) -> Iterator[tuple[Any, "Walk"]]:
    """A Proxmox, and the wizard as far as the server's row, which may be there before."""
    with simulated() as (pve, host):
        Offer.objects.create(
            host=host, templates=[[TEMPLATE, 1]], storages=[["local-lvm", "lvmthin", 1 << 40]]
        )
        if there:
            Server.objects.create(name=NAME, keymanager_name=NAME, is_vm=True, vm_host=host)
        walk = Walk(host, **more)
        walk.until_done("server", task_server.do)
        yield pve, walk


class Walk:
    """Calls a task again and again, as the engine does, and carries out the jobs it waits for."""

    def __init__(self, host: Server, **more: Any) -> None:
        self.data = {
            "name": NAME, "host": host.pk, "make_container": True, "unix_users": ["root"], "own": False,
            "address": "10.0.0.2", "gateway": "10.0.0.1", "template": TEMPLATE, "storage": "local-lvm", "disk": 4,
            "memory": 512, "swap": 0, "cores": 1, "bridge": "vmbr0", "name_servers": [], "unprivileged": True,
            "onboot": False, "nesting": False, "fetch_keys": True, **more,
        }  # fmt: skip
        self.results: dict[str, dict[str, Any]] = {}
        self.host = host

    @property
    def server(self) -> Server:
        """The wizard's server."""
        return Server.objects.get(name=NAME)

    def call(self, slug: str, act: Any) -> Any:
        """Call a task once; what it waits for."""
        facts = self.results.setdefault(slug, {})
        run = Run(Job.objects.create(work="wizards.carry_on", title="x", state="running"), Masker())
        actor = Actor.system("test")
        task = TaskRun(
            actor=actor,
            steps=[self.data],
            facts=dict(facts),
            results=self.results,
            keep=facts.update,
            run=run,
        )
        with refusing():  # as the engine does
            return act(task)

    def until_done(self, slug: str, act: Any) -> None:
        """Call a task until it is done."""
        for _count in range(20):
            if self.call(slug, act) is None:
                return
            work_off()
        raise AssertionError(f"{slug} did not end")


def container_there(pve: Any, walk: Walk) -> Creation:
    """The container as Proxmox has it once it is made; nobody logs in to a simulated one."""
    walk.call("container", task_container.do)
    Creation.objects.update(start=False)
    work_off()
    row = Creation.objects.get()
    assert (row.state, guests_named(pve, NAME)) == ("done", [row.vmid]), row.why
    return row


def backup_on(walk: Walk) -> Any:
    """A backup of its server."""
    store = Server.objects.create(name="store", keymanager_name="store", external_ip="198.51.100.9")
    return Backup.objects.create(source=walk.server, destination=store, destination_folder="/b")


def hostname_on(walk: Walk) -> Any:
    """A hostname that leads to its server."""
    return hostname(walk.host, "other.example.org", walk.server)


def port_on(walk: Walk) -> Any:
    """A port that leads to its server."""
    return PortForward.objects.create(
        host=walk.host, destination=walk.server, first_port=900, last_port=900,
        destination_first=90, destination_last=90,
    )  # fmt: skip


def nginx_on(walk: Walk) -> Any:
    """Its host, which has its server as nginx server."""
    Server.objects.filter(pk=walk.host.pk).update(nginx_server=walk.server)
    return Server.objects.get(pk=walk.host.pk)


def guest_beside(host: Server, name: str = "beside") -> Server:
    """Another guest of that host."""
    return Server.objects.create(name=name, keymanager_name=name, is_vm=True, vm_host=host)
