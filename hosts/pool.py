"""Warm connections, reused within a process: a login costs far more than what is mostly asked over it."""

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

from hosts.ssh import SSHHost
from hosts.target import Target

TRUSTED_SECONDS = 5.0  # used so lately, a connection needs no check


class Pool:
    """Connections by target; each is one thread's at a time. Unused for `idle_seconds`, they are closed."""

    def __init__(self, idle_seconds: float = 120.0) -> None:
        self.idle_seconds = idle_seconds
        self._idle: dict[Target, list[tuple[float, SSHHost]]] = {}
        self._lock = threading.Lock()
        self._timer: threading.Timer | None = None

    @contextmanager
    def connect(self, target: Target, name: str = "") -> Iterator[SSHHost]:
        """A connection that answered just now, warm if there is one. Connecting anew happens at its first use.

        It is kept for the next one who asks, unless the block ended by an error.
        """
        host = self._warm(target) or SSHHost(target)
        host.name = name or target.address.host
        try:
            yield host
        except BaseException:
            host.close()
            raise
        self._keep(target, host)

    def close_all(self) -> None:
        """Close what is unused now."""
        self._close_older(0)

    def _warm(self, target: Target) -> SSHHost | None:
        while True:
            with self._lock:
                idle = self._idle.get(target)
                if not idle:
                    return None
                since, host = idle.pop()
            if time.monotonic() - since < TRUSTED_SECONDS or host.alive():
                return host
            host.close()

    def _keep(self, target: Target, host: SSHHost) -> None:
        with self._lock:
            self._idle.setdefault(target, []).append((time.monotonic(), host))
            if self._timer is None:
                self._timer = threading.Timer(self.idle_seconds, self._tick)
                self._timer.daemon = True
                self._timer.start()

    def _tick(self) -> None:
        with self._lock:
            self._timer = None
        self._close_older(self.idle_seconds)
        with self._lock:
            if any(self._idle.values()) and self._timer is None:
                self._timer = threading.Timer(self.idle_seconds / 2, self._tick)
                self._timer.daemon = True
                self._timer.start()

    def _close_older(self, seconds: float) -> None:
        limit = time.monotonic() - seconds
        with self._lock:
            old = [host for idle in self._idle.values() for since, host in idle if since <= limit]
            self._idle = {
                target: kept
                for target, idle in self._idle.items()
                if (kept := [entry for entry in idle if entry[0] > limit])
            }
        for host in old:
            host.close()
