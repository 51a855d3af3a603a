"""The key endpoint beside what it could be at best, on one Daphne: `.venv/bin/python -m bench.keys [--quick]
[--json FILE]`.

10,000 servers with 5 unix users each, 1,000 people with 2 keys, 300 groups. Measured with wrk (Debian:
apt-get install wrk), one thread and 32 connections, on random servers with their own tokens. Each figure is
the best of its rounds: what else the machine does can only make it worse.
"""

import argparse
import http.client
import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
MODES = ("bare", "304", "same", "200", "django")
WANTED = {
    "ratio_304_to_bare_asgi": (">=", 0.5),
    "ratio_200_to_bare_asgi": (">=", 0.333),
    "queries_per_request": ("<=", 0.1),
    "seconds_to_first_changed_answer": ("<=", 1.0),
}


@dataclass(frozen=True)
class Load:
    """What wrk says of one run: requests a second, and the 99th percentile in milliseconds."""

    rate: float
    p99: float


class Bench:
    """One Daphne on a database of its own."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.list = folder / "servers"
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port = probe.getsockname()[1]

    def start(self) -> float:
        """Start Daphne; seconds until its first answer to a server."""
        from bench.keys_fleet import name_of, token_of

        begin = time.perf_counter()
        argv = [sys.executable, "-m", "daphne", "-b", "127.0.0.1", "-p", str(self.port), "--verbosity", "0"]
        log = (self.folder / "daphne.log").open("wb")
        self.daphne = subprocess.Popen(
            [*argv, "bench.keys_app:application"], cwd=ROOT, stdout=log, stderr=log
        )
        while True:
            try:
                self.ask(name_of(0), token_of(0))
            except OSError:
                time.sleep(0.02)
            else:
                return time.perf_counter() - begin

    def stop(self) -> None:
        """End it."""
        self.daphne.send_signal(signal.SIGTERM)
        self.daphne.wait(20)

    def ask(self, name: str, token: str, link: http.client.HTTPConnection | None = None) -> tuple[str, int]:
        """Fetch one server's keys; its ETag and the answer's length."""
        mine = link or http.client.HTTPConnection("127.0.0.1", self.port, timeout=60)
        headers = {"Authorization": f"Bearer {token}"}
        mine.request("GET", f"/keymanager/servers/getKeys/{name}/", headers=headers)
        reply = mine.getresponse()
        body = reply.read()
        if link is None:
            mine.close()
        if reply.status != 200:
            raise RuntimeError(f"{name}: {reply.status} {body[:200]!r}")
        return (reply.getheader("ETag") or "").strip('"'), len(body)

    def queries(self) -> int:
        """SQL queries of Daphne's process until now."""
        link = http.client.HTTPConnection("127.0.0.1", self.port, timeout=60)
        link.request("GET", "/counted/")
        count = int(link.getresponse().read())
        link.close()
        return count

    def pass_over(self, numbers: range, threads: int = 32) -> tuple[float, list[tuple[int, str, int]]]:
        """Every one of these servers asks once; seconds, and (number, ETag, bytes) of each."""
        from bench.keys_fleet import name_of, token_of

        found: list[tuple[int, str, int]] = []

        def some(first: int) -> None:
            link = http.client.HTTPConnection("127.0.0.1", self.port, timeout=60)
            found.extend(
                (number, *self.ask(name_of(number), token_of(number), link))
                for number in numbers[first::threads]
            )
            link.close()

        begin = time.perf_counter()
        workers = [threading.Thread(target=some, args=(first,)) for first in range(threads)]
        for worker in workers:
            worker.start()
        for worker in workers:
            worker.join()
        return time.perf_counter() - begin, found

    def write_list(self, found: list[tuple[int, str, int]]) -> None:
        """The list from which wrk takes servers, tokens and ETags."""
        from bench.keys_fleet import name_of, token_of

        self.list.write_text("".join(f"{name_of(n)} {token_of(n)} {etag}\n" for n, etag, _size in found))

    def load(self, mode: str, seconds: int) -> Load:
        """Run wrk."""
        argv = ["wrk", "-t1", "-c32", f"-d{seconds}", "--latency", "-s", str(ROOT / "bench/keys_load.lua")]
        argv += [f"http://127.0.0.1:{self.port}", "--", mode, str(self.list)]
        text = subprocess.run(argv, capture_output=True, text=True, check=True).stdout
        if "Non-2xx" in text:
            raise RuntimeError(text)
        rate = float(re.findall(r"Requests/sec:\s+([\d.]+)", text)[0])
        value, unit = re.findall(r"99%\s+([\d.]+)(us|ms|s)", text)[0]
        return Load(rate, float(value) * {"us": 0.001, "ms": 1, "s": 1000}[unit])


