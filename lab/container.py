"""One LXC container: its folder, its configuration, its start and its end."""

import re
import shutil
import subprocess
import time
from collections.abc import Sequence
from dataclasses import dataclass
from ipaddress import IPv4Network
from pathlib import Path

from .addresses import INSIDE, bridge_name, container_name, mac_address, panel_address, veth_name
from .errors import LabError
from .record import HostRecord, LabRecord
from .system import ENVIRONMENT, copy_tree, is_zombie, run

PROXMOX = "proxmox"
"""The role of a host with containers behind it."""


@dataclass(frozen=True)
class Container:
    """The container of one host. Its folder holds `disk/upper`: what the host has written over the base."""

    lab: LabRecord
    host: HostRecord

    @property
    def name(self) -> str:
        """The name LXC and the control groups know it by."""
        return container_name(self.lab.name, self.host.name)

    @property
    def folder(self) -> Path:
        """The container's own folder."""
        return self.lab.folder / "lxc" / self.name

    @property
    def upper(self) -> Path:
        """What the host has written; only for files written before its first start."""
        return self.folder / "disk" / "upper"

    def pid(self) -> int | None:
        """Return the process id of its init, or None if it is not running: of one that nobody has reaped, too."""
        try:
            pid = int((self.folder / "pid").read_text())
            groups = re.split(r"[/\s]", Path(f"/proc/{pid}/cgroup").read_text())
        except (FileNotFoundError, ProcessLookupError, ValueError):
            return None
        return pid if f"lxc.payload.{self.name}" in groups and not is_zombie(pid) else None

    def make(self) -> None:
        """Make its folder, disk and configuration. Raises LabError."""
        disk = self.folder / "disk"
        disk.mkdir(parents=True)
        if self.host.disk_mb:
            self.mount_disk()
        for part in ("upper", "work"):
            (disk / part).mkdir()
        (self.folder / "rootfs").mkdir()
        (self.folder / "config").write_text("\n".join(self._config()) + "\n")
        if self.host.role == PROXMOX:
            (self.folder / "vmbr0").write_text(f"{INSIDE}\n")
        if self.host.behind:
            words = [
                container_name(self.lab.name, self.host.behind),
                veth_name(self.lab.name, self.host.name),
                mac_address(self.lab.name, self.host.name),
                f"{self.host.address}/{INSIDE.network.prefixlen}",
                str(INSIDE.ip),
            ]
            (self.folder / "cable").write_text(" ".join(words) + "\n")

    def mount_disk(self) -> None:
        """Give the host a small disk of its own, in memory; it is lost when the machine restarts."""
        run(
            [
                "mount",
                "-t",
                "tmpfs",
                "-o",
                f"size={self.host.disk_mb}m",
                "lab-disk",
                str(self.folder / "disk"),
            ]
        )

    def unmount_disk(self) -> None:
        """Take that disk away again, if it is there."""
        if (self.folder / "disk").is_mount():
            # The kernel lets go of a dead host's own mounts on it a moment after the host.
            run(["umount", "-l", str(self.folder / "disk")])

    def has_disk(self) -> bool:
        """Return whether its disk is there: one in memory may be gone."""
        return not self.host.disk_mb or (self.folder / "disk").is_mount()

    def start(self) -> None:
        """Start it; returns when its init runs. Raises LabError with the end of LXC's log."""
        log = self.folder / "log"
        log.unlink(missing_ok=True)
        argv = ["lxc-start", *self._select(), "-d", "-o", str(log), "-l", "WARN"]
        if run(argv, check=False).returncode:
            words = log.read_text()[-1500:] if log.exists() else "(LXC said nothing)"
            raise LabError(f"The host {self.host.name} did not start. LXC says:\n{words}")

    def stop(self, timeout: int) -> None:
        """Shut it down, by force after `timeout` seconds (0: at once); returns when it is down."""
        force = ["-k"] if not timeout else ["-t", str(timeout)]
        run(["lxc-stop", *self._select(), *force], check=False, timeout=timeout + 30)
        deadline = time.monotonic() + 30
        while self.pid() is not None:
            if time.monotonic() > deadline:
                raise LabError(f"The host {self.host.name} does not stop.")
            time.sleep(0.02)

    def destroy(self) -> None:
        """Stop it at once and remove all of it; harmless where there is nothing."""
        if self.pid() is not None:
            self.stop(0)
        self.unmount_disk()
        shutil.rmtree(self.folder, ignore_errors=True)

    def replace_layer(self, copy: Path) -> None:
        """Give it a copy of another layer for its own, while it does not run. Raises LabError."""
        disk = self.folder / "disk"
        # The file system's own scratch space belongs to the layer that was.
        for folder in disk.iterdir():
            shutil.rmtree(folder)
        (disk / "work").mkdir()
        copy_tree(copy, self.upper)

    def ask_reboot(self) -> None:
        """Ask its init to reboot, as Ctrl-Alt-Del does; returns at once."""
        run(["lxc-stop", *self._select(), "-r", "-W"])

    def exec(self, argv: Sequence[str], stdin: bytes, timeout: float) -> subprocess.CompletedProcess[bytes]:
        """Run a program in it as root. Raises subprocess.TimeoutExpired; the program may then still run."""
        return subprocess.run(
            self.attach(argv),
            input=stdin,
            capture_output=True,
            timeout=timeout,
            env=ENVIRONMENT,
            check=False,
        )

    def attach(self, argv: Sequence[str]) -> list[str]:
        """Return the command that runs a program in it as root, or a shell if `argv` is empty."""
        own = ["--clear-env", "--set-var", "HOME=/root", "--set-var", "LANG=C.UTF-8"]
        return ["lxc-attach", *self._select(), *own, *(["--", *argv] if argv else [])]

    def _select(self) -> list[str]:
        return ["-P", str(self.lab.folder / "lxc"), "-n", self.name]

    def _config(self) -> list[str]:
        return [
            f"lxc.uts.name = {self.host.name}",
            f"lxc.rootfs.path = overlay:{self.lab.base}:{self.upper}",
            "lxc.init.cmd = /sbin/init",
            "lxc.signal.halt = SIGRTMIN+3",  # LXC's own choice means a power failure to systemd
            "lxc.signal.reboot = SIGINT",
            "lxc.apparmor.profile = unconfined",
            "lxc.mount.auto = proc:mixed sys:mixed cgroup:mixed",
            "lxc.autodev = 1",
            "lxc.tty.max = 0",
            "lxc.pty.max = 256",
            "lxc.cap.drop = mac_admin mac_override sys_module sys_rawio sys_time",
            f"lxc.hook.start-host = {self.lab.folder}/wire {self.lab.folder}/lxc {self.name}",
            *_device_limits(),
            *self._cable(),
        ]

    def _cable(self) -> list[str]:
        if self.host.behind:
            return ["lxc.net.0.type = empty"]
        network = IPv4Network(self.lab.network)
        return [
            "lxc.net.0.type = veth",
            f"lxc.net.0.link = {bridge_name(self.lab.name)}",
            f"lxc.net.0.veth.pair = {veth_name(self.lab.name, self.host.name)}",
            "lxc.net.0.name = eth0",
            "lxc.net.0.flags = up",
            f"lxc.net.0.hwaddr = {mac_address(self.lab.name, self.host.name)}",
            f"lxc.net.0.ipv4.address = {self.host.address}/{network.prefixlen}",
            f"lxc.net.0.ipv4.gateway = {panel_address(network)}",
        ]


def _device_limits() -> list[str]:
    """Let hosts use the devices every container has, and none of this machine's disks."""
    group = "cgroup2" if Path("/sys/fs/cgroup/cgroup.controllers").exists() else "cgroup"
    allowed = ["c *:* m", "b *:* m", "c 1:3 rwm", "c 1:5 rwm", "c 1:7 rwm", "c 1:8 rwm", "c 1:9 rwm"]
    allowed += ["c 5:0 rwm", "c 5:1 rwm", "c 5:2 rwm", "c 136:* rwm", "c 10:229 rwm"]
    return [f"lxc.{group}.devices.deny = a", *(f"lxc.{group}.devices.allow = {rule}" for rule in allowed)]


def install_wire(folder: Path) -> None:
    """Copy the hook into a lab's folder: the hosts need it while they run, wherever this checkout goes."""
    shutil.copyfile(Path(__file__).parent / "wire", folder / "wire")
    (folder / "wire").chmod(0o755)
    (folder / "lxc").mkdir(exist_ok=True)
