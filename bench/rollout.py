"""A rollout beside other ways to do it: `.venv/bin/python -m bench.rollout [--quick] [--json FILE]` (as root).

One changed file of 2 KB for nginx on 20 hosts of a lab: written, checked with `nginx -t`, nginx reloaded, the file
read back. Gestion does its whole life cycle: plan, lock, journal, checkpoint, check, reload, verify, and would put
back. The limit is OpenSSH with one connection a host, one script on its standard input, curve25519, all hosts at once.
pyinfra and ansible-core run from environments of their own, which are made at the first run; like OpenSSH, they are
programs that start anew each time, while Gestion is measured as in a worker, which runs already.

Rounds are interleaved, and the ratios are medians of those of each round, because other work shares the machine.
"""

import argparse
import json
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

from bench.rollout_ways import PATH, Ansible, Gestion, Hosts, NothingToDo, OpenSSH, Program, Pyinfra, Way
from lab import Fleet, HostSpec, LabUnavailable

WANTED = {
    "ratio_cold_to_ssh": 1.5,
    "ratio_warm_to_ssh": 1.0,
    "ratio_nothing_to_ssh": 0.7,
    "ratio_to_pyinfra": 1.0,
    "ratio_to_ansible": 1.0,
}
Cost = tuple[float, float]  # seconds of wall time, seconds of processor time on the panel's side


def content(way: str, number: int) -> bytes:
    """2 KB for nginx that differ from way to way and from round to round."""
    text = f"# {way} {number} {time.time_ns()}\nmap $uri $gestion_bench {{\n  default 0;\n"
    line = 0
    while len(text) < 2000:
        line += 1
        text += f"  /some/path/of/the/site/{line:03} {line + number};\n"
    return f"{text}}}\n".encode()


def processor_seconds() -> float:
    """Processor time of this process and of its ended children."""
    used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(one.ru_utime + one.ru_stime for one in used)


def measure(way: Way, fleet: Fleet, data: bytes) -> Cost:
    """Let a way bring data to every host, and make sure that it is there. Raises RuntimeError."""
    before, begin = processor_seconds(), time.perf_counter()
    way.roll_out(data)
    cost = time.perf_counter() - begin, processor_seconds() - before
    for host in fleet:
        if host.exec(["cat", PATH]).stdout != data:
            raise RuntimeError(f"{way.name}: {host.name} does not hold what was rolled out")
    return cost


def rounds(ways: Sequence[Way], fleet: Fleet, number: int) -> dict[str, list[Cost]]:
    """All ways in turn, `number` times; the slow ones less often."""
    costs: dict[str, list[Cost]] = {way.name: [] for way in ways}
    for turn in range(-1, number):
        data = b""
        for way in ways:
            if turn >= way.most_rounds or (turn < 0 and isinstance(way, Program)):
                continue  # the first turn only warms up
            data = data if isinstance(way, NothingToDo) else content(way.name, turn)
            cost = measure(way, fleet, data)
            if turn >= 0:
                costs[way.name].append(cost)
            print(f"  {turn + 1:2} {way.name:22} {cost[0]:7.2f} s {cost[1]:7.2f} s CPU", flush=True)
    return costs


def figures_of(costs: dict[str, list[Cost]]) -> dict[str, float]:
    """Medians of seconds, and medians of the rounds' ratios."""
    figures: dict[str, float] = {}
    for name, found in costs.items():
        if found:
            figures[f"seconds_{name}"] = statistics.median(wall for wall, _cpu in found)
            figures[f"cpu_seconds_{name}"] = statistics.median(cpu for _wall, cpu in found)
    for figure, over, under in (
        ("ratio_cold_to_ssh", "cold", "ssh"),
        ("ratio_warm_to_ssh", "warm", "ssh"),
        ("ratio_nothing_to_ssh", "nothing", "ssh"),
        ("ratio_to_pyinfra", "cold", "pyinfra"),
        ("ratio_to_ansible", "cold", "ansible"),
    ):
        if costs.get(over) and costs.get(under):
            pairs = zip(costs[over], costs[under], strict=False)
            figures[figure] = statistics.median(ours[0] / theirs[0] for ours, theirs in pairs)
    return {name: round(value, 3) for name, value in figures.items()}


def bench(fleet: Fleet, key: Path, *, quick: bool) -> dict[str, float]:
    """Measure on the hosts of this lab."""
    hosts = Hosts(list(fleet), key)
    ways: list[Way] = [OpenSSH(hosts), Gestion(hosts), NothingToDo(hosts), Gestion(hosts, warm=True)]
    ways.append(NothingToDo(hosts, warm=True))
    for other in (Pyinfra(hosts), Ansible(hosts)):
        if quick and not other.ready():
            print(f"{other.name} is left out: --quick makes no environment for it; run once without.")
        elif quick and isinstance(other, Ansible):
            print("ansible is left out of --quick: it takes too long.")
        else:
            other.prepare()
            ways.append(other)
    try:
        return figures_of(rounds(ways, fleet, 4 if quick else 9))
    finally:
        hosts.pool.close_all()


def main(argv: Sequence[str] | None = None) -> int:
    """Bring up a lab, measure, print, take it down; 0 if all is as wanted."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n\n")[0])
    parser.add_argument("--quick", action="store_true", help="under a minute: fewer hosts and rounds")
    parser.add_argument("--json", type=Path, metavar="FILE")
    parser.add_argument("--hosts", type=int, default=0, help="how many; 20, or 8 with --quick")
    parser.add_argument("--lab", default="rollout")
    parser.add_argument("--network", default="198.51.100.96/27")
    options = parser.parse_args(argv)
    number = options.hosts or (8 if options.quick else 20)
    with tempfile.TemporaryDirectory(prefix="gestion-bench-") as folder:
        key = Path(folder) / "id_ed25519"
        subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(key)], check=True)
        public = key.with_suffix(".pub").read_text()
        specs = [HostSpec(f"n{n:02}", "nginx") for n in range(1, number + 1)]
        try:
            fleet = Fleet.up(options.lab, options.network, [public], specs, fresh=True)
        except LabUnavailable as unavailable:
            print(unavailable, file=sys.stderr)
            return 3
        with fleet:
            figures = bench(fleet, key, quick=options.quick)
    ok = all(figures[name] <= limit for name, limit in WANTED.items() if name in figures)
    for name, value in figures.items():
        print(f"{name:32} {value:8.3f}   {f'<= {WANTED[name]}' if name in WANTED else ''}")
    wanted = {name: f"<= {limit}" for name, limit in WANTED.items()}
    if options.json:
        options.json.write_text(
            json.dumps({"hosts": number, "figures": figures, "wanted": wanted, "ok": ok}, indent=1)
        )
    return 0 if ok else 1


if __name__ == "__main__":
    sys.exit(main())
