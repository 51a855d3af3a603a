"""The server of one node: it listens, speaks TLS, and has a thread for each connection."""

import contextlib
import socket
import ssl
import tempfile
import threading
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from .certificate import Certificate, ready_certificate
from .cluster import Cluster
from .faults import Faults
from .web import Handler
from .world import World

IDLE_SECONDS = 60


class PveServer:
    """A Proxmox API on https://host:port/api2/json. As a context manager it runs in threads of its own.

    Give it a world, or the cluster of another server to be a second node of it. `port` 0: a free one.
    """

    def __init__(
        self,
        world: World | None = None,
        *,
        cluster: Cluster | None = None,
        node: str | None = None,
        host: str = "127.0.0.1",
        port: int = 0,
        certificate: Certificate | None = None,
    ) -> None:
        self.cluster = cluster or Cluster(world or World.example())
        self.node = node or next(iter(self.world.nodes))
        self.address = (host, port)
        self._folder = tempfile.TemporaryDirectory(prefix="lab-pve-") if not certificate else None
        if not certificate:
            names = [self.node, "localhost", host]
            certificate = ready_certificate(
                Path(self._folder.name if self._folder else "") / "api.pem", names
            )
        self.certificate = certificate
        self._context = certificate.context()
        self._listening: socket.socket | None = None
        self._connections: set[socket.socket] = set()
        self._lock = threading.Lock()

    @property
    def world(self) -> World:
        """The world it shows, which tests may change at any time."""
        return self.cluster.world

    @property
    def faults(self) -> Faults:
        """The faults it has at present."""
        return self.cluster.faults

    @property
    def port(self) -> int:
        """The port it listens on."""
        return self.address[1]

    @property
    def url(self) -> str:
        """Where it is: "https://127.0.0.1:8006"."""
        return f"https://{self.address[0]}:{self.port}"

    @property
    def certificate_pem(self) -> str:
        """Its certificate in PEM."""
        return self.certificate.pem

    @property
    def certificate_file(self) -> str:
        """The path of its certificate in PEM, for `verify_ssl`."""
        return str(self.certificate.file)

    @property
    def fingerprint(self) -> str:
        """Its certificate's SHA-256 fingerprint: "AB:CD:…"."""
        return self.certificate.fingerprint

    def __enter__(self) -> Self:
        self.listen(socket.create_server(self.address, backlog=64))
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()
        self.cluster.tasks.stop_all()
        if self._folder:
            self._folder.cleanup()

    def listen(self, listening: socket.socket) -> None:
        """Answer on a socket that listens, wherever it was made."""
        self._listening = listening
        self.address = (self.address[0], listening.getsockname()[1])
        threading.Thread(target=self._accept, args=(listening,), daemon=True).start()

    def close(self) -> None:
        """Stop listening and cut every connection."""
        with self._lock:
            cut = [*self._connections, *([self._listening] if self._listening else [])]
            self._connections.clear()
            self._listening = None
        for connection in cut:
            with contextlib.suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)
            connection.close()

    def _accept(self, listening: socket.socket) -> None:
        while True:
            try:
                connection, address = listening.accept()
            except OSError:
                return
            with self._lock:
                self._connections.add(connection)
            threading.Thread(target=self._serve, args=(connection, address), daemon=True).start()

    def _serve(self, connection: socket.socket, address: Any) -> None:
        with contextlib.suppress(OSError, ssl.SSLError), self._forgetting(connection):
            connection.settimeout(IDLE_SECONDS)
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            with self._context.wrap_socket(connection, server_side=True) as secure:
                with self._lock:
                    self._connections.add(secure)
                with self._forgetting(secure):
                    Handler(secure, address, self)

    @contextlib.contextmanager
    def _forgetting(self, connection: socket.socket) -> Iterator[None]:
        try:
            yield
        finally:
            with self._lock:
                self._connections.discard(connection)
            connection.close()
