"""Ports and hostnames, click to live: `.venv/bin/python -m bench.forward [--quick] [--only WHAT] [--json FILE]`.

On the lab's hosts (as root), with a whole panel running: its worker is another process, reached through the broker.
A click is the call of the service that the form calls; live is the first TCP connection through the port, tried every
5 ms from this machine. For hostnames see bench.forward_hostnames. LAB_NETWORK names the
lab's network (default 198.51.100.128/26).
"""

import argparse
import json
import os
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tests.panel import free_port

if TYPE_CHECKING:
    from lab import Fleet, LabHost

ROOT = Path(__file__).resolve().parents[1]
LAB = "benchports"
MANY = 500
WANTED = {
    "seconds_click_to_live_1_rule": 2.0,
    "seconds_click_to_live_500_rules": 2.0,
    "seconds_click_to_gone": 2.0,
    "seconds_20_hosts": 20.0,
}


@contextmanager
def panel(folder: Path) -> Iterator[None]:
    """The whole embedded panel on this folder's data, for as long as the context."""
    port = free_port()
    with (folder / "panel.log").open("wb") as log:
        process = subprocess.Popen(
            [sys.executable, "manage.py", "panel", "--bind", f"127.0.0.1:{port}"],
            cwd=ROOT,
            stdout=log,
            stderr=log,
        )
    try:
        until(lambda: healthy(port), 60, "the panel's start")
        yield
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(60)


def healthy(port: int) -> bool:
    """Whether web, worker and scheduler all say that they work."""
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/health/", timeout=5) as answer:
            return bool(json.load(answer)["ok"])
    except (OSError, urllib.error.HTTPError, ValueError):
        return False


def until(true: Callable[[], bool], seconds: float, what: str, pause: float = 0.05) -> float:
    """Wait until it is true; how long that took. Raises TimeoutError."""
    begin = time.perf_counter()
    while not true():
        if time.perf_counter() - begin > seconds:
            raise TimeoutError(f"{what} took more than {seconds:g} seconds")
        time.sleep(pause)
    return time.perf_counter() - begin


def answers(address: str, port: int) -> bool:
    """Whether a TCP connection comes about."""
    try:
        socket.create_connection((address, port), timeout=1).close()
    except OSError:
        return False
    return True


def enlist(host: "LabHost", number: int = 0) -> Any:
    """The row of a lab host; one behind another follows its host's row."""
    from django.utils import timezone

    from servers.models import HostKey, Server

    fields: dict[str, Any] = {"external_ip": host.address, "internal_ip": "10.0.0.1", "is_proxmox": True}
    fields |= {"proxmox_node": "node", "external_interface": "eth0"}
    if host.behind:
        fields = {
            "is_vm": True,
            "internal_ip": host.address,
            "vm_host": Server.objects.get(name=host.behind),
        }
    row = Server.objects.create(
        name=host.name, keymanager_name=host.name, ssh_connection=host.connection, **fields
    )
    HostKey.objects.create(
        server=row, key=host.host_key, fingerprint=f"{host.name}-{number}", pinned_at=timezone.now()
    )
    return row


def rule(host: Any, guest: Any, port: int) -> Any:
    """A rule that is not saved, to the guest's nginx."""
    from forwarding.models import PortForward

    return PortForward(
        host=host,
        destination=guest,
        first_port=port,
        last_port=port,
        destination_first=80,
        destination_last=80,
    )


def click_to_live(host: Any, guest: Any, ports: range) -> tuple[list[float], list[float]]:
    """Add and delete a rule for each port, one after the other: seconds until it answers, and no more."""
    from accounts.actors import Actor
    from forwarding.services.ports import create_port_forward, delete_port_forward

    live, gone = [], []
    actor = Actor.system("bench")
    for port in ports:
        begin = time.perf_counter()
        made = create_port_forward(actor, rule(host, guest, port))
        until(lambda port=port: answers(host.external_ip, port), 30, f"port {port}", 0.005)  # type: ignore[misc]
        live.append(time.perf_counter() - begin)
        settled()
        begin = time.perf_counter()
        delete_port_forward(actor, made)
        until(lambda port=port: not answers(host.external_ip, port), 30, f"no port {port}", 0.005)  # type: ignore[misc]
        gone.append(time.perf_counter() - begin)
        settled()
    return live, gone


def settled() -> None:
    """Wait until nothing is being rolled out."""
    from jobs.models import ENDED, Job
    from servers.models import Rollout, RolloutState

    def quiet() -> bool:
        return not (
            Rollout.objects.exclude(state=RolloutState.IN_SYNC).exists()
            or Job.objects.filter(work="servers.roll_out").exclude(state__in=ENDED).exists()
        )

    until(quiet, 120, "the rollouts")


