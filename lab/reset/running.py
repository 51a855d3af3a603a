"""What a host has beside its files: processes, mounts, firewall, units, addresses."""

import os
import re
import time
from dataclasses import dataclass
from pathlib import Path

from lab.container import Container
from lab.errors import LabError
from lab.system import run

INIT = "/init.scope"
JOURNAL = "/system.slice/systemd-journald.service"
PLACES = ("run", "run/lock", "dev/shm", "run/systemd/transient", "run/systemd/units")
"""Where the names alone are compared: what is in them belongs to services that run."""

UNSEEN = {"run/motd.dynamic"}
"""Written at every login, by pam_motd(8)."""

Process = tuple[int, int]
"""Process id as this machine has it, and start time in ticks: proc_pid_stat(5), field 22."""


@dataclass(frozen=True)
class Running:
    """A host as it runs. `processes` are those of each control group, which systemd names after units."""

    init: int
    processes: dict[str, frozenset[Process]]
    mounts: tuple[tuple[str, str, str], ...]
    firewall: str
    addresses: str
    places: frozenset[str]
    plugged: bool
    config: str

    @property
    def services(self) -> frozenset[str]:
        """The control groups in which something runs."""
        return frozenset(self.processes)


def look(container: Container, cable: Path) -> Running:
    """Return how a host runs, within a few milliseconds. Raises LabError if it does not."""
    pid = container.pid()
    if pid is None:
        raise LabError(f"{container.host.name} does not run.")
    root = Path(f"/proc/{pid}/root")
    return Running(
        pid,
        processes(container),
        _mounts(pid),
        firewall(pid),
        _addresses(pid),
        frozenset(f"{place}/{name}" for place in PLACES for name in _names(root / place)) - UNSEEN,
        _is_plugged(cable),
        container_settings(container),
    )


def inside(pid: int, *argv: str, stdin: str = "", timeout: float = 60, check: bool = True) -> str:
    """Return what a program of the host's own says there; a few milliseconds where LXC takes thirty.

    Raises LabError if it fails and `check`.
    """
    command = ["nsenter", "-t", str(pid), "-m", "-n", "-p", "-u", "-i", "--", *argv]
    return run(command, stdin=stdin, timeout=timeout, check=check).stdout


def firewall(pid: int) -> str:
    """Return the host's rules without counters and comments, for IPv4 and IPv6; tables without rules are none."""
    said = inside(pid, "sh", "-c", "iptables-save; echo '%'; ip6tables-save")
    lines = [re.sub(r" ?\[\d+:\d+\]", "", line) for line in said.splitlines() if not line.startswith("#")]
    text = "".join(f"{line}\n" for line in lines)
    return re.sub(r"\*\w+\n(?::[A-Z]+ ACCEPT\n)*COMMIT\n?", "", text)


def put_firewall_back(pid: int, rules: str) -> None:
    """Have these rules and no others, those of `firewall`. Raises LabError."""
    for tool, text in zip(("iptables", "ip6tables"), rules.split("%\n"), strict=True):
        present = re.findall(r"^\*(\w+)$", inside(pid, f"{tool}-save"), re.MULTILINE)
        emptied = [f"*{table}\nCOMMIT\n" for table in present if f"*{table}\n" not in text]
        if given := text + "".join(emptied):
            inside(pid, f"{tool}-restore", "-w", stdin=given)


def processes(container: Container) -> dict[str, frozenset[Process]]:
    """Return the processes of a host by control group."""
    found: dict[str, frozenset[Process]] = {}
    group = _group(container)
    for folder, _folders, files in os.walk(group):
        if "cgroup.procs" in files:
            pids = _read(Path(folder, "cgroup.procs")).split()
            known = frozenset((int(pid), start) for pid in pids if (start := _started(pid)))
            if known:
                found[folder.removeprefix(str(group))] = known
    return found


def daemons(found: frozenset[Process], init: int) -> frozenset[Process]:
    """Return those that systemd itself has started as sshd or cron, and not what sessions have left to it."""
    marks = re.compile(r"\d+ \((sshd|cron)\) \S (\d+) ")
    return frozenset(
        one
        for one in found
        if (is_one := marks.match(_read(Path(f"/proc/{one[0]}/stat")))) and is_one[2] == str(init)
    )


def units(pid: int) -> dict[str, str]:
    """Return the units that the host's systemd knows, and whether each is active."""
    said = inside(pid, "systemctl", "list-units", "--all", "--plain", "--no-legend", "--full")
    words = [line.split()[:4] for line in said.splitlines()]
    return {
        unit: active for unit, _load, active, _sub in words if active in {"active", "failed", "activating"}
    }


def wait_until_booted(pid: int, timeout: float = 180) -> None:
    """Return when the host's systemd has done everything it does at a start."""
    deadline = time.monotonic() + timeout
    argv = ["nsenter", "-t", str(pid), "-m", "-p", "systemctl", "is-system-running", "--wait"]
    while run(argv, check=False, timeout=timeout).stdout.strip() not in {"running", "degraded"}:
        if time.monotonic() > deadline:
            raise LabError(f"A host did not finish its start within {timeout:g} seconds.")
        time.sleep(0.05)


def container_settings(container: Container) -> str:
    """Return what LXC and the hook `wire` are told of the host, which a change by the API writes anew."""
    return "\0".join(_read(container.folder / name) for name in ("config", "cable"))


def _group(container: Container) -> Path:
    for top in ("/sys/fs/cgroup/systemd", "/sys/fs/cgroup"):
        group = Path(top, f"lxc.payload.{container.name}")
        if group.is_dir():
            return group
    raise LabError(f"{container.host.name} has no control group.")


def _started(pid: str) -> int:
    stat = _read(Path("/proc", pid, "stat")).rpartition(")")[2].split()
    return int(stat[19]) if stat and stat[0] != "Z" else 0


def _mounts(pid: int) -> tuple[tuple[str, str, str], ...]:
    """Return place, type and "rw" or "ro" of each mount, the last first: proc_pid_mounts(5)."""
    words = [line.split() for line in _read(Path(f"/proc/{pid}/mounts")).splitlines()]
    return tuple((place, kind, options[:2]) for _device, place, kind, options, *_ in reversed(words))


def _addresses(pid: int) -> str:
    """Return the routes and the addresses of IPv4: proc_net(5)."""
    own = re.findall(r"\|-- (\S+)\n\s+/32 host LOCAL", _read(Path(f"/proc/{pid}/net/fib_trie")))
    return _read(Path(f"/proc/{pid}/net/route")) + "\n".join(sorted(set(own)))


def _is_plugged(cable: Path) -> bool:
    """Return whether a network device is up: IFF_UP of netdevice(7)."""
    flags = _read(cable / "flags").strip()
    return bool(flags) and bool(int(flags, 16) & 1)


def _names(folder: Path) -> list[str]:
    try:
        return [path.name for path in folder.iterdir()]
    except (FileNotFoundError, NotADirectoryError):
        return []


def _read(path: Path) -> str:
    try:
        return path.read_text()
    except OSError:  # it ended while we looked
        return ""
