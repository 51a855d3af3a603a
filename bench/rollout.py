"""A rollout to 20 real hosts beside what it could be at best, and beside pyinfra and Ansible:
`.venv/bin/python -m bench.rollout [--quick] [--json FILE]`.

One changed 2 KB nginx file with `nginx -t`, reload and reading back, on 20 hosts of the lab (so as root), side by side.
The limit is OpenSSH with one connection a host and one script on standard input, which makes no plan, keeps
nothing and puts nothing back. Each round measures every way once, one after the other; each figure is the median over
the rounds of a way's time divided by OpenSSH's in the same round, so that what else the machine does counts for both.
"""

import argparse
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

from bench import report
from bench.report import Wanted
from bench.rollout_tools import ANSIBLE, PYINFRA, REMOTE, Machine, Tools, installed
from bench.rollout_ways import OpenSSH, Ours, content
from lab import Fleet, HostSpec, LabUnavailable

WANTED = {
    "ratio_cold_to_ssh": Wanted("<=", 1.5),
    "ratio_warm_to_ssh": Wanted("<=", 1.0),
    "ratio_nothing_to_ssh": Wanted("<=", 0.7),
    "ratio_to_pyinfra": Wanted("<=", 1.0),
    "ratio_to_ansible": Wanted("<=", 1.0),
}
OURS = ("cold", "warm", "nothing")


def processor() -> float:
    """Seconds of processor time of this process and of those it waited for."""
    own, children = resource.getrusage(resource.RUSAGE_SELF), resource.getrusage(resource.RUSAGE_CHILDREN)
    return own.ru_utime + own.ru_stime + children.ru_utime + children.ru_stime


class Rounds:
    """Wall and processor seconds of every way, round by round."""

    def __init__(self, fleet: Fleet) -> None:
        self.fleet = fleet
        self.number = int(time.time())
        self.wall: dict[str, list[float]] = {}
        self.cpu: dict[str, list[float]] = {}

    def measure(
        self, name: str, act: Callable[[bytes], None], *, change: bool = True, keep: bool = True
    ) -> None:
        """Measure one way once, with a new content if it is to change something; check that it did."""
        self.number += change
        wanted = content(self.number)
        cpu, wall = processor(), time.perf_counter()
        act(wanted)
        seconds, used = time.perf_counter() - wall, processor() - cpu
        held = next(iter(self.fleet)).exec(["cat", REMOTE]).stdout
        if held != wanted:
            raise RuntimeError(f"{name} did not do its work")
        if keep:
            self.wall.setdefault(name, []).append(seconds)
            self.cpu.setdefault(name, []).append(used)

    def ratio(self, name: str, to: str = "ssh", *, cpu: bool = False) -> float | None:
        """Give the median of a way's time divided by another's of the same round; None if it was not measured."""
        times = self.cpu if cpu else self.wall
        if name not in times or to not in times:
            return None
        return statistics.median(a / b for a, b in zip(times[name], times[to], strict=False))

    def figures(self) -> dict[str, float | None]:
        """Everything that is reported."""
        found: dict[str, float | None] = {f"ratio_{name}_to_ssh": self.ratio(name) for name in OURS}
        found["ratio_to_pyinfra"] = self.ratio("cold", "pyinfra")
        found["ratio_to_ansible"] = self.ratio("cold", "ansible")
        for name in (*OURS, "pyinfra", "ansible"):
            found[f"processor_{name}_to_ssh"] = self.ratio(name, cpu=True)
        for name in self.wall:
            found[f"seconds_{name}"] = statistics.median(self.wall[name])
            found[f"processor_seconds_{name}"] = statistics.median(self.cpu[name])
        return found


def run(fleet: Fleet, key: Path, folder: Path, *, rounds: int, ansible: bool) -> dict[str, float | None]:
    """Measure all ways on all hosts of the fleet."""
    machines = [Machine(host.name, host.address, host.host_key) for host in fleet]
    tools = Tools(folder, machines, key)
    ssh, ours = OpenSSH(machines, key, tools.known), Ours(machines, key)
    pyinfra = installed(PYINFRA, "pyinfra")
    playbook = installed(ANSIBLE, "ansible-playbook") if ansible else None
    found = Rounds(fleet)
    found.measure("ssh", ssh, keep=False)
    found.measure("warm", ours.warm, keep=False)
    for number in range(rounds):
        found.measure("ssh", ssh)
        found.measure("cold", ours.cold)
        found.measure("nothing", ours.nothing, change=False)
        found.measure("warm", ours.warm)
        if pyinfra:
            found.measure("pyinfra", partial(tools.pyinfra, pyinfra))
        if playbook and number < 2:  # a quarter of a minute each
            found.measure("ansible", partial(tools.ansible, playbook))
            tools.close()
    ours.pool.close_all()
    return found.figures()


def main() -> int:
    """Measure, print, and say whether all is as wanted."""
    parser = argparse.ArgumentParser(description="A rollout beside its limit and beside other tools.")
    parser.add_argument(
        "--quick", action="store_true", help="under a minute: fewer hosts and rounds, no Ansible"
    )
    parser.add_argument("--json", type=Path, metavar="FILE")
    parser.add_argument("--hosts", type=int, help="how many hosts (20; quick: 10)")
    parser.add_argument("--rounds", type=int, help="how many rounds (7; quick: 3)")
    options = parser.parse_args()
    count = options.hosts or (10 if options.quick else 20)
    name, network = os.environ.get("LAB_NAME", "bench"), os.environ.get("LAB_NETWORK", "198.51.100.128/26")
    with tempfile.TemporaryDirectory(prefix="gestion-bench-") as scratch:
        key = Path(scratch) / "key"
        subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", key], check=True)
        try:
            fleet = Fleet.up(
                name, network, [key.with_suffix(".pub").read_text().strip()], hosts=(), fresh=True
            )
        except LabUnavailable as error:
            print(error, file=sys.stderr)
            return 3
        with fleet:
            fleet.add_hosts([HostSpec(f"n{number:02}") for number in range(count)])
            rounds = options.rounds or (3 if options.quick else 7)
            figures = run(fleet, key, Path(scratch), rounds=rounds, ansible=not options.quick)
    figures = {"hosts": float(count), "rounds": float(rounds), **figures}
    if options.quick:
        print(
            "Quick: fewer hosts and rounds, and Ansible is left out because it needs a quarter of a minute a round."
        )
    return 0 if report.write(figures, WANTED, options.json) else 1


if __name__ == "__main__":
    sys.exit(main())
