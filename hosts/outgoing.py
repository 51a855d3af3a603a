"""HTTP to others, by requests: every answer has a bound on bytes and on its time in all, headers included.

A peer is never believed about encodings: none is asked for, and one that comes is refused, so that a short answer
cannot become a long one here.
"""

import socket
import ssl
from collections.abc import Callable
from typing import Any

import requests
import urllib3
from requests.adapters import HTTPAdapter
from urllib3.connection import HTTPConnection, HTTPSConnection

from hosts.bounds import MIB, Allowance, CountingSocket, tls_context

ANSWER_BYTES = 8 * MIB  # of one answer, its head included
ANSWER_SECONDS = 60.0  # for one answer in all, where the caller says nothing else
Connect = Callable[[str, int, float | None], socket.socket]  # host, port, seconds → a TCP connection


class BoundedAdapter(HTTPAdapter):
    """Speaks http and https within an allowance that is renewed for each request. One thread at a time uses it.

    `connect` opens the TCP connections, for who wants to choose the address; what it raises as an OSError reaches the
    caller as a ConnectionError of requests, and is itself in `refused`. `context` is made by bounds.tls_context.
    """

    def __init__(
        self,
        size: int = ANSWER_BYTES,
        seconds: float = ANSWER_SECONDS,
        connect: Connect | None = None,
        context: ssl.SSLContext | None = None,
    ) -> None:
        self.size, self.seconds = size, seconds
        self.allowance = Allowance()
        self.refused: OSError | None = None
        self._connect = connect
        self._context = context or tls_context()
        super().__init__(max_retries=0)

    def init_poolmanager(self, connections: int, maxsize: int, block: bool = False, **more: Any) -> None:
        """Give the pool connections that count."""
        super().init_poolmanager(connections, maxsize, block, **{"ssl_context": self._context, **more})
        self.poolmanager.pool_classes_by_scheme = _pools(self)

    def proxy_manager_for(self, proxy: str, **more: Any) -> urllib3.PoolManager:
        """The same by way of a proxy."""
        manager: urllib3.PoolManager = super().proxy_manager_for(
            proxy, **{"ssl_context": self._context, **more}
        )
        manager.pool_classes_by_scheme = _pools(self)
        return manager

    def send(self, request: requests.PreparedRequest, *args: Any, **options: Any) -> requests.Response:
        """See HTTPAdapter.send. Raises RequestException; `allowance.broken` says if a bound was the reason."""
        request.headers["Accept-Encoding"] = "identity"
        self.allowance.broken = None
        self.allowance.renew(self.size, self.seconds)
        answer = super().send(request, *args, **options)
        answer.encoding = "utf-8"  # to guess it takes long, and the peer's word for it is not asked
        if answer.headers.get("Content-Encoding", "identity").strip().lower() != "identity":
            answer.close()
            raise requests.exceptions.ContentDecodingError("an encoded answer, which nobody asked for")
        if not _can_be_read(answer.headers.get("Location", "")):
            answer.close()  # requests would read it, and fail with an error that is none of its own
            raise requests.exceptions.InvalidHeader("an answer that leads to what is no address")
        return answer

    def note(self, opened: socket.socket) -> None:
        """Hear of a connection that was made."""

    def opened(self, connection: HTTPConnection) -> socket.socket:
        """Open a connection's socket; it counts from its first byte."""
        if self._connect is None:
            plain = HTTPConnection._new_conn(connection)
        else:
            plain = self._connected(connection, self._connect)
        return CountingSocket.of(plain, self.allowance)

    def _connected(self, connection: HTTPConnection, connect: Connect) -> socket.socket:
        timeout = connection.timeout if isinstance(connection.timeout, int | float) else None
        try:
            return connect(connection.host, connection.port or connection.default_port, timeout)
        except OSError as error:
            self.refused = error
            if isinstance(error, TimeoutError):
                raise urllib3.exceptions.ConnectTimeoutError(connection, str(error)) from error
            raise urllib3.exceptions.NewConnectionError(connection, str(error)) from error


def _can_be_read(location: str) -> bool:
    try:
        location.encode("latin-1").decode()
    except UnicodeError:
        return False
    return True


def _pools(adapter: BoundedAdapter) -> dict[str, type[urllib3.HTTPConnectionPool]]:
    class Plain(HTTPConnection):
        def _new_conn(self) -> socket.socket:
            return adapter.opened(self)

    class Secure(HTTPSConnection):
        def _new_conn(self) -> socket.socket:
            return adapter.opened(self)

        def connect(self) -> None:
            super().connect()
            self.sock.allowance = adapter.allowance  # type: ignore[union-attr]  # see tls_context
            adapter.note(self.sock)

    class PlainPool(urllib3.HTTPConnectionPool):
        ConnectionCls = Plain

    class SecurePool(urllib3.HTTPSConnectionPool):
        ConnectionCls = Secure

    return {"http": PlainPool, "https": SecurePool}


def new_session(adapter: BoundedAdapter) -> requests.Session:
    """A session that follows no redirect, and takes nothing from the environment: no proxy, no passwords."""
    session = requests.Session()
    bind(session, adapter)
    session.trust_env = False
    return session


def bind(session: requests.Session, adapter: BoundedAdapter) -> None:
    """Let a session speak by this adapter alone, and follow no redirect."""
    session.mount("http://", adapter)
    session.mount("https://", adapter)
    session.max_redirects = 0
