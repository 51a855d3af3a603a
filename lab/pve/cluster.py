"""A running cluster: its world, and everything that answers for it."""

import contextlib
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

from .access import Access, Identity
from .errors import TaskError, died
from .faults import Faults, TaskFails
from .hypervisor import Hypervisor, Simulated
from .privileges import Rights
from .schema import Schema, schema_of
from .tasks import Task, TaskBook, Work
from .world import World

Json = dict[str, Any]


class Cluster:
    """What the servers of one cluster share."""

    def __init__(
        self,
        world: World,
        hypervisor: Hypervisor | None = None,
        *,
        tasks: TaskBook | None = None,
        faults: Faults | None = None,
        save: Callable[[], None] = lambda: None,
        refresh: Callable[[], None] = lambda: None,
    ) -> None:
        self.world = world
        self.hypervisor: Hypervisor = hypervisor or Simulated(world)
        self.faults = faults or Faults()
        self.tasks = tasks or TaskBook()
        self.access = Access(world)
        self.rights = Rights(world, self.faults.lacking)
        self.save = save
        self.refresh = refresh
        self.started = time.time()
        self._guest_locks: dict[int, threading.RLock] = {}
        self._locked: dict[int, str] = {}

    @property
    def schema(self) -> Schema:
        """The schema of the world's version."""
        return schema_of(self.world.version)

    def lock_guests(self) -> None:
        """Let the guests be locked that a fault wants locked, and no longer than it does."""
        wanted = self.faults.locks()
        with self.world.lock:
            for vmid in self._locked.keys() - wanted.keys():
                guest = self.world.guests.get(vmid)
                if guest and guest.config.get("lock") == self._locked[vmid]:
                    del guest.config["lock"]
            for vmid, word in wanted.items():
                if vmid in self.world.guests:
                    self.world.guests[vmid].config.setdefault("lock", word)
            self._locked = wanted

    @contextlib.contextmanager
    def hold(self, vmid: int) -> Iterator[None]:
        """Hold a guest's lock, as every change of it does. Raises ApiError after the world's time-out."""
        with self.world.lock:
            lock = self._guest_locks.setdefault(vmid, threading.RLock())
        if not lock.acquire(timeout=self.world.lock_timeout):
            raise died(f"can't lock file '/run/lock/lxc/pve-config-{vmid}.lock' - got timeout")
        try:
            yield
        finally:
            lock.release()
            self.save()

    def start_task(
        self,
        node: str,
        kind: str,
        subject: str,
        who: Identity,
        work: Work,
        *,
        undo: Callable[[], None] = lambda: None,
    ) -> str:
        """Start a task, perhaps one that a fault lets fail; `undo` takes back what came before it."""
        fault = self.faults.take(TaskFails, kind, subject)
        if not fault:
            return self.tasks.start(node, kind, subject, who, work)

        def fail(task: Task) -> None:
            if fault.done:
                work(task)
            task.wait(fault.seconds)
            if not fault.done:
                undo()
                self.save()
            raise TaskError(fault.message)

        return self.tasks.start(node, kind, subject, who, fail)


@dataclass
class Request:
    """One call, its parameters checked: what its handler needs to answer it."""

    cluster: Cluster
    node: str
    who: Identity
    params: Json
    extra: Json = field(default_factory=dict)
    """What else stands beside "data" in the answer: "total"."""

    @property
    def world(self) -> World:
        """The world."""
        return self.cluster.world

    def require(self, path: str, *privileges: str, any_of: bool = False) -> None:
        """Raise Forbidden unless who asks has these privileges on the path."""
        self.cluster.rights.require(self.who.id, path, list(privileges), any_of=any_of)

    def may(self, path: str, *privileges: str, any_of: bool = False) -> bool:
        """Return whether who asks has these privileges on the path."""
        return self.cluster.rights.has(self.who.id, path, list(privileges), any_of=any_of)

    def task(self, kind: str, subject: object, work: Work, undo: Callable[[], None] = lambda: None) -> str:
        """Start a task on the node that the call names."""
        return self.cluster.start_task(self.params["node"], kind, str(subject), self.who, work, undo=undo)
