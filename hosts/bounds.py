"""What a peer may send us and how long it may take: every bound of this room, and the sockets that keep them.

A peer is a host, an API, a receiver of web hooks. It may be hostile, and send without end or one byte a minute. So
the bytes are counted where they come in, below every protocol: banners, packets, headers and trailers count as well.
"""

import errno
import socket
import ssl
import threading
import time
from typing import Any

KIB, MIB = 1024, 1024 * 1024
ANSWER_BYTES = 16 * MIB  # what a command on a host may print, output and errors together
LAST_BYTES = 64 * KIB  # kept of each stream that was handed on as it came
WIRE_BYTES = 2 * ANSWER_BYTES  # on the wire for such an answer: packets, padding, keys made anew
QUIET_BYTES = 4 * MIB  # while nothing is asked: twice the window of a channel that was closed in the middle
LOGIN_BYTES = 256 * KIB  # until we are logged in: version, keys, the host's own words
PACKET_BYTES = 256 * KIB  # of one SSH packet, as OpenSSH's PACKET_MAX_SIZE
WORDS = 8000  # characters kept of what a host says about an error
CONTENT_BYTES = 100_000  # of a file that a host sends to be compared; its script sends no longer one
DIFFER_LINES = 4000  # of a file that is compared line by line; the time for that grows by their square
ENTRIES = 10_000  # things that a host may list in one answer


class Exceeded(OSError):  # noqa: N818 - as the errors of this room are named
    """A peer went beyond what it was allowed; no TimeoutError, which paramiko takes for "try again"."""

    def __init__(self, words: str) -> None:
        super().__init__(errno.EPROTO, words)  # paramiko wants both of any OSError

    def __str__(self) -> str:
        return str(self.strerror)


class TooMuch(Exceeded):
    """It sent too many bytes."""


class TooSlow(Exceeded):
    """It took too long in all."""


class Allowance:
    """The bytes that a peer may still send, and until when. Used by several threads; None is no bound.

    `broken` is how it went beyond that, if it did; nothing is taken from the peer from then on.
    """

    def __init__(self, size: int | None = None, seconds: float | None = None) -> None:
        self._lock = threading.Lock()
        self.broken: Exceeded | None = None
        self.renew(size, seconds)

    def renew(self, size: int | None, seconds: float | None) -> None:
        """Allow `size` bytes from now on, within so many seconds."""
        with self._lock:
            self._size = self._left = size
            self._seconds = seconds
            self._until = None if seconds is None else time.monotonic() + seconds

    def check(self) -> None:
        """Raise Exceeded if the time is over, or was exceeded before."""
        if self.broken is None and self._until is not None and time.monotonic() > self._until:
            self.broken = TooSlow(f"it was not done within {self._seconds:g} seconds")
        if self.broken is not None:
            raise self.broken

    def took(self, count: int) -> None:
        """Note that so many bytes came. Raises TooMuch."""
        with self._lock:
            if self._left is None:
                return
            self._left -= count
            if self._left < 0:
                self.broken = TooMuch(f"it sent more than {shown(self._size or 0)}")
                raise self.broken


def last_words(said: bytes | str) -> str:
    """The end of what a peer said, as text to be shown or kept."""
    text = said if isinstance(said, str) else said.decode(errors="replace")
    return text.strip()[-WORDS:]


def shown(size: int) -> str:
    """A size in binary units: "16 MiB"."""
    return f"{size // MIB} MiB" if size >= MIB else f"{size // KIB} KiB"


class _Counting:
    """Beside a socket's class: what comes in counts against `allowance`, which may be changed at any time."""

    allowance: Allowance | None = None

    def recv(self, *words: Any) -> bytes:
        """See socket.recv. Raises Exceeded."""
        if self.allowance is not None:
            self.allowance.check()
        data: bytes = super().recv(*words)  # type: ignore[misc]
        if self.allowance is not None:
            self.allowance.took(len(data))
        return data

    def recv_into(self, *words: Any) -> int:
        """See socket.recv_into. Raises Exceeded."""
        if self.allowance is not None:
            self.allowance.check()
        count: int = super().recv_into(*words)  # type: ignore[misc]
        if self.allowance is not None:
            self.allowance.took(count)
        return count

    def send(self, *words: Any) -> int:
        """See socket.send. Raises Exceeded, so that a peer that does not read ends as well."""
        if self.allowance is not None:
            self.allowance.check()
        return int(super().send(*words))  # type: ignore[misc]


class CountingSocket(_Counting, socket.socket):
    """A TCP socket that keeps an allowance."""

    @classmethod
    def of(cls, plain: socket.socket, allowance: Allowance) -> "CountingSocket":
        """Take a connected socket over; the given one is of no use from then on."""
        timeout = plain.gettimeout()
        made = cls(plain.family, plain.type, plain.proto, fileno=plain.detach())
        made.settimeout(timeout)
        made.allowance = allowance
        return made


class CountingTls(_Counting, ssl.SSLSocket):
    """The same under TLS: decrypted bytes count."""

    @classmethod
    def over(cls, raw: CountingSocket, name: str, context: ssl.SSLContext) -> "CountingTls":
        """TLS over a socket, whose allowance it keeps from now on; `context` is made by tls_context."""
        made = context.wrap_socket(raw, server_hostname=name)
        assert isinstance(made, cls)  # noqa: S101  # tls_context says so
        made.allowance = raw.allowance
        return made


def tls_context(*, system: bool = True) -> ssl.SSLContext:
    """TLS that trusts the system's CAs (or none yet), and whose sockets can keep an allowance."""
    context = ssl.create_default_context() if system else ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.sslsocket_class = CountingTls
    return context
