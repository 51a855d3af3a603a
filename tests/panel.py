"""A real panel for tests: web, worker and scheduler as their own processes, on data of their own."""

import json
import os
import secrets
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from tests.leftovers import ending_with_us

ROOT = Path(__file__).resolve().parent.parent
START_SECONDS = 180  # a busy machine takes its time to migrate


class Panel:
    """The panel on `folder`, answering on 127.0.0.1 and `also_at` at a free port. A context manager."""

    def __init__(self, folder: Path, also_at: Sequence[str] = (), **env: str) -> None:
        self.folder = folder
        self.port = free_port()
        self.addresses = ["127.0.0.1", *also_at]
        self.env = {
            **os.environ,
            "GESTION_ENV_FILE": os.devnull,
            "DATA_DIR": str(folder),
            "GESTION_URL": f"http://{self.addresses[-1]}:{self.port}/",
            **env,
        }
        self.log = folder / "panel.log"
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        """Where a browser on this machine finds it, without a slash at the end."""
        return f"http://127.0.0.1:{self.port}"

    def __enter__(self) -> "Panel":
        self.start()
        return self

    def __exit__(self, *_error: object) -> None:
        self.stop()

    def start(self) -> None:
        """Start it and wait until it answers. Raises RuntimeError with its log if it does not."""
        binds = [word for address in self.addresses for word in ("--bind", f"{address}:{self.port}")]
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(
                ending_with_us([sys.executable, "manage.py", "panel", *binds]),
                cwd=ROOT,
                env=self.env,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
            )
        until = time.monotonic() + START_SECONDS
        while time.monotonic() < until and self._process.poll() is None:
            if self.answers():
                return
            time.sleep(0.2)
        self.stop()
        raise RuntimeError(f"The panel did not start:\n{self.log.read_text()[-4000:]}")

    def answers(self) -> bool:
        """Whether the panel says that all of it works."""
        try:
            with urllib.request.urlopen(f"{self.url}/health/", timeout=5) as answer:  # noqa: S310 - our own URL
                return bool(json.load(answer)["ok"])
        except (OSError, urllib.error.HTTPError, ValueError):
            return False

    def stop(self) -> None:
        """End it as Ctrl-C does, and wait."""
        if self._process and self._process.poll() is None:
            self._process.send_signal(signal.SIGTERM)
            try:
                self._process.wait(90)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait()

    def manage(self, *argv: str, **kwargs: Any) -> str:
        """Run a management command on the same data; returns what it prints. Raises CalledProcessError."""
        done = subprocess.run(
            [sys.executable, "manage.py", *argv],
            cwd=ROOT,
            env=self.env,
            check=True,
            capture_output=True,
            text=True,
            timeout=240,
            **kwargs,
        )
        return done.stdout


def free_port(address: str = "127.0.0.1") -> int:
    """A port of this address that is free now, and that the kernel gives to nobody who asks for any.

    Those that it gives away (ip_local_port_range in ip(7), 32768 and above) may be taken before the test listens.
    """
    while True:
        with socket.socket() as probe, suppress(OSError):
            probe.bind((address, secrets.choice(range(10_000, 32_000))))
            return int(probe.getsockname()[1])
