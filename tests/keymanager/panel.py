"""The panel as it really runs: Daphne in a process of its own, on the tests' database."""

import http.client
import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

from django.db import connection

from tests.panel import free_port
from tests.waiting import PATIENCE_SECONDS

ROOT = Path(__file__).resolve().parents[2]


@dataclass(frozen=True)
class Reply:
    status: int
    headers: dict[str, str]
    body: bytes


@dataclass(frozen=True)
class Panel:
    """One Daphne; `address` and `port` are where it listens."""

    address: str
    port: int
    process: subprocess.Popen[bytes]

    @property
    def url(self) -> str:
        return f"http://{self.address}:{self.port}/"

    def ask(self, path: str, token: str = "", method: str = "GET", **headers: str) -> Reply:
        """One request; header names with _ for -."""
        sent = {name.replace("_", "-"): value for name, value in headers.items()}
        if token:
            sent["Authorization"] = f"Bearer {token}"
        link = http.client.HTTPConnection(self.address, self.port, timeout=20)
        try:
            link.request(method, path, headers=sent)
            reply = link.getresponse()
            return Reply(reply.status, {k.lower(): v for k, v in reply.getheaders()}, reply.read())
        finally:
            link.close()

    def keys(self, name: str, token: str = "", user: str = "", **more: str) -> Reply:
        """Ask for a server's keys, or one unix user's."""
        return self.ask(f"/keymanager/servers/getKeys/{name}/{f'{user}/' if user else ''}", token, **more)


def database_url() -> str:
    """The tests' database as another process reaches it."""
    found = connection.settings_dict
    if connection.vendor == "sqlite":
        return f"sqlite:///{found['NAME']}"
    place = f"{found['HOST']}:{found['PORT']}" if found["PORT"] else found["HOST"]
    return f"postgres://{quote(found['USER'])}:{quote(found['PASSWORD'])}@{place}/{found['NAME']}"


@contextmanager
def running_panel(address: str = "127.0.0.1", **environment: str) -> Iterator[Panel]:
    """A panel on a free port until the block ends."""
    port = free_port(address)
    given = {"DATABASE_URL": database_url(), "ALLOW_PLAIN_HTTP_KEYS": "1", "ALLOWED_HOSTS": address}
    argv = [sys.executable, "-m", "daphne", "-b", address, "-p", str(port), "--verbosity", "0"]
    process = subprocess.Popen(
        [*argv, "gestion.asgi:application"], cwd=ROOT, env={**os.environ, **given, **environment}
    )
    try:
        deadline = time.monotonic() + PATIENCE_SECONDS
        while time.monotonic() < deadline and process.poll() is None:
            with socket.socket() as probe:
                if probe.connect_ex((address, port)) == 0:
                    break
            time.sleep(0.1)
        yield Panel(address, port, process)
    finally:
        process.terminate()
        process.wait(PATIENCE_SECONDS)


def wait_until(true, seconds: float = PATIENCE_SECONDS):
    """Wait for something to become true; returns it."""
    deadline = time.monotonic() + seconds
    while not (found := true()) and time.monotonic() < deadline:
        time.sleep(0.05)
    return found
