"""The HTTP server of one node: TLS, one thread for each connection, and answers down to the reason phrase."""

import contextlib
import json
import socket
import ssl
import tempfile
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from types import TracebackType
from typing import Any, Self
from urllib.parse import parse_qsl, unquote, urlsplit

from .certificate import Certificate, ready_certificate
from .cluster import Cluster
from .errors import ApiError, BadParameters, Unauthenticated
from .faults import Drops, Faults, Refuses, Slow
from .router import respond
from .world import World

Json = dict[str, Any]
IDLE_SECONDS = 60
LARGEST_BODY = 1 << 20
METHODS = ("GET", "POST", "PUT", "DELETE")


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
                    _Handler(secure, address, self)

    @contextlib.contextmanager
    def _forgetting(self, connection: socket.socket) -> Iterator[None]:
        try:
            yield
        finally:
            with self._lock:
                self._connections.discard(connection)
            connection.close()


class _Handler(BaseHTTPRequestHandler):
    """One connection. Method names are the base class's."""

    protocol_version = "HTTP/1.1"
    server: PveServer  # type: ignore[assignment]

    def __init__(self, connection: socket.socket, address: Any, server: PveServer) -> None:
        super().__init__(connection, address, server)  # type: ignore[arg-type]

    def log_message(self, format: str, *words: Any) -> None:  # noqa: A002 (the base class's name)
        """Say nothing."""

    def __getattr__(self, name: str) -> Any:
        # The base class looks for do_METHOD; all methods are answered in one place.
        if name.startswith("do_"):
            return self._answer
        raise AttributeError(name)

    def _answer(self) -> None:
        try:
            body = self._body()
            url = urlsplit(self.path)
            path, style = _split(unquote(url.path))
            if self.command not in METHODS:
                self._send(501, f"method '{self.command}' not available")
            elif path is None:
                self._send(501, "no such uri", b"no such uri", "")
            else:
                self._call(
                    path,
                    style,
                    {**_fields(url.query), **body} if self.command != "DELETE" else _fields(url.query),
                    bool(body),
                )
        except ConnectionAbortedError:
            self.close_connection = True

    def _call(self, path: str, style: str, given: Json, has_body: bool) -> None:
        faults = self.server.faults
        late = self._trouble(faults, path, after=False)
        if late:
            return
        try:
            data, extra = self._result(path, given, has_body)
        except Unauthenticated as error:
            time.sleep(self.server.world.auth_delay)
            self._send(error.status, error.message)
        except ApiError as error:
            if not self._trouble(faults, path, after=True):
                self._refuse(error, style)
        else:
            if not self._trouble(faults, path, after=True):
                self._succeed(data, extra, style)

    def _result(self, path: str, given: Json, has_body: bool) -> tuple[Any, Json]:
        headers = {name.lower(): value for name, value in self.headers.items()}
        cluster, node = self.server.cluster, self.server.node
        if has_body and self.command in ("GET", "DELETE"):
            cluster.access.identify(self.command, headers)
            raise _PlainRefusal(f"Unexpected content for method '{self.command}'", 501)
        return respond(cluster, node, self.command, path, headers, given)

    def _trouble(self, faults: Faults, path: str, *, after: bool) -> bool:
        """Do what the faults say; return whether they have answered."""
        slow = faults.take(Slow, self.command, path, after=after)
        if slow:
            faults.hold_up(slow)
        if faults.take(Drops, self.command, path, after=after):
            raise ConnectionAbortedError
        refuses = faults.take(Refuses, self.command, path, after=after)
        if refuses:
            self._send(refuses.status, refuses.reason)
        return bool(refuses)

    def _succeed(self, data: Any, extra: Json, style: str) -> None:
        answer = {"data": data, **extra}
        self._send_json(200, "OK", {**answer, "success": 1} if style == "extjs" else answer)

    def _refuse(self, error: ApiError, style: str) -> None:
        if error.status == 401:
            time.sleep(self.server.world.auth_delay)
        answer: Json = {"data": None}
        if self.server.world.major() >= 9 or style == "extjs":
            answer["message"] = error.message
        if isinstance(error, BadParameters):
            answer["errors"] = error.errors
        reason = error.message.partition("\n")[0]
        if isinstance(error, _PlainRefusal):
            self._send(error.status, reason, error.message.encode(), "")
        elif error.status == 595:
            self._send(error.status, reason)
        elif style == "extjs":
            self._send_json(200, "OK", {**answer, "success": 0, "status": error.status})
        else:
            self._send_json(error.status, reason, answer)

    def _send_json(self, status: int, reason: str, answer: Json) -> None:
        body = json.dumps(answer, separators=(",", ":"), ensure_ascii=False).encode()
        self._send(status, reason, body, "application/json;charset=UTF-8")

    def _send(self, status: int, reason: str, body: bytes = b"", kind: str = "") -> None:
        """Send an answer; after anything but 200 the connection ends, as Proxmox's does."""
        self.close_connection = self.close_connection or status != 200
        printable = "".join(letter if letter.isprintable() else " " for letter in reason)
        headers = ["Cache-Control: max-age=0", "Pragma: no-cache", "Server: pve-api-daemon/3.0"]
        headers.append(f"Connection: {'close' if self.close_connection else 'Keep-Alive'}")
        headers.append(f"Date: {self.date_time_string()}")
        headers.append(f"Content-Length: {len(body)}")
        if kind:
            headers.append(f"Content-Type: {kind}")
        head = "\r\n".join([f"HTTP/1.1 {status} {printable}", *headers, "", ""])
        self.wfile.write(head.encode() + body)

    def _body(self) -> Json:
        length = int(self.headers.get("Content-Length") or 0)
        if length > LARGEST_BODY:
            raise ConnectionAbortedError
        text = self.rfile.read(length).decode()
        if self.headers.get("Content-Type", "").startswith("application/json") and text:
            found = json.loads(text)
            return found if isinstance(found, dict) else {}
        return _fields(text)


class _PlainRefusal(ApiError):
    """A refusal whose body is its message, and no JSON."""


def _split(path: str) -> tuple[str | None, str]:
    """Return the call's path and the style of the answer; None if the path is none of the API's."""
    for style in ("json", "extjs"):
        if path.startswith(f"/api2/{style}/"):
            return path.removeprefix(f"/api2/{style}"), style
    return None, ""


def _fields(text: str) -> Json:
    """Return a form's fields; one that comes several times is a list."""
    found: Json = {}
    for name, value in parse_qsl(text, keep_blank_values=True):
        found[name] = [*_listed(found[name]), value] if name in found else value
    return found


def _listed(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]
