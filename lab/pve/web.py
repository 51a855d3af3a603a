"""HTTP, down to the reason phrase: one connection's requests, and the answers to them."""

import json
import re
import socket
import time
import traceback
from http.server import BaseHTTPRequestHandler
from typing import Any, Protocol
from urllib.parse import parse_qsl, unquote, urlsplit

from .cluster import Cluster
from .errors import ApiError, BadFormat, BadParameters, Unauthenticated
from .faults import Drops, Faults, Refuses, Slow
from .router import open_to_all, respond

Json = dict[str, Any]
LARGEST_BODY = 1 << 20
STYLES = ("json", "extjs")  # of those that Proxmox has; the others are for browsers
KINDS = ("", "application/x-www-form-urlencoded", "application/json")
METHODS = ("GET", "POST", "PUT", "DELETE")


class Answering(Protocol):
    """For whom the answers are given: a node of a cluster."""

    cluster: Cluster
    node: str


class Handler(BaseHTTPRequestHandler):
    """One connection. Method names are the base class's."""

    protocol_version = "HTTP/1.1"
    server: Answering  # type: ignore[assignment]

    def __init__(self, connection: socket.socket, address: Any, server: Answering) -> None:
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
            body = self._read()
            url = urlsplit(self.path)
            place = unquote(url.path)
            path, style = _split(place)
            if self.command not in METHODS:
                self._send(501, f"method '{self.command}' not available")
            elif words := self._unreadable():
                self._send(501, words, words.encode(), "")
            elif path is None:
                words = "no such uri" if place.startswith("/api2") else f"no such file '{place}'"
                self._send(501, words, words.encode(), "")
            else:
                self._call(path, style, url.query, body)
        except ConnectionAbortedError:
            self.close_connection = True

    def _call(self, path: str, style: str, query: str, body: str) -> None:
        faults = self.server.cluster.faults
        late = self._trouble(faults, path, after=False)
        if late:
            return
        try:
            data, extra = self._result(path, style, query, body)
        except Unauthenticated as error:
            time.sleep(self.server.cluster.world.auth_delay)
            self._send(error.status, error.message)
        except ApiError as error:
            if not self._trouble(faults, path, after=True):
                self._refuse(error, style)
        except Exception:  # noqa: BLE001 (a mistake of ours must reach the client as an answer, and us)
            traceback.print_exc()
            self._refuse(ApiError("the lab's API made a mistake; see its log\n"), style)
        else:
            if not self._trouble(faults, path, after=True):
                self._succeed(data, extra, style)

    def _result(self, path: str, style: str, query: str, body: str) -> tuple[Any, Json]:
        headers = {name.lower(): value for name, value in self.headers.items()}
        cluster, node = self.server.cluster, self.server.node
        kind = re.split(r"\s*[;,]\s*", headers.get("content-type", ""))[0]
        if words := self._objection(path, style, kind, body):
            if not open_to_all(path, headers):
                cluster.access.identify(self.command, headers)
            raise _PlainRefusal(*words)
        given = {**self._parsed(kind, body), **_fields(query)}
        given.pop("_dc", None)  # with which browsers keep answers from being remembered
        return respond(cluster, node, self.command, path, headers=headers, given=given)

    def _objection(self, path: str, style: str, kind: str, body: str) -> tuple[str, int] | None:
        """What is wrong with a request before any call is looked for; who asks is seen first."""
        if body and self.command in {"GET", "DELETE"}:
            return f"Unexpected content for method '{self.command}'", 501
        if body and kind not in KINDS:
            return f"upload 'Content-Type '{self.headers['Content-Type']}' not implemented", 506
        if style not in STYLES:
            return f"no formatter for uri {path}, {style}", 501
        try:
            self._parsed(kind, body)
        except json.JSONDecodeError as error:
            return f"malformed JSON string, at character offset {error.pos}", 501
        return None

    def _parsed(self, kind: str, body: str) -> Json:
        if kind == "application/json" and body:
            found = json.loads(body)
            return found if isinstance(found, dict) else {}
        return _fields(body)

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
            time.sleep(self.server.cluster.world.auth_delay)
        answer: Json = {"data": None}
        if self.server.cluster.world.major() >= 9 or style == "extjs":
            answer["message"] = error.message
        if isinstance(error, (BadParameters, BadFormat)):
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

    def _unreadable(self) -> str:
        """What is wrong with how the body comes."""
        encoding = self.headers.get("Transfer-Encoding")
        if encoding and encoding.lower() != "chunked":
            return f"Unknown transfer encoding '{encoding}'"
        return "chunked transfer encoding not supported" if encoding else ""

    def _read(self) -> str:
        length = int(self.headers.get("Content-Length") or 0)
        if length > LARGEST_BODY:
            raise ConnectionAbortedError
        return self.rfile.read(length).decode()


class _PlainRefusal(ApiError):  # noqa: N818 (see errors.py)
    """A refusal whose body is its message, and no JSON."""


def _split(path: str) -> tuple[str | None, str]:
    """Return the call's path and the style of the answer; no path if it is none of the API's."""
    match = re.fullmatch(r"/api2/+([a-z][a-z0-9]+)(/.*)?", path)
    return (match[2] or "/", match[1]) if match else (None, "")


def _fields(text: str) -> Json:
    """Return a form's fields; one that comes several times is a list."""
    found: Json = {}
    for name, value in parse_qsl(text, keep_blank_values=True):
        found[name] = [*_listed(found[name]), value] if name in found else value
    return found


def _listed(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]
