"""The hypervisor of a lab: LXC containers on its Proxmox hosts' bridges."""

import contextlib
import json
import re
import shutil
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from lab.addresses import container_name, veth_name
from lab.container import Container
from lab.errors import LabError
from lab.pve.errors import TaskError
from lab.pve.hypervisor import Unpacked, Usage
from lab.pve.tasks import Task
from lab.pve.world import Guest
from lab.record import HostRecord, LabRecord
from lab.system import run

from . import disks, limits

Json = dict[str, Any]
OURS = re.compile(r"(lxc\.uts\.name|lxc\.cgroup2?\.(memory|cpuset|cpu)\.)")


class Real:
    """Containers that boot. `lab` returns the lab as it is written down, `forget` strikes a host off it."""

    def __init__(self, lab: Callable[[], LabRecord], forget: Callable[[Guest], None]) -> None:
        self.lab = lab
        self.forget = forget
        self._processor: dict[int, tuple[float, float, float]] = {}
        self._disks: dict[str, tuple[float, int]] = {}

    def container(self, guest: Guest) -> Container:
        """Return the container that a guest is: a host of the lab's own, or one made by the API."""
        lab = self.lab()
        for host in lab.hosts:
            if host.name == guest.host:
                return Container(lab, host)
        return Container(
            lab, HostRecord(guest.host or f"{guest.node}-ct{guest.vmid}", "guest", "", guest.node)
        )

    def create(self, guest: Guest, wanted: Unpacked, task: Task) -> None:  # noqa: D102
        guest.host = f"{guest.node}-ct{guest.vmid}"
        with _words():
            disks.unpack(self.container(guest), wanted)
        task.log("Creating SSH host key 'ssh_host_ed25519_key' - this may take some time ...")
        task.log(f"done: {disks.fingerprint(self.container(guest))} root@{guest.name}")

    def destroy(self, guest: Guest, task: Task) -> None:  # noqa: D102
        container = self.container(guest)
        container.unmount_disk()
        shutil.rmtree(container.folder, ignore_errors=True)
        self.forget(guest)

    def start(self, guest: Guest, task: Task) -> None:  # noqa: D102
        with _words():
            container = self.container(guest)
            if not container.has_disk() or not container.folder.exists():
                raise TaskError(
                    f"volume '{str(guest.config.get('rootfs')).partition(',')[0]}' does not exist"
                )
            self._prepare(container, guest)
            container.start()
            # What the hook could not plug in, since the node is down, is plugged in when that starts.

    def stop(self, guest: Guest, task: Task) -> None:  # noqa: D102
        with _words():
            self.container(guest).stop(0)

    def shutdown(self, guest: Guest, timeout: int, force: bool, task: Task) -> None:  # noqa: D102
        container = self.container(guest)
        argv = ["lxc-stop", "-P", str(container.lab.folder / "lxc"), "-n", container.name]
        run([*argv, "--nokill", "-t", str(timeout)], check=False, timeout=timeout + 30)
        if container.pid() is not None and force:
            with _words():
                container.stop(0)
        if not self._gone(container):
            raise TaskError(
                f"command 'lxc-stop -n {guest.vmid} --nokill --timeout {timeout}' failed: exit code 1"
            )

    def reboot(self, guest: Guest, timeout: int, task: Task) -> None:  # noqa: D102
        self.shutdown(guest, timeout, True, task)
        self.start(guest, task)

    def snapshot(self, guest: Guest, name: str, task: Task) -> None:  # noqa: D102
        container = self.container(guest)
        kept = container.folder / "snapshots"
        kept.mkdir(exist_ok=True)
        disks.copy(container.upper, kept / name)

    def forget_snapshot(self, guest: Guest, name: str, task: Task) -> None:  # noqa: D102
        shutil.rmtree(self.container(guest).folder / "snapshots" / name, ignore_errors=True)

    def rollback(self, guest: Guest, name: str, task: Task) -> None:  # noqa: D102
        container = self.container(guest)
        disks.replace_disk(container, container.folder / "snapshots" / name)

    def clone(self, source: Guest, target: Guest, snapshot: str | None, task: Task) -> None:  # noqa: D102
        target.host = f"{target.node}-ct{target.vmid}"
        original, container = self.container(source), self.container(target)
        with _words():
            if container.folder.exists():
                shutil.rmtree(container.folder)
            container.make()
        disks.replace_disk(
            container, original.folder / "snapshots" / snapshot if snapshot else original.upper
        )
        disks.new_identity(container)

    def backup(self, guest: Guest, task: Task) -> int:  # noqa: D102
        return disks.used(self.container(guest))

    def change(self, guest: Guest, changes: Json) -> None:  # noqa: D102
        pid = self.container(guest).pid()
        if pid is None:
            return
        if changes.keys() & {"memory", "swap", "cores", "cpulimit"}:
            config = {name: value for name, value in {**guest.config, **changes}.items() if value is not None}
            limits.change(pid, config)
        if changes.get("net0"):
            self._change_network(guest, pid, str(changes["net0"]))

    def running(self, guest: Guest) -> bool:  # noqa: D102
        return guest.kind == "lxc" and self.container(guest).pid() is not None

    def usage(self, guest: Guest) -> Usage:  # noqa: D102
        container = self.container(guest)
        pid = container.pid()
        try:
            if pid is None:
                return Usage()
            memory, swap = limits.memory_used(pid)
            received, sent = _traffic(pid)
            return Usage(
                pid,
                limits.uptime(pid),
                self._share(guest, pid),
                memory,
                swap,
                self._disk(container),
                received,
                sent,
            )
        except (TaskError, OSError, ValueError):  # it ended while we looked
            return Usage()

    def interfaces(self, guest: Guest) -> list[Json]:  # noqa: D102
        pid = self.container(guest).pid()
        said = run(["nsenter", "-t", str(pid), "-n", "ip", "-json", "addr"], check=False).stdout
        found = []
        for link in json.loads(said or "[]"):
            item: Json = {"name": link["ifname"], "hwaddr": link.get("address", ""), "ip-addresses": []}
            for info in link.get("addr_info", []):
                item.setdefault(info["family"], f"{info['local']}/{info['prefixlen']}")
                one = {"ip-address": info["local"], "ip-address-type": info["family"]}
                item["ip-addresses"].append({**one, "prefix": info["prefixlen"]})
            found.append(item)
        return found

    def _prepare(self, container: Container, guest: Guest) -> None:
        """Write down what the configuration says: for LXC, for the hook `wire`, for the container itself."""
        file = container.folder / "config"
        lines = [line for line in file.read_text().splitlines() if not OURS.match(line)]
        lines += [f"lxc.uts.name = {guest.name}", *limits.config_lines(guest.config)]
        file.write_text("\n".join(lines) + "\n")
        write_cable(container, guest)
        if container.host.role == "guest":
            disks.name(container, guest.config)

    def _change_network(self, guest: Guest, pid: int, net: str) -> None:
        container = self.container(guest)
        write_cable(container, guest, net)
        cable = network_parts(net)
        inside = ["nsenter", "-t", str(pid), "-n", "ip"]
        run([*inside, "addr", "flush", "dev", "eth0", "scope", "global"], check=False)
        if "/" in cable.get("ip", ""):
            run([*inside, "addr", "add", cable["ip"], "dev", "eth0"], check=False)
        if "gw" in cable:
            run([*inside, "route", "replace", "default", "via", cable["gw"]], check=False)

    def _gone(self, container: Container) -> bool:
        deadline = time.monotonic() + 5
        while container.pid() is not None and time.monotonic() < deadline:
            time.sleep(0.05)
        return container.pid() is None

    def _share(self, guest: Guest, pid: int) -> float:
        """Return the processor time since the last question, as a share of the cores."""
        used, now = limits.processor_seconds(pid), time.monotonic()
        before = self._processor.get(guest.vmid)
        if before and now - before[1] < 1:
            return before[2]
        share = (used - before[0]) / (now - before[1]) if before and used >= before[0] else 0.0
        share = round(share / (guest.config.get("cores") or 1), 4)
        self._processor[guest.vmid] = (used, now, share)
        return share

    def _disk(self, container: Container) -> int:
        when, size = self._disks.get(container.name, (0.0, 0))
        if time.monotonic() - when > 30 or not when:
            size = disks.used(container)
            self._disks[container.name] = (time.monotonic(), size)
        return size


