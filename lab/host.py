"""A host of the lab, as tests and the demo handle it."""

import socket
import subprocess
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from .addresses import veth_name
from .container import Container
from .errors import LabError
from .record import HostRecord
from .roles import ADMIN_NAT, forward_rule
from .system import run

STOP_SECONDS = 20
READY_SECONDS = 180.0  # a busy machine takes its time to boot


class LabHost:
    """One host: start it, stop it, cut it off, fill it up; log in by `connection`, check it by `host_key`."""

    def __init__(self, container: Container, parent: "LabHost | None") -> None:
        self.container = container
        self.parent = parent
        self.children: list[LabHost] = []
        if parent:
            parent.children.append(self)

    def __repr__(self) -> str:
        return f"<LabHost {self.name} {self.connection!r}>"

    @property
    def name(self) -> str:
        """Its name, and its host name."""
        return self.container.host.name

    @property
    def role(self) -> str:
        """What it is for: proxmox, nginx, backup, samba or plain."""
        return self.container.host.role

    @property
    def address(self) -> str:
        """Its own address: on the lab's network, or on its Proxmox host's vmbr0 if it is behind one."""
        return self.container.host.address

    @property
    def behind(self) -> str | None:
        """The name of the Proxmox host it is behind, if any."""
        return self.container.host.behind

    @property
    def ssh_endpoint(self) -> tuple[str, int]:
        """Address and port where the panel reaches its sshd."""
        return (self.parent or self).address, self.container.host.ssh_port

    @property
    def connection(self) -> str:
        """How the panel logs in: "root@198.51.100.2", or "-p 2201 root@198.51.100.2" if behind another."""
        address, port = self.ssh_endpoint
        return f"root@{address}" if port == 22 else f"-p {port} root@{address}"

    @property
    def host_key(self) -> str:
        """Its public host key as `known_hosts` has it, without the host: "ssh-ed25519 AAAA…"."""
        line = (self.container.upper / "etc/ssh/ssh_host_ed25519_key.pub").read_text()
        return " ".join(line.split()[:2])

    @property
    def running(self) -> bool:
        """Whether its init runs."""
        return self.container.pid() is not None

    def exec(
        self, argv: Sequence[str], stdin: bytes = b"", timeout: float = 30.0
    ) -> subprocess.CompletedProcess[bytes]:
        """Run a program on it as root, without the network. Never raises on an exit code.

        Raises LabError if the host does not run, and subprocess.TimeoutExpired after `timeout` seconds; the
        program may then still be running.
        """
        self._require_running()
        return self.container.exec(argv, stdin, timeout)

    def shell(self, argv: Sequence[str]) -> list[str]:
        """Return the command for a terminal that runs `argv` on it as root, or a shell. Raises LabError."""
        self._require_running()
        return self.container.attach(argv)

    def start(self) -> None:
        """Start it and the containers behind it; returns when its sshd answers. Raises LabError."""
        self.switch_on()
        for child in self.children:
            child.start()
        self.wait_ready()

    def switch_on(self) -> None:
        """Start it alone, and return as soon as its init runs. Raises LabError."""
        if self.running:
            return
        if self.parent and self.parent.running:
            self.parent.forward(self.container.host)
        self.container.start()

    def stop(self, *, power_cut: bool = False) -> None:
        """Shut it down after the containers behind it; `power_cut` does not ask. Returns when it is down."""
        for child in self.children:
            child.stop(power_cut=power_cut)
        if self.running:
            self.container.stop(0 if power_cut else STOP_SECONDS)

    def reboot(self) -> None:
        """Reboot it, and the containers behind it; returns when its sshd answers again. Raises LabError."""
        self._require_running()
        for child in self.children:
            child.stop()
        before = self.container.pid()
        self.container.ask_reboot()
        self._wait(lambda: self.container.pid() not in (None, before), "reboot")
        self.start()

    def wait_ready(self, timeout: float = READY_SECONDS) -> None:
        """Wait until its sshd answers where the panel reaches it. Raises LabError after `timeout` seconds."""
        self._wait(self._answers, "answer by SSH", timeout)

    def cut(self) -> None:
        """Pull its network cable, until `mend` or until it starts the next time. It keeps running."""
        self._set_link("down")

    def mend(self) -> None:
        """Plug its network cable in again."""
        self._set_link("up")

    def fill(self) -> None:
        """Fill its disk, so that every write ends with ENOSPC. Raises LabError if it has none of its own."""
        if not self.container.host.disk_mb:
            raise LabError(
                f"The disk of {self.name} is this machine's own. Add the host with disk_mb=… to fill it up."
            )
        done = self.exec(["dd", "if=/dev/zero", "of=/.lab-filler", "bs=64k"], timeout=120)
        if b"No space left" not in done.stderr:
            raise LabError(f"The disk of {self.name} could not be filled up: {done.stderr.decode()}")

    def empty(self) -> None:
        """Undo `fill`."""
        self.exec(["rm", "-f", "/.lab-filler"])

    @property
    def cable(self) -> Path:
        """The outer end of its network cable, as the kernel shows it; not there while an end of it is down."""
        outer = f"/proc/{self.parent.container.pid()}/root" if self.parent else "/"
        return Path(outer, "sys/class/net", veth_name(self.container.lab.name, self.name))

    def trust(self, keys: Sequence[str]) -> None:
        """Add public keys to root's authorized_keys, the administrator's own file."""
        lines = "".join(f"{key}\n" for key in keys).encode()
        script = "umask 077; mkdir -p ~/.ssh && cat >> ~/.ssh/authorized_keys"
        if self.exec(["sh", "-c", script], stdin=lines).returncode:
            raise LabError(f"{self.name} did not take the key.")

    def forward(self, host: HostRecord) -> None:
        """Forward a port of this Proxmox host to a container's sshd, now and after every start."""
        rule = "iptables -w -t nat -A " + " ".join(forward_rule(host))
        script = f'grep -qxF "$1" {ADMIN_NAT} || {{ echo "$1" >> {ADMIN_NAT}; eval "$1"; }}'
        if self.exec(["sh", "-c", script, "sh", rule]).returncode:
            raise LabError(f"{self.name} did not take the forwarding to {host.name}.")

    def memory(self) -> int:
        """Return the memory it holds, caches included, in bytes; 0 if it does not run."""
        group = f"lxc.payload.{self.container.name}"
        for path in (
            f"/sys/fs/cgroup/memory/{group}/memory.usage_in_bytes",
            f"/sys/fs/cgroup/{group}/memory.current",
        ):
            if Path(path).exists():
                return int(Path(path).read_text())
        return 0

    def _set_link(self, state: str) -> None:
        self._require_running()
        if self.parent:
            self.parent._require_running()
        cable = veth_name(self.container.lab.name, self.name)
        inside = ["nsenter", "-t", str(self.parent.container.pid()), "-n"] if self.parent else []
        run([*inside, "ip", "link", "set", cable, state])

    def _require_running(self) -> None:
        if not self.running:
            raise LabError(f"{self.name} is not running. Start it: python -m lab start {self.name}")

    def _answers(self) -> bool:
        try:
            with socket.create_connection(self.ssh_endpoint, timeout=2) as connection:
                return connection.recv(4) == b"SSH-"
        except OSError:
            return False

    def _wait(self, done: Callable[[], bool], what: str, timeout: float = READY_SECONDS) -> None:
        deadline = time.monotonic() + timeout
        while not done():
            if time.monotonic() > deadline:
                raise LabError(f"{self.name} did not {what} within {timeout:g} seconds.")
            time.sleep(0.03)
