"""HTTP servers that do not play by the rules: answers without end, drips, answers that grow, and ways elsewhere."""

import gzip
import re
import socket
import ssl
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from tests.hosts.hostile import FLOOD, listening

Answer = Callable[[socket.socket], None]
OK = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n"


def endless(piece: bytes, head: bytes = OK + b"\r\n") -> Answer:
    """Sends the head, and then the piece again and again."""

    def answer(connection: socket.socket) -> None:
        connection.sendall(head)
        while True:
            connection.sendall(piece)

    return answer


def dripping(head: bytes, piece: bytes = b"x") -> Answer:
    """Sends the head, and then the piece twenty times a second: never silent for long."""

    def answer(connection: socket.socket) -> None:
        connection.sendall(head)
        while True:
            connection.sendall(piece)
            time.sleep(0.05)

    return answer


def plainly(body: bytes, *headers: bytes, status: bytes = b"200 OK") -> Answer:
    """Sends one well-formed answer."""

    def answer(connection: socket.socket) -> None:
        lines = [b"HTTP/1.1 " + status, b"Content-Length: %d" % len(body), b"Connection: close", *headers]
        connection.sendall(b"\r\n".join(lines) + b"\r\n\r\n" + body)

    return answer


CHUNKED = OK + b"Transfer-Encoding: chunked\r\n\r\n"
TOO_MUCH: dict[str, Answer] = {
    "body": endless(FLOOD),
    "json": endless(b'{"a": [1, 2, 3]}, ' * 1000, OK + b'\r\n{"data": ['),
    "long body": endless(FLOOD, OK + b"Content-Length: 99999999999\r\n\r\n"),
    "chunks": endless(b"8000\r\n" + FLOOD + b"\r\n", CHUNKED),
    "trailer": endless(b"X: " + b"y" * 32000 + b"\r\n", CHUNKED + b"1\r\nx\r\n0\r\n"),
    "interim answers": endless(b"HTTP/1.1 100 Continue\r\n\r\n" * 1000, b""),
}
TOO_SLOW: dict[str, Answer] = {
    "body": dripping(OK + b"\r\n"),
    "headers": dripping(OK + b"X: "),
    "status": dripping(b"HTTP/1.1 200 "),
    "chunks": dripping(CHUNKED, b"1\r\nx\r\n"),
    "interim answers": dripping(b"", b"HTTP/1.1 100 Continue\r\n\r\n"),
}
ENDLESS_LINES: dict[str, Answer] = {
    "line of a chunk": endless(b"0" * 32768, CHUNKED),
    "chunk's extension": endless(FLOOD, CHUNKED + b"5;"),
    "status": endless(FLOOD, b"HTTP/1.1 200 "),
    "header": endless(FLOOD, OK + b"X: "),
    "headers": endless(b"X: " + b"y" * 1000 + b"\r\n", OK),
}
_SPACES = gzip.compress(b" " * 1_000_000) * 300  # several members are one file (RFC 1952, section 2.2)
BOMB = plainly(gzip.compress(b"[") + _SPACES + gzip.compress(b"]"), b"Content-Encoding: gzip")
DEEP = plainly(b'{"data": ' + b"[" * 500_000 + b"]" * 500_000 + b"}")


def _read_request(connection: socket.socket) -> None:
    asked = b""
    while b"\r\n\r\n" not in asked:
        asked += connection.recv(65536)
    head, _, body = asked.partition(b"\r\n\r\n")
    length = re.search(rb"(?i)content-length: ([0-9]+)", head)
    while length and len(body) < int(length[1]):
        body += connection.recv(65536)


@contextmanager
def answering(answer: Answer, context: ssl.SSLContext | None = None) -> Iterator[int]:
    """A server on loopback that gives this answer to every request; its port."""

    def serve(connection: socket.socket) -> None:
        with context.wrap_socket(connection, server_side=True) if context else connection as speaking:
            _read_request(speaking)
            answer(speaking)

    with listening(serve) as port:
        yield port