def network_parts(net: str) -> dict[str, str]:
    """Return the parts of a net0."""
    return dict(part.partition("=")[::2] for part in net.split(","))


def write_cable(container: Container, guest: Guest, net: str | None = None) -> None:
    """Write down for the hook `wire` where and how the container is plugged in. Raises TaskError."""
    parts = network_parts(net or str(guest.config.get("net0", "")))
    file = container.folder / "cable"
    if not parts.get("bridge"):
        file.unlink(missing_ok=True)
        return
    if parts["bridge"] != "vmbr0":
        raise TaskError(f"bridge '{parts['bridge']}' does not exist")
    lab, host = container.lab.name, container.host.name
    address = parts.get("ip", "")
    words = [container_name(lab, guest.node), veth_name(lab, host), parts["hwaddr"].lower()]
    words += [address if "/" in address else "-", parts.get("gw") or "-"]
    file.write_text(" ".join(words) + "\n")


@contextlib.contextmanager
def _words() -> Any:
    """Let what the lab says become the task's exit status."""
    try:
        yield
    except LabError as error:
        raise TaskError(str(error)) from error


def _traffic(pid: int) -> tuple[int, int]:
    for line in Path(f"/proc/{pid}/net/dev").read_text().splitlines():
        name, _, numbers = line.partition(":")
        if name.strip() == "eth0":
            words = numbers.split()
            return int(words[0]), int(words[8])
    return 0, 0
