"""The process that answers for a lab's Proxmox hosts, on port 8006 in the network namespace of each."""

import contextlib
import ctypes
import fcntl
import os
import select
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path

from lab import record
from lab.addresses import container_name
from lab.container import PROXMOX, Container
from lab.errors import LabError
from lab.pve.certificate import ready_certificate
from lab.pve.cluster import Cluster
from lab.pve.errors import TaskError
from lab.pve.faults import Faults
from lab.pve.server import PveServer
from lab.pve.tasks import Task, TaskBook
from lab.pve.world import Guest
from lab.record import HostRecord, LabRecord
from lab.system import ENVIRONMENT

from . import limits
from .containers import Real
from .state import State, state_folder

PORT = 8006
READY_SECONDS = 180.0  # a busy machine takes its time to start a process
LOOK_SECONDS = 0.2
CLONE_NEWNET = 0x40000000


def ensure(lab: LabRecord) -> None:
    """See that the API answers on every Proxmox host of a lab that runs. Raises LabError if it does not."""
    nodes = [host for host in lab.hosts if host.role == PROXMOX]
    running = [host for host in nodes if Container(lab, host).pid() is not None]
    if not running:
        return
    deadline = time.monotonic() + READY_SECONDS
    if not is_up(lab.name):
        _launch(lab.name)
    while not all(_answers(host.address) for host in running):
        if time.monotonic() > deadline:
            words = (state_folder(lab.name) / "log").read_text()[-1500:]
            raise LabError(f"The Proxmox API of the lab “{lab.name}” does not answer. It says:\n{words}")
        time.sleep(0.05)


