"""A Docker engine for tests, alone in its own network, mount and process namespaces; nothing of it stays.

The engine sets firewall rules that would cut other hosts of this machine off from each other, so it gets a network
of its own, which a pair of cables joins to this machine and nothing to anywhere else. When the test ends, or dies,
the kernel ends the first process of those namespaces, and with it every container, mount, rule and interface.
"""

import os
import shutil
import subprocess
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

import pytest

from tests.leftovers import RUN, remove_groups

START_SECONDS = 180
# Images in memory (some three gigabytes): quicker, and with the namespace's end they are gone.
INSIDE = 'read -r go; mount -t tmpfs -o size=12g tmpfs "$0"; exec "$@"'
NEEDED = {
    "dockerd": "docker.io",
    "docker": "docker.io",
    "docker-compose": "docker-compose",
    "mmdebstrap": "mmdebstrap",
    "setpriv": "util-linux",
    "ip": "iproute2",
}


class Engine:
    """A dockerd with data of its own, reached by a socket and at `address`. A context manager."""

    def __init__(self) -> None:
        number = os.getpid() % 60
        run = Path(os.environ[RUN]).name  # by which tests.leftovers finds its control groups
        self.name = f"gestion-docker-{run}-{os.getpid()}"
        self.near, self.address = f"198.18.0.{number * 4 + 1}", f"198.18.0.{number * 4 + 2}"
        self.folder = Path(tempfile.mkdtemp(prefix="docker-"))  # short: sockets are below
        self.socket = self.folder / "docker.sock"
        self._outside: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> "Engine":
        try:
            self._start()
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_error: object) -> None:
        if self._outside:
            self._outside.kill()
            self._outside.wait()
        remove_groups(self.name)
        shutil.rmtree(self.folder, ignore_errors=True)

    @property
    def env(self) -> dict[str, str]:
        """What a Docker client needs to find this engine, and no other; nothing of the caller's besides PATH."""
        return {
            "PATH": os.environ["PATH"],
            "HOME": str(self.folder),
            "DOCKER_HOST": f"unix://{self.socket}",
            "DOCKER_BUILDKIT": "0",
        }

    def docker(self, *argv: str, timeout: float = 300, stdin: bytes | None = None) -> str:
        """Run `docker …` against this engine; returns what it prints. Raises RuntimeError with its words."""
        return self.run(["docker", *argv], timeout=timeout, stdin=stdin)

    def run(
        self,
        argv: Sequence[str],
        timeout: float = 300,
        stdin: bytes | None = None,
        env: dict[str, str] | None = None,
        cwd: Path | None = None,
    ) -> str:
        """Run a client of this engine. Raises RuntimeError with its last words."""
        done = subprocess.run(
            argv,
            cwd=cwd,
            env={**self.env, **(env or {})},
            input=stdin if stdin is not None else b"",
            capture_output=True,
            timeout=timeout,
            check=False,
        )
        if done.returncode:
            words = (done.stdout + done.stderr).decode(errors="replace")
            raise RuntimeError(f"{' '.join(argv)} failed ({done.returncode}):\n{words[-6000:]}")
        return done.stdout.decode()

    def _start(self) -> None:
        data = self.folder / "data"
        data.mkdir()
        # setpriv: should this process die, the kernel ends unshare; --kill-child: and so what it holds.
        argv = ["setpriv", "--pdeathsig", "KILL"]
        argv += ["unshare", "--net", "--mount", "--propagation", "private", "--pid", "--fork", "--kill-child"]
        argv += ["--mount-proc", "sh", "-c", INSIDE, str(data), "docker-init", "--", "dockerd"]
        argv += ["--config-file", str(self.folder / "daemon.json"), "--host", f"unix://{self.socket}"]
        argv += ["--data-root", str(data), "--exec-root", str(self.folder / "exec")]
        argv += ["--pidfile", str(self.folder / "pid"), "--cgroup-parent", f"/{self.name}"]
        argv += ["--bip", "198.18.16.1/24", "--default-address-pool", "base=198.18.32.0/19,size=26"]
        (self.folder / "daemon.json").write_text("{}")
        with (self.folder / "log").open("wb") as log:
            self._outside = subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=log, stderr=log)
        self._wire(_first_child(self._outside.pid))
        assert self._outside.stdin
        self._outside.stdin.write(b"go\n")
        self._outside.stdin.close()
        until = time.monotonic() + START_SECONDS
        while self._outside.poll() is None and time.monotonic() < until:
            if (
                self.socket.exists()
                and not subprocess.run(
                    ["docker", "info"], env=self.env, capture_output=True, check=False
                ).returncode
            ):
                return
            time.sleep(0.2)
        raise RuntimeError(f"dockerd did not start:\n{(self.folder / 'log').read_text()[-4000:]}")

    def _wire(self, inside: int) -> None:
        cable = f"gd{os.getpid()}"
        for argv in (
            ["ip", "link", "add", cable, "type", "veth", "peer", "name", "outside", "netns", str(inside)],
            ["ip", "addr", "add", f"{self.near}/30", "dev", cable],
            ["ip", "link", "set", cable, "up"],
            ["nsenter", "-t", str(inside), "-n", "ip", "link", "set", "lo", "up"],
            ["nsenter", "-t", str(inside), "-n", "ip", "addr", "add", f"{self.address}/30", "dev", "outside"],
            ["nsenter", "-t", str(inside), "-n", "ip", "link", "set", "outside", "up"],
        ):
            subprocess.run(argv, check=True, capture_output=True)


def _first_child(pid: int) -> int:
    children = Path(f"/proc/{pid}/task/{pid}/children")
    until = time.monotonic() + START_SECONDS
    while time.monotonic() < until:
        # unshare's own child: setpriv has become unshare, and until it forks there is none.
        if words := children.read_text().split():
            return int(words[0])
        time.sleep(0.02)
    raise RuntimeError("unshare started nothing")


def require() -> None:
    """Skip where there can be no engine; fail there under CI."""
    missing = sorted({package for tool, package in NEEDED.items() if not shutil.which(tool)})
    why = f"missing Debian packages: {' '.join(missing)}" if missing else ""
    if os.geteuid() != 0:
        why = "it needs root"
    if why and os.environ.get("CI") == "true":
        pytest.fail(f"No Docker engine in CI: {why}")
    if why:
        pytest.skip(f"No Docker engine: {why}")
