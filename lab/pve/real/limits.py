"""Control groups: what a container may use, changed while it runs, and what it uses."""

import os
import re
import time
from pathlib import Path
from typing import Any

from lab.pve.errors import TaskError

Json = dict[str, Any]
ROOT = Path("/sys/fs/cgroup")
UNIFIED = (ROOT / "cgroup.controllers").exists()
PERIOD = 100_000
SETTINGS = re.compile(r"lxc\.cgroup2?\.(memory|cpuset|cpu)\.")


def wanted(config: Json) -> list[tuple[str, str, str]]:
    """Return controller, file and value of every limit in a guest's configuration, the order for a start."""
    memory = int(config.get("memory", 512)) << 20
    swap = int(config.get("swap", 512)) << 20
    cores = min(int(config.get("cores") or 0) or _cpus(), _cpus())
    share = float(config.get("cpulimit") or 0)
    quota = int(share * PERIOD) if share else -1
    cpus = ("cpuset", "cpuset.cpus", f"0-{cores - 1}")
    if UNIFIED:
        limits = [("memory", "memory.max", str(memory)), ("memory", "memory.swap.max", str(swap))]
        return [*limits, cpus, ("cpu", "cpu.max", f"{quota if share else 'max'} {PERIOD}")]
    limits = [("memory", "memory.limit_in_bytes", str(memory))]
    if (ROOT / "memory/memory.memsw.limit_in_bytes").exists():
        limits.append(("memory", "memory.memsw.limit_in_bytes", str(memory + swap)))
    return [*limits, cpus, ("cpu", "cpu.cfs_quota_us", str(quota))]


def config_lines(config: Json) -> list[str]:
    """Return the limits as LXC's configuration has them."""
    word = "cgroup2" if UNIFIED else "cgroup"
    return [f"lxc.{word}.{file} = {value}" for _, file, value in wanted(config) if value != "-1"]


def change(pid: int, config: Json) -> None:
    """Let a running container's limits be those of the configuration. Raises TaskError if it uses more."""
    left = [(folder(pid, controller) / file, value) for controller, file, value in wanted(config)]
    # Memory without swap may never exceed memory with it, so the order depends on the direction:
    # what the kernel refuses in the first round is tried in a second.
    for attempt in range(2):
        failed = []
        for path, value in left:
            try:
                path.write_text(value)
            except OSError as error:
                failed.append((path, value))
                if attempt:
                    raise TaskError(f"{path.name}: {error.strerror}") from error
        left = failed


def folder(pid: int, controller: str) -> Path:
    """Return the container's control group, as seen by a controller. Raises TaskError if it is gone."""
    try:
        lines = Path(f"/proc/{pid}/cgroup").read_text().splitlines()
    except OSError as error:
        raise TaskError("the container is gone") from error
    for line in lines:
        _, names, path = line.split(":", 2)
        if (UNIFIED and not names) or controller in names.split(","):
            own = re.match(r".*?/lxc\.payload\.[^/]+", path)
            return ROOT / ("" if UNIFIED else controller) / (own[0] if own else path).lstrip("/")
    raise TaskError(f"there is no control group for {controller}")


def memory_used(pid: int) -> tuple[int, int]:
    """Return bytes of memory, without what the cache would give back, and of swap."""
    group = folder(pid, "memory")
    statistics = dict(line.split() for line in (group / "memory.stat").read_text().splitlines())
    if UNIFIED:
        used = _number(group / "memory.current") - int(statistics.get("inactive_file", 0))
        return used, _number(group / "memory.swap.current")
    used = _number(group / "memory.usage_in_bytes") - int(statistics.get("total_inactive_file", 0))
    return used, int(statistics.get("total_swap", 0))


def processor_seconds(pid: int) -> float:
    """Return the processor time used since its start."""
    if UNIFIED:
        said = (folder(pid, "cpu") / "cpu.stat").read_text().split()
        return int(said[said.index("usage_usec") + 1]) / 1e6
    return _number(folder(pid, "cpuacct") / "cpuacct.usage") / 1e9


def uptime(pid: int) -> int:
    """Return the seconds since its init started."""
    ticks = int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[19])
    return int(time.clock_gettime(time.CLOCK_BOOTTIME) - ticks / os.sysconf("SC_CLK_TCK"))


def _number(path: Path) -> int:
    return int(path.read_text()) if path.exists() else 0


def _cpus() -> int:
    return os.cpu_count() or 1
