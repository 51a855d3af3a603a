"""Runs the panel's processes side by side: restarts what dies, ends all together, leaves no orphan.

Started by `manage.py panel`. Uses the standard library alone and imports nothing of the panel, to stay small.
"""

import argparse
import contextlib
import ctypes
import http.client
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from types import FrameType
from urllib.parse import urlsplit

ROOT = Path(__file__).resolve().parent.parent
PATIENCE = 20.0  # seconds that processes get to end
WELL_AFTER = 60.0  # seconds after which a restarted process counts as well again
LONGEST_PAUSE = 30.0  # seconds before a restart
PR_SET_PDEATHSIG = 1


@dataclass
class Child:
    """One process of the panel."""

    name: str
    argv: list[str]
    env: dict[str, str] = field(default_factory=dict)
    process: subprocess.Popen[str] | None = None
    started: float = 0.0
    pause: float = 1.0
    start_at: float = 0.0

    @property
    def alive(self) -> bool:
        """Whether it runs."""
        return self.process is not None and self.process.poll() is None

    def start(self) -> None:
        """Start it, its output going through us. Only from the main thread: the kernel watches that one."""
        self.started = time.monotonic()
        self.process = subprocess.Popen(
            self.argv,
            cwd=ROOT,
            env={**os.environ, **self.env},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
            start_new_session=True,  # Ctrl-C reaches us alone, and we end them in order
            preexec_fn=_end_with_parent(os.getpid()),  # noqa: PLW1509 - it calls the kernel alone
        )
        threading.Thread(target=self._pass_on, args=(self.process,), daemon=True).start()

    def _pass_on(self, process: subprocess.Popen[str]) -> None:
        if process.stdout:
            for line in process.stdout:
                say(f"{self.name:9}| {line.rstrip()}")

    def look_after(self) -> None:
        """Start it again if it has died, after a pause that grows as it keeps dying."""
        now = time.monotonic()
        if self.alive:
            if now - self.started > WELL_AFTER:
                self.pause = 1.0
            return
        if self.start_at < self.started:
            code = self.process.returncode if self.process else 0
            say(f"{self.name:9}| ended with {code}; it starts again in {self.pause:.0f} s")
            self.start_at = now + self.pause
            self.pause = min(LONGEST_PAUSE, self.pause * 2)
        elif now >= self.start_at:
            self.start()


def say(text: str) -> None:
    """Print a line; a reader who has gone does not matter."""
    with contextlib.suppress(OSError):
        sys.stdout.write(f"{text}\n")
        sys.stdout.flush()


def _end_with_parent(parent: int) -> Callable[[], None]:
    libc = ctypes.CDLL(None, use_errno=True)

    def ask_kernel() -> None:
        libc.prctl(PR_SET_PDEATHSIG, signal.SIGTERM)
        if os.getppid() != parent:  # it died before we could ask
            os._exit(1)

    return ask_kernel


class Launcher:
    """The children, from the first start to the last end."""

    def __init__(self, children: list[Child], url: str, binds: list[tuple[str, int]], words: str) -> None:
        self.words = words
        self.children = children
        self.url = url
        self.binds = binds
        self.ending = threading.Event()

    def run(self) -> int:
        """Run until told to end; returns the exit code."""
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
            signal.signal(number, self._asked_to_end)
        for child in self.children:
            child.start()
        threading.Thread(target=self._tell_when_ready, daemon=True).start()
        while not self.ending.wait(0.5):
            for child in self.children:
                child.look_after()
        return self._end()

    def _asked_to_end(self, _number: int, _frame: FrameType | None) -> None:
        self.ending.set()

    def _end(self) -> int:
        say("panel    | ending")
        for child in self.children:
            if child.process and child.alive:
                child.process.terminate()
        until = time.monotonic() + PATIENCE
        for child in self.children:
            if child.process is None:
                continue
            try:
                child.process.wait(max(0.1, until - time.monotonic()))
            except subprocess.TimeoutExpired:
                say(f"{child.name:9}| does not end; killed")
                child.process.kill()
                child.process.wait()
        return 0

    def _tell_when_ready(self) -> None:
        host, port = self.binds[0]
        host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host)  # noqa: S104 - asked, not bound
        while not self.ending.is_set():
            if _answers(host, port, urlsplit(self.url).netloc):
                shown = f"[{host}]" if ":" in host else host
                told = f"panel    | Gestion answers at {self.url} (on this machine: http://{shown}:{port}/)"
                # At once, because who waits for the one reads the other then.
                say(f"{told}\npanel    | {self.words}" if self.words else told)
                return
            self.ending.wait(0.3)


def _answers(host: str, port: int, name: str) -> bool:
    try:
        connection = http.client.HTTPConnection(host, port, timeout=5)
        connection.request("GET", "/health/", headers={"Host": name})
        connection.getresponse().read()
    except (OSError, http.client.HTTPException):
        return False
    return True


def main() -> int:
    """Start what the command line says."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--url", required=True)
    parser.add_argument("--bind", action="append", required=True, help="host and port, with a space between")
    parser.add_argument("--queues", required=True)
    options = parser.parse_args()
    binds = [(host, int(port)) for host, port in (text.split(" ") for text in options.bind)]
    python = [sys.executable, "-m"]
    web = [*python, "daphne", "--no-server-name", "--verbosity", "1", "--access-log", os.devnull]
    for host, port in binds:
        web += ["-e", f"tcp:port={port}:interface={host.replace(':', chr(92) + ':')}"]
    worker = [*python, "celery", "--quiet", "-A", "gestion", "worker", "--loglevel", "INFO",
              "--without-gossip", "--without-mingle", "--without-heartbeat",
              "--queues", options.queues]  # fmt: skip
    children = [
        # The embedded panel finds static files by itself; WhiteNoise misses a folder that it does not need.
        Child("web", [*web, "gestion.asgi:application"], {"PYTHONWARNINGS": "ignore:No directory at"}),
        Child("worker", worker, {"GESTION_SCHEDULER": "thread"}),
    ]
    # By the environment, because everybody on the machine can read a command line; and not for the children.
    words = os.environ.pop("GESTION_FIRST_WORDS", "")
    return Launcher(children, options.url, binds, words).run()


if __name__ == "__main__":
    sys.exit(main())
