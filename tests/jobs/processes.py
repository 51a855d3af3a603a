"""Real workers and a real web server on the database and the broker of the running test."""

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from django.db import connection

from jobs.models import WorkerState
from tests.panel import ROOT, free_port
from tests.waiting import wait_for

WORKER = ["celery", "-q", "-A", "gestion", "worker", "-l", "INFO", "--without-gossip", "--without-mingle",
          "--without-heartbeat", "-Q", "default,backups"]  # fmt: skip


def environment(**more: str) -> dict[str, str]:
    """Settings for a process that shall share this test's database."""
    parts = connection.settings_dict
    name = parts["NAME"]
    if connection.vendor == "postgresql":
        url = f"postgres://{parts['USER']}@{parts['HOST']}:{parts['PORT']}/{name}"
    else:
        url = f"sqlite:///{name}"
    return {**os.environ, "DATABASE_URL": url, **more}


@contextmanager
def running(module: list[str], log: Path, **more: str) -> Iterator[subprocess.Popen[bytes]]:
    """`python -m module …` while the block runs; ended with SIGTERM."""
    with log.open("ab") as out:
        process = subprocess.Popen(
            [sys.executable, "-m", *module], cwd=ROOT, env=environment(**more), stdout=out, stderr=out
        )
    try:
        yield process
    finally:
        process.terminate()
        try:
            process.wait(60)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


@contextmanager
def worker(log: Path, **more: str) -> Iterator[subprocess.Popen[bytes]]:
    """A worker that is ready."""
    before = WorkerState.objects.count()
    with running(WORKER, log, **more) as process:
        wait_for(lambda: WorkerState.objects.count() > before, log=log)
        yield process


@contextmanager
def web(log: Path) -> Iterator[tuple[subprocess.Popen[bytes], int]]:
    """Daphne that answers, and its port."""
    import urllib.request

    port = free_port()

    def answers() -> bool:
        try:
            urllib.request.urlopen(f"http://127.0.0.1:{port}/health/", timeout=5).read()
        except OSError:
            return False
        return True

    with running(["daphne", "-b", "127.0.0.1", "-p", str(port), "gestion.asgi:application"], log) as process:
        wait_for(answers, log=log)
        yield process, port