def serve(name: str) -> None:
    """Answer until killed, or until the lab is gone. Raises LabError if another process does it already."""
    state_folder(name).mkdir(exist_ok=True, mode=0o700)
    with (state_folder(name) / "running").open("w") as mark:
        try:
            fcntl.flock(mark, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise LabError(f"The Proxmox API of the lab “{name}” runs already.") from error
        _join_group(name)
        Service(name).run()


class Service:
    """The cluster of a lab, and a watch on each of its nodes."""

    def __init__(self, name: str) -> None:
        self.state = State(name)
        self.hypervisor = Real(self.state.lab, self.state.forget_host)
        self.cluster = Cluster(
            self.state.world,
            self.hypervisor,
            tasks=TaskBook(self.state.folder / "tasks"),
            faults=Faults(self.state.folder / "faults.json"),
            save=self.state.save,
            refresh=self.state.refresh,
        )
        self._watches: dict[str, threading.Thread] = {}
        self._limited: dict[str, int | None] = {}

    def run(self) -> None:
        """Watch all nodes, also new ones, until the lab is gone."""
        while True:
            try:
                lab = self.state.lab()
                self.state.refresh()
            except LabError:
                return
            for host in lab.hosts:
                if host.role == PROXMOX:
                    self._see_that_it_is_watched(host)
                self._limit(lab, host)
            time.sleep(LOOK_SECONDS)

    def _see_that_it_is_watched(self, host: HostRecord) -> None:
        """Start the watch on a node, also anew: one that ended by an error, which the log has, is for ever silent."""
        watch = self._watches.get(host.name)
        if watch is None or not watch.is_alive():
            self._watches[host.name] = threading.Thread(target=self._watch, args=(host,), daemon=True)
            self._watches[host.name].start()

    def _limit(self, lab: LabRecord, host: HostRecord) -> None:
        """Hold a container that the lab has started, and not we, to what its configuration says."""
        pid = Container(lab, host).pid() if host.behind else None
        if pid is not None and pid != self._limited.get(host.name):
            guest = next(
                (guest for guest in list(self.state.world.guests.values()) if guest.host == host.name), None
            )
            with contextlib.suppress(TaskError):
                limits.change(pid, guest.config if guest else {})
        self._limited[host.name] = pid

    def _watch(self, host: HostRecord) -> None:
        """Listen on a node whenever it runs. Its guests end with it, and start with it as `onboot` says."""
        names = [host.name, host.address, "10.0.0.1", "localhost"]
        certificate = ready_certificate(self.state.folder / f"{host.name}.pem", names)
        server = PveServer(
            cluster=self.cluster, node=host.name, host=host.address, port=PORT, certificate=certificate
        )
        node = self.state.world.nodes[host.name]
        while True:
            pid = Container(self.state.lab(), host).pid()
            if pid is None:
                node.refuses = "No route to host"
                self._end_guests(host.name)
                time.sleep(LOOK_SECONDS)
                continue
            # Who is answered finds the other nodes knowing of it, and what starts with it started.
            node.refuses = None
            if self._has_booted(host.name, pid):
                self._start_guests(host.name)
            try:
                server.listen(_listen_inside(pid))
            except OSError:
                time.sleep(LOOK_SECONDS)
                continue
            _wait_for_end(pid)
            server.close()
            self._end_guests(host.name)

    def _made_here(self, node: str) -> list[Guest]:
        return [
            guest for guest in self.state.world.guests_of(node, "lxc") if guest.host.startswith(f"{node}-ct")
        ]

    def _has_booted(self, node: str, pid: int) -> bool:
        """Return whether a node has started since we, or the process before us, last saw it."""
        seen = self.state.folder / f"{node}.pid"
        before = seen.read_text() if seen.exists() else str(pid)
        seen.write_text(str(pid))
        return before != str(pid)

    def _start_guests(self, node: str) -> None:
        """Start those that are to start with their node."""
        for guest in self._made_here(node):
            if (
                guest.config.get("onboot")
                and not guest.config.get("lock")
                and not self.hypervisor.running(guest)
            ):
                with contextlib.suppress(TaskError):
                    self.hypervisor.start(guest, _unseen())

    def _end_guests(self, node: str) -> None:
        for guest in self._made_here(node):
            if self.hypervisor.running(guest):
                with contextlib.suppress(TaskError):
                    self.hypervisor.stop(guest, _unseen())


def _unseen() -> Task:
    """Return a task that nobody asked for, and nobody sees."""
    return Task("", "", "", "", "", 0, 0, 0)


def _listen_inside(pid: int) -> socket.socket:
    """Return a socket that listens in the network namespace of a process. Raises OSError."""
    made: list[socket.socket | OSError] = []

    def enter() -> None:
        # A namespace belongs to a thread; this one ends with the socket made.
        try:
            descriptor = os.open(f"/proc/{pid}/ns/net", os.O_RDONLY)
            try:
                if ctypes.CDLL(None, use_errno=True).setns(descriptor, CLONE_NEWNET):
                    raise OSError(ctypes.get_errno(), "setns")
                made.append(socket.create_server(("", PORT), backlog=64))
            finally:
                os.close(descriptor)
        except OSError as error:
            made.append(error)

    thread = threading.Thread(target=enter)
    thread.start()
    thread.join()
    if isinstance(made[0], OSError):
        raise made[0]
    return made[0]


def _wait_for_end(pid: int) -> None:
    """Return at once when a process ends: what listens in its namespace would keep that alive."""
    with contextlib.suppress(ProcessLookupError):
        descriptor = os.pidfd_open(pid)
        try:
            poll = select.poll()
            poll.register(descriptor, select.POLLIN)
            poll.poll()
        finally:
            os.close(descriptor)


def _launch(name: str) -> None:
    """Start `serve` in a process that is nobody's child."""
    folder = state_folder(name)
    folder.mkdir(exist_ok=True, mode=0o700)
    checkout = str(Path(__file__).parents[3])
    environment = {**ENVIRONMENT, "PYTHONPATH": checkout, "LAB_STATE": str(record.state_folder())}
    argv = [sys.executable, "-m", "lab.pve", "serve", "--lab", name]
    with (folder / "log").open("a") as log:
        subprocess.run(
            ["setsid", "--fork", *argv],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            env=environment,
            cwd="/",
            check=True,
        )


def _join_group(name: str) -> None:
    """Move into a control group by which `down` finds us and our children."""
    root = Path("/sys/fs/cgroup")
    top = root if (root / "cgroup.controllers").exists() else root / "systemd"
    # LXC's own name for it, with a host's name that no host can have.
    group = top / f"lxc.monitor.{container_name(name, 'pve_api')}"
    group.mkdir(exist_ok=True)
    (group / "cgroup.procs").write_text(str(os.getpid()))


def is_up(name: str) -> bool:
    """Return whether a lab's API has a process."""
    try:
        with (state_folder(name) / "running").open() as mark:
            fcntl.flock(mark, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except FileNotFoundError:
        return False
    except BlockingIOError:
        return True
    return False


def _answers(address: str) -> bool:
    try:
        with socket.create_connection((address, PORT), timeout=1):
            return True
    except OSError:
        return False