def fill(host: Any, guest: Any, count: int) -> float:
    """Give the host so many rules in one go; seconds until the last one answers."""
    from django.db import transaction

    from accounts.actors import Actor
    from forwarding.services.ports import create_port_forward

    begin = time.perf_counter()
    with transaction.atomic():
        for port in range(20_000, 20_000 + count):
            create_port_forward(Actor.system("bench"), rule(host, guest, port))
    until(lambda: answers(host.external_ip, 20_000 + count - 1), 60, "many rules", 0.005)
    taken = time.perf_counter() - begin
    settled()
    return taken


def many_hosts(fleet: "Fleet", count: int) -> float:
    """One rule on each of so many hosts, in one go: seconds until all have it and the panel says so."""
    from django.db import transaction

    from accounts.actors import Actor
    from forwarding.services.ports import create_port_forward
    from lab import HostSpec
    from servers.models import Server

    made = fleet.add_hosts([HostSpec(f"node{number:02}", "proxmox") for number in range(count)])
    rows = [enlist(host, number) for number, host in enumerate(made)]
    guests = [
        Server.objects.create(
            name=f"on-{row.name}", keymanager_name=row.name, is_vm=True, vm_host=row, internal_ip="10.0.0.9"
        )
        for row in rows
    ]
    begin = time.perf_counter()
    with transaction.atomic():
        for row, guest in zip(rows, guests, strict=True):
            create_port_forward(Actor.system("bench"), rule(row, guest, 8080))
    settled()
    return time.perf_counter() - begin


def measure(folder: Path, *, quick: bool, only: str) -> dict[str, float]:
    """All figures, or those of ports or hostnames only."""
    from django.core.management import call_command

    from bench import forward_hostnames
    from lab import Fleet, HostSpec
    from servers.identity import panel_identity

    call_command("migrate", verbosity=0)
    specs = [HostSpec("pve1", "proxmox"), HostSpec("web1", behind="pve1"), HostSpec("proxy", "nginx", "pve1")]
    network = os.environ.get("LAB_NETWORK", "198.51.100.128/26")
    figures: dict[str, float] = {}
    with (
        Fleet.up(LAB, network, [panel_identity().public_key], specs, fresh=True) as fleet,
        panel(folder),
    ):
        host, guest = enlist(fleet["pve1"]), enlist(fleet["web1"])
        if only != "hostnames":
            figures |= measure_ports(fleet, host, guest, quick=quick)
        if only != "ports":
            figures |= forward_hostnames.measure(fleet, host, guest, quick=quick)
    return figures


def measure_ports(fleet: "Fleet", host: Any, guest: Any, *, quick: bool) -> dict[str, float]:
    """All figures of ports."""
    figures: dict[str, float] = {}
    tries = 3 if quick else 10
    click_to_live(host, guest, range(8000, 8001))  # the first puts the script there, and warms the worker
    live, gone = click_to_live(host, guest, range(8100, 8100 + tries))
    figures["seconds_click_to_live_1_rule"] = statistics.median(live)
    figures["seconds_click_to_live_1_rule_worst"] = max(live)
    figures["seconds_click_to_gone"] = statistics.median(gone)
    figures["seconds_500_rules_at_once"] = fill(host, guest, MANY - 1)
    live, _gone = click_to_live(host, guest, range(8200, 8200 + tries))
    figures["seconds_click_to_live_500_rules"] = statistics.median(live)
    figures["seconds_click_to_live_500_rules_worst"] = max(live)
    count = 5 if quick else 20
    figures[f"seconds_{count}_hosts"] = many_hosts(fleet, count)
    return figures


def main() -> int:
    """Measure, print, and say whether all is as wanted."""
    parser = argparse.ArgumentParser(description="Forwarded ports, click to live.")
    parser.add_argument("--quick", action="store_true", help="fewer tries, 5 hosts instead of 20")
    parser.add_argument("--json", type=Path, metavar="FILE")
    parser.add_argument("--only", choices=["ports", "hostnames"], default="")
    options = parser.parse_args()
    from bench import forward_hostnames
    from lab import LabUnavailable

    limits = {**WANTED, **forward_hostnames.WANTED}

    with tempfile.TemporaryDirectory(prefix="gestion-bench-") as folder:
        os.environ.update(
            DATA_DIR=folder,
            GESTION_ENV_FILE=os.devnull,
            LOG_LEVEL="WARNING",
            DJANGO_SETTINGS_MODULE="gestion.settings",
        )
        os.environ.pop("DATABASE_URL", None)
        import django

        django.setup()
        try:
            figures = measure(Path(folder), quick=options.quick, only=options.only)
        except LabUnavailable as unavailable:
            print(unavailable, file=sys.stderr)
            return 3
    ok = all(figures[name] <= limit for name, limit in limits.items() if name in figures)
    for name, value in figures.items():
        limit = f"<= {limits[name]:g}" if name in limits else ""
        print(f"{name:44} {value:12.3f}   {limit}")
    if options.json:
        wanted = {name: f"<= {limit:g}" for name, limit in limits.items()}
        options.json.write_text(json.dumps({"figures": figures, "wanted": wanted, "ok": ok}, indent=1))
    return 0 if ok else 1


if __name__ == "__main__":
    sys.exit(main())
