"""Warm connections, reused within a process."""

import os
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from hosts.ssh import SSHHost, Target

IDLE_SECONDS = 60.0  # a connection that nobody used for so long is closed
TRUST_SECONDS = (
    2.0  # so short after its last use a connection is used again without asking for a sign of life
)


@dataclass
class _Idle:
    host: SSHHost
    since: float


class Pool:
    """Connections to targets; each is lent to one thread at a time. Thread safe, and empty again after a
    fork.
    """

    def __init__(self, idle_seconds: float = IDLE_SECONDS) -> None:
        self.idle_seconds = idle_seconds
        self._lock = threading.Lock()
        self._idle: dict[Target, list[_Idle]] = {}
        self._process = os.getpid()
        self._sweeper: threading.Thread | None = None

    @contextmanager
    def connect(self, target: Target, name: str = "") -> Iterator[SSHHost]:
        """Lend a host for the time of a `with`; a warm connection if one is free, else it connects at first
        use.
        """
        host = self._take(target) or SSHHost(target)
        host.name = name or target.address.host
        try:
            yield host
        finally:
            self._give_back(host)

    def _take(self, target: Target) -> SSHHost | None:
        while True:
            with self._lock:
                self._forget_after_fork()
                waiting = self._idle.get(target)
                found = waiting.pop() if waiting else None
            if found is None:
                return None
            fresh = time.monotonic() - found.since < TRUST_SECONDS
            if found.host.connected if fresh else found.host.alive():
                return found.host
            found.host.close()

    def _give_back(self, host: SSHHost) -> None:
        if not host.connected:
            host.close()
            return
        with self._lock:
            self._forget_after_fork()
            self._idle.setdefault(host.target, []).append(_Idle(host, time.monotonic()))
            if self._sweeper is None:
                self._sweeper = threading.Thread(target=self._sweep, name="ssh-pool", daemon=True)
                self._sweeper.start()

    def _forget_after_fork(self) -> None:
        # The parent's connections are its own: closing them here would end them for it
        if self._process != os.getpid():
            self._process, self._idle, self._sweeper = os.getpid(), {}, None

    def _sweep(self) -> None:
        """Close what is idle, until nothing is."""
        while True:
            time.sleep(self.idle_seconds / 4)
            for host in self._expired():
                host.close()
            with self._lock:
                if not self._idle:
                    self._sweeper = None
                    return

    def _expired(self) -> list[SSHHost]:
        limit = time.monotonic() - self.idle_seconds
        with self._lock:
            old = [one.host for waiting in self._idle.values() for one in waiting if one.since < limit]
            kept = {
                target: [one for one in waiting if one.since >= limit]
                for target, waiting in self._idle.items()
            }
            self._idle = {target: waiting for target, waiting in kept.items() if waiting}
        return old

    def close_all(self) -> None:
        """Close every connection that is not lent."""
        with self._lock:
            self._forget_after_fork()
            hosts = [one.host for waiting in self._idle.values() for one in waiting]
            self._idle = {}
        for host in hosts:
            host.close()
