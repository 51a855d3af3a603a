"""Clearing a lab away, also one that crashed half-made: by what is there, not by what should be."""

import contextlib
import os
import re
import shutil
import signal
import time
from collections.abc import Callable
from pathlib import Path

from .addresses import bridge_name, container_name
from .errors import LabError
from .network import mark, remove_bridge
from .record import lab_folder, locked, owner
from .system import is_zombie, run

KILL_SECONDS = 30.0


def sweep(lab: str) -> None:
    """Remove every trace of a lab: processes, control groups, mounts, bridge, firewall rules, folder."""
    clear_machine(lab)
    # The large part first: should we be killed in it, the lab's owner is still written down.
    shutil.rmtree(lab_folder(lab) / "lxc", ignore_errors=True)
    shutil.rmtree(lab_folder(lab), ignore_errors=True)
    if lab_folder(lab).exists():
        shutil.rmtree(lab_folder(lab))


def clear_machine(lab: str) -> None:
    """Remove what a lab has in this machine's memory, and keep its folder: its hosts' disks and keys."""
    _kill_all(lab)
    unmount_below(lab_folder(lab))
    folders = (lab_folder(lab) / "lxc").glob(container_name(lab, "*"))
    remove_bridge(lab, [folder.name.partition(".")[2] for folder in folders])
    _remove_groups(lab)
    # LXC's own lock files are named after our folder.
    shutil.rmtree(Path("/run/lxc/lock") / str(lab_folder(lab)).lstrip("/"), ignore_errors=True)


def sweep_if(lab: str, dead: Callable[[str], bool]) -> None:
    """Sweep a lab if it has an owner who is dead; one without an owner stays."""
    # Asked twice: whoever has the lock may be taking the lab down, or making it anew, and that may take a minute.
    if owner(lab) and dead(owner(lab)):
        with locked(lab):
            if (found := owner(lab)) and dead(found):
                sweep(lab)


def _kill_all(lab: str) -> None:
    deadline = time.monotonic() + KILL_SECONDS
    while pids := processes(lab):
        for pid in pids:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        if time.monotonic() > deadline:
            raise LabError(f"The processes {pids} of the lab “{lab}” do not end.")
        time.sleep(0.05)


def processes(lab: str) -> list[int]:
    """Return the processes in the lab's control groups, LXC's on their way there, and what makes its network.

    The last two may go on when whoever was making the lab was killed.
    """
    group = re.compile(rf"/lxc\.(payload|monitor)\.{re.escape(lab)}\.")
    network = {bridge_name(lab).encode(), mark(lab).encode()}

    def is_ours(process: Path) -> bool:
        command = (process / "cmdline").read_bytes()
        starting = b"lxc" in command and f"{lab_folder(lab)}/lxc\0".encode() in command
        words = command.split(b"\0")
        making = words[0] in {b"ip", b"iptables"} and not network.isdisjoint(words)
        return starting or making or bool(group.search((process / "cgroup").read_text()))

    return [pid for pid in _pids(is_ours) if not is_zombie(pid)]


def members(lab: str, host: str) -> list[int]:
    """Return the processes in the control groups of one monitor of the lab, such as the Proxmox API's."""
    group = re.compile(rf"/lxc\.monitor\.{re.escape(lab)}\.{re.escape(host)}$", re.MULTILINE)
    return _pids(lambda process: bool(group.search((process / "cgroup").read_text())))


def _pids(which: Callable[[Path], bool]) -> list[int]:
    """Return the processes of whose folder in /proc `which` holds; one that ends meanwhile is none."""
    found = []
    for process in Path("/proc").iterdir():
        if process.name.isdigit():
            with contextlib.suppress(OSError):
                if which(process):
                    found.append(int(process.name))
    return found


def unmount_below(folder: Path) -> None:
    """Unmount all that is mounted below a folder. Raises LabError."""
    for line in reversed(Path("/proc/self/mounts").read_text().splitlines()):
        point = line.split()[1]
        if point.startswith(f"{folder}/"):
            run(["umount", "-l", point])


def _remove_groups(lab: str) -> None:
    """Remove the lab's control groups; the kernel lets them go once their last process has been reaped."""
    # Where LXC's monitors go at their end, of all labs; it stays while any is there.
    # Other labs' groups come and go meanwhile, which `os.walk` forgives and a glob does not.
    for folder, folders, _ in os.walk("/sys/fs/cgroup"):
        if "lxc.pivot" in folders:
            with contextlib.suppress(OSError):
                Path(folder, "lxc.pivot").rmdir()
    deadline = time.monotonic() + KILL_SECONDS
    while groups := control_groups(lab):
        for group in groups:
            for path, _, _ in os.walk(group, topdown=False):
                with contextlib.suppress(OSError):
                    Path(path).rmdir()
        if time.monotonic() > deadline:
            raise LabError(f"The control groups {groups} of the lab “{lab}” do not go away.")
        time.sleep(0.05)


def control_groups(lab: str) -> list[str]:
    """Return the folders of the lab's control groups, without those below them."""
    mark = re.compile(rf"lxc\.(payload|monitor)\.{re.escape(lab)}\.")
    found = []
    for path, folders, _ in os.walk("/sys/fs/cgroup"):
        ours = [name for name in folders if mark.match(name)]
        found += [f"{path}/{name}" for name in ours]
        folders[:] = [name for name in folders if name not in ours]
    return found