def first_changed_answer(bench: Bench, group_name: str, number: int) -> float:
    """Seconds from calling the service that puts a new person into a group until a server's answer has
    changed.
    """
    from accounts.actors import Actor
    from bench.keys_fleet import name_of, newcomer, token_of
    from keymanager.models import Group
    from keymanager.services.groups import add_to_group

    group, person = Group.objects.get(name=group_name), newcomer()
    link = http.client.HTTPConnection("127.0.0.1", bench.port, timeout=60)
    before, _size = bench.ask(name_of(number), token_of(number), link)
    begin = time.perf_counter()
    add_to_group(Actor.system("bench"), group, "member_users", [person])
    while bench.ask(name_of(number), token_of(number), link)[0] == before:
        time.sleep(0.005)
    return time.perf_counter() - begin


def measure_rates(bench: Bench, seconds: int, rounds: int) -> dict[str, Load]:
    """Every mode in turn, `rounds` times; the best of each."""
    best: dict[str, Load] = {}
    for _ in range(rounds):
        for mode in MODES:
            found = bench.load(mode, seconds)
            if mode not in best or found.rate > best[mode].rate:
                best[mode] = found
    return best


def measure(bench: Bench, quick: bool) -> dict[str, float]:
    """All figures."""
    from bench.keys_fleet import EVERYBODY, Size, build
    from keymanager.models import Group

    figures: dict[str, float] = {}
    size = Size()
    begin = time.perf_counter()
    build(size)
    figures["seconds_to_build_fleet"] = time.perf_counter() - begin
    figures["seconds_to_first_answer_after_start"] = bench.start()

    count = 2_000 if quick else size.servers
    seconds, found = bench.pass_over(range(count))
    figures["cold_ms_per_answer"] = 1000 * seconds / count
    figures["bytes_per_answer"] = sum(size for _n, _etag, size in found) / count
    figures["megabytes_of_daphne"] = resident(bench.daphne.pid)
    bench.write_list(found)

    rates = measure_rates(bench, 2 if quick else 6, 2 if quick else 3)
    for mode, load in rates.items():
        figures[f"rate_{mode}"], figures[f"p99_ms_{mode}"] = load.rate, load.p99
    figures["ratio_304_to_bare_asgi"] = rates["304"].rate / rates["bare"].rate
    figures["ratio_200_to_bare_asgi"] = rates["200"].rate / rates["same"].rate
    figures["ratio_304_to_bare_django"] = rates["304"].rate / rates["django"].rate

    before, wait = bench.queries(), 2 if quick else 6
    load = bench.load("304", wait)
    figures["queries_per_request"] = (bench.queries() - before) / (load.rate * wait)

    times = []
    for group in Group.objects.exclude(name=EVERYBODY).order_by("name")[: 3 if quick else 10]:
        server = group.allowed_servers.order_by("pk").first()
        if server:
            times.append(first_changed_answer(bench, group.name, int(server.name[1:6])))
    figures["seconds_to_first_changed_answer"] = max(times)

    everywhere = range(0, count, 100)  # where the group of everybody is allowed
    bench.pass_over(everywhere)
    figures["everybody_seconds_to_first_changed_answer"] = first_changed_answer(bench, EVERYBODY, 0)
    seconds, _found = bench.pass_over(everywhere)
    figures["everybody_ms_per_answer"] = 1000 * seconds / len(everywhere)
    return figures


def resident(pid: int) -> float:
    """Resident memory of a process, in MiB."""
    text = Path(f"/proc/{pid}/status").read_text()
    return int(re.findall(r"VmRSS:\s+(\d+)", text)[0]) / 1024


def met(figures: dict[str, float]) -> bool:
    """Whether every wanted figure is reached."""
    return all(
        figures[name] >= limit if sign == ">=" else figures[name] <= limit
        for name, (sign, limit) in WANTED.items()
    )


def main() -> int:
    """Measure, print, and say whether all is as wanted."""
    parser = argparse.ArgumentParser(description="The key endpoint beside its limits.")
    parser.add_argument("--quick", action="store_true", help="under a minute, rougher")
    parser.add_argument("--json", type=Path, metavar="FILE")
    options = parser.parse_args()
    if not shutil.which("wrk"):
        print("This needs wrk: apt-get install wrk", file=sys.stderr)
        return 3
    with tempfile.TemporaryDirectory(prefix="gestion-bench-") as folder:
        os.environ.update(
            DATA_DIR=folder,
            GESTION_ENV_FILE=os.devnull,
            ALLOW_PLAIN_HTTP_KEYS="1",
            KEYS_PUSH="0",
            LOG_LEVEL="WARNING",
            DJANGO_SETTINGS_MODULE="gestion.settings",
        )
        os.environ.pop("DATABASE_URL", None)
        import django
        from django.core.management import call_command

        django.setup()
        call_command("migrate", verbosity=0)
        bench = Bench(Path(folder))
        try:
            figures = measure(bench, options.quick)
        finally:
            bench.stop()
    wanted = {name: f"{sign} {limit}" for name, (sign, limit) in WANTED.items()}
    report = {"figures": figures, "wanted": wanted, "ok": met(figures)}
    for name, value in figures.items():
        print(f"{name:44} {value:12.3f}   {wanted.get(name, '')}")
    if options.json:
        options.json.write_text(json.dumps(report, indent=1))
    return 0 if report["ok"] else 1


if __name__ == "__main__":
    sys.exit(main())
