"""Guests of many Proxmox hosts: `.venv/bin/python -m bench.guests [--quick] [--json FILE]`.

Simulated hosts with a hundred containers each answer from a process of their own; one hangs. Measured is looking at
all of them, and the list of guests meanwhile, as a whole panel's web server gives it. Processor time is of the
process that looks (`cpu_seconds_a_look_at_all`).
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))
WANTED = {"list_ms": 300.0, "cpu_seconds_a_look_at_all": 6.0}
HOSTS, CONTAINERS = 20, 100


def serve() -> None:
    """Simulated hosts in this process: tells where each is, and lets the first one hang when told to."""
    from lab.pve import PveServer, Slow, World

    with ExitStack() as stack:
        servers = [
            stack.enter_context(PveServer(World.example(containers=CONTAINERS, node=f"pve{number}")))
            for number in range(1, HOSTS + 1)
        ]
        facts = [[one.node, one.port, one.fingerprint, one.certificate_pem] for one in servers]
        print(json.dumps(facts), flush=True)
        sys.stdin.readline()
        servers[0].faults.add(Slow(path="*", seconds=3600))
        print("hangs", flush=True)
        sys.stdin.readline()


@contextmanager
def hosts() -> Iterator[tuple[list[Any], "subprocess.Popen[str]"]]:
    """The simulated hosts, in a process of their own."""
    argv = [sys.executable, "-m", "bench.guests", "--serve"]
    with subprocess.Popen(
        argv, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None  # noqa: S101 - it was asked for
        try:
            yield json.loads(process.stdout.readline()), process
        finally:
            process.kill()


def tell(process: "subprocess.Popen[str]") -> None:
    """Let the first host hang."""
    assert process.stdin is not None and process.stdout is not None  # noqa: S101, PT018
    process.stdin.write("\n")
    process.stdin.flush()
    process.stdout.readline()


def enlist(facts: list[Any]) -> tuple[list[int], str]:
    """Rows for the hosts, and an admin's session for the list: pages are for people, a token gets JSON."""
    from django.conf import settings
    from django.test import Client

    from accounts.models import User
    from proxmox.models import ProxmoxAccess
    from servers.models import Server

    ids = []
    for node, port, fingerprint, pem in facts:
        named = {"name": node, "keymanager_name": node, "proxmox_node": node, "external_interface": "vmbr0"}
        host = Server.objects.create(is_proxmox=True, **named)
        ProxmoxAccess.objects.create(
            server=host, address="127.0.0.1", port=port, user="root@pam!panel", secret="secret",  # noqa: S106
            certificate=pem, fingerprint=fingerprint,
        )  # fmt: skip
        ids.append(host.pk)
    browser = Client()
    browser.force_login(User.objects.create_superuser("ada", "correct horse battery"))
    return ids, f"{settings.SESSION_COOKIE_NAME}={browser.cookies[settings.SESSION_COOKIE_NAME].value}"


def timed(url: str, cookie: str, rounds: int, **headers: str) -> float:
    """The median milliseconds of an answer."""
    waits = []
    for _ in range(rounds):
        asked = urllib.request.Request(url, headers={"Cookie": cookie, **headers})  # noqa: S310
        began = time.perf_counter()
        with urllib.request.urlopen(asked, timeout=60) as answer:  # noqa: S310 - our own URL
            answer.read()
        waits.append(1000 * (time.perf_counter() - began))
    return round(statistics.median(waits), 1)


def looks(ids: list[int]) -> dict[str, float]:
    """The first look at all, and one when everything is known, all of them answering."""
    from proxmox.looking import look_at

    figures = {}
    for name in ("seconds_first_look", "seconds_a_look_at_all"):
        began, used = time.perf_counter(), time.process_time()
        look_at(ids)
        figures[name] = round(time.perf_counter() - began, 2)
        figures["cpu_seconds_a_look_at_all"] = round(time.process_time() - used, 2)
    return figures


def measure(folder: Path, rounds: int) -> dict[str, float]:
    """All figures, from a panel on `folder`."""
    from tests.panel import Panel

    os.environ.update(DATA_DIR=str(folder), GESTION_ENV_FILE=os.devnull)
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "gestion.settings")
    for name in ("DATABASE_URL", "REDIS_URL", "CELERY_BROKER_URL"):
        os.environ.pop(name, None)
    with hosts() as (facts, process), Panel(folder) as panel:
        import django

        django.setup()
        from proxmox.looking import look_at

        ids, cookie = enlist(facts)
        figures = looks(ids)
        tell(process)
        began = time.perf_counter()
        look_at(ids)
        figures["seconds_a_look_while_one_hangs"] = round(time.perf_counter() - began, 2)
        url = f"{panel.url}/proxmox/guests/"
        timed(url, cookie, 3, Accept="text/html")
        figures["list_ms"] = timed(url, cookie, rounds, Accept="text/html")
        figures["list_by_memory_ms"] = timed(f"{url}?sort=-memory&q=ct1", cookie, rounds, Accept="text/html")
        figures["host_page_ms"] = timed(
            f"{panel.url}/proxmox/hosts/{ids[1]}/", cookie, rounds, Accept="text/html"
        )
    return figures


def main() -> int:
    """Measure, print, and say whether all is as wanted."""
    parser = argparse.ArgumentParser(description="What looking at many Proxmox hosts costs.")
    parser.add_argument("--quick", action="store_true", help="fewer rounds")
    parser.add_argument("--json", type=Path, metavar="FILE")
    parser.add_argument("--serve", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.serve:
        serve()
        return 0
    with tempfile.TemporaryDirectory(prefix="gestion-bench-") as folder:
        figures = measure(Path(folder), 5 if options.quick else 30)
    met = all(figures[name] <= limit for name, limit in WANTED.items())
    wanted = {name: f"<= {limit:g}" for name, limit in WANTED.items()}
    for name, value in figures.items():
        print(f"{name:32} {value:10.2f}   {wanted.get(name, '')}")
    if options.json:
        options.json.write_text(json.dumps({"figures": figures, "wanted": wanted, "ok": met}, indent=1))
    return 0 if met else 1


if __name__ == "__main__":
    sys.exit(main())
