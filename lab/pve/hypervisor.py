"""What is below the API: the containers themselves, simulated here; lab.pve.real has real ones."""

import time
from dataclasses import dataclass
from typing import Any, Protocol

from .errors import TaskError
from .guestconfig import disk_size
from .tasks import Task
from .world import Guest, World

Json = dict[str, Any]


@dataclass(frozen=True)
class Usage:
    """What a running guest uses: bytes, seconds, and processor time as a share of all its cores."""

    pid: int = 0
    uptime: int = 0
    cpu: float = 0.0
    memory: int = 0
    swap: int = 0
    disk: int = 0
    received: int = 0
    sent: int = 0


@dataclass(frozen=True)
class Unpacked:
    """What a new container gets beside its configuration."""

    template: str
    password: str | None = None
    ssh_keys: str = ""


class Hypervisor(Protocol):
    """Makes, starts and ends containers. All calls may take their time and raise TaskError."""

    def create(self, guest: Guest, wanted: Unpacked, task: Task) -> None:
        """Make its disk from a template."""

    def destroy(self, guest: Guest, task: Task) -> None:
        """Remove it with its disk; it is stopped."""

    def start(self, guest: Guest, task: Task) -> None:
        """Boot it."""

    def stop(self, guest: Guest, task: Task) -> None:
        """Cut its power."""

    def shutdown(self, guest: Guest, timeout: int, force: bool, task: Task) -> None:
        """Ask it to shut down; after so many seconds give up, or cut its power."""

    def reboot(self, guest: Guest, timeout: int, task: Task) -> None:
        """Shut it down and start it."""

    def snapshot(self, guest: Guest, name: str, task: Task) -> None:
        """Keep its disk as it is."""

    def forget_snapshot(self, guest: Guest, name: str, task: Task) -> None:
        """Give a kept disk up."""

    def rollback(self, guest: Guest, name: str, task: Task) -> None:
        """Make a kept disk the present one; it is stopped."""

    def clone(self, source: Guest, target: Guest, snapshot: str | None, task: Task) -> None:
        """Copy its disk, or one that was kept."""

    def backup(self, guest: Guest, task: Task) -> int:
        """Write its disk into an archive; return the size in bytes."""

    def change(self, guest: Guest, changes: Json) -> None:
        """Let a running one have new memory, swap, cores or network. Raises TaskError if it cannot."""

    def running(self, guest: Guest) -> bool:
        """Return whether it runs."""

    def usage(self, guest: Guest) -> Usage:
        """Return what it uses; only for one that runs."""

    def interfaces(self, guest: Guest) -> list[Json]:
        """Return its network interfaces; only for one that runs."""


class Simulated:
    """Containers that are no more than their configuration, and take as long as the world says."""

    def __init__(self, world: World) -> None:
        self.world = world
        now = time.time()
        self._since = {guest.vmid: now for guest in world.guests.values() if guest.running}

    def create(self, guest: Guest, wanted: Unpacked, task: Task) -> None:  # noqa: D102
        self._take_time(task)

    def destroy(self, guest: Guest, task: Task) -> None:  # noqa: D102
        self._take_time(task)
        self._since.pop(guest.vmid, None)

    def start(self, guest: Guest, task: Task) -> None:  # noqa: D102
        task.log("lab: pretend start")
        self._take_time(task, "vzstart")
        self._since[guest.vmid] = time.time()

    def stop(self, guest: Guest, task: Task) -> None:  # noqa: D102
        self._take_time(task, "vzstop")
        self._since.pop(guest.vmid, None)

    def shutdown(self, guest: Guest, timeout: int, force: bool, task: Task) -> None:  # noqa: D102
        needed = self.world.durations.get("vzshutdown", 0.0)
        if needed > timeout and not force:
            task.wait(timeout)
            raise TaskError("container did not stop")
        task.wait(min(needed, timeout))
        self._since.pop(guest.vmid, None)

    def reboot(self, guest: Guest, timeout: int, task: Task) -> None:  # noqa: D102
        self._take_time(task)
        self._since[guest.vmid] = time.time()

    def snapshot(self, guest: Guest, name: str, task: Task) -> None:  # noqa: D102
        self._take_time(task)

    def forget_snapshot(self, guest: Guest, name: str, task: Task) -> None:  # noqa: D102
        self._take_time(task)

    def rollback(self, guest: Guest, name: str, task: Task) -> None:  # noqa: D102
        self._take_time(task)

    def clone(self, source: Guest, target: Guest, snapshot: str | None, task: Task) -> None:  # noqa: D102
        self._take_time(task)

    def backup(self, guest: Guest, task: Task) -> int:  # noqa: D102
        self._take_time(task)
        return disk_size(guest) // 20

    def change(self, guest: Guest, changes: Json) -> None:  # noqa: D102
        pass

    def running(self, guest: Guest) -> bool:  # noqa: D102
        return guest.vmid in self._since

    def usage(self, guest: Guest) -> Usage:  # noqa: D102
        uptime = int(time.time() - self._since.get(guest.vmid, time.time()))
        if not self.world.statistics:
            return Usage(pid=26316, uptime=uptime)
        share = (guest.vmid * 37 % 83 + int(time.time() / 5) % 11) / 100
        memory = int(guest.config.get("memory", 512)) << 20
        swap = int(guest.config.get("swap", 512)) << 20
        disk = int(disk_size(guest) * (guest.vmid * 53 % 89) / 100)
        moved = uptime * (guest.vmid % 17 + 1) * 1000
        return Usage(
            20_000 + guest.vmid,
            uptime,
            share / 2,
            int(memory * share),
            int(swap * share / 3),
            disk,
            moved,
            moved // 4,
        )

    def interfaces(self, guest: Guest) -> list[Json]:  # noqa: D102
        if guest.interfaces is not None:
            return guest.interfaces
        found: list[Json] = [
            {"name": "lo", "hwaddr": "00:00:00:00:00:00", "inet": "127.0.0.1/8", "inet6": "::1/128"}
        ]
        for name, value in guest.config.items():
            if name.startswith("net"):
                parts = dict(part.partition("=")[::2] for part in str(value).split(","))
                found.append({"name": parts["name"], "hwaddr": parts.get("hwaddr", "").lower()})
                if "/" in parts.get("ip", ""):
                    found[-1]["inet"] = parts["ip"]
        return found

    def _take_time(self, task: Task, kind: str = "") -> None:
        task.wait(self.world.durations.get(kind or task.type, 0.0))
