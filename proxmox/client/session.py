"""Connections to an API: TLS that is verified or pinned, sign-in, and time-outs that always hold."""

import socket
import ssl
from dataclasses import dataclass, field
from typing import Any

import requests
from proxmoxer.backends.https import ProxmoxHTTPApiTokenAuth, ProxmoxHTTPAuthBase, ProxmoxHttpSession
from requests.cookies import cookiejar_from_dict

from hosts.bounds import MIB, tls_context
from hosts.outgoing import BoundedAdapter
from proxmox.client.names import token_parts

ANSWER_BYTES = 3 * MIB  # of one answer: a thousand guests take a quarter of it; read as JSON it grows tenfold
CONNECT_SECONDS = 4.0
READ_SECONDS = 8.0  # of a reading call
WRITE_SECONDS = 30.0  # a change waits up to 10 s for the guest's lock before Proxmox gives up itself


@dataclass(frozen=True)
class Login:
    """A token (`user@realm!name` and its secret) or a user and password."""

    who: str
    secret: str = field(repr=False)

    @property
    def is_token(self) -> bool:
        """Whether it is an API token."""
        return token_parts(self.who) is not None


@dataclass(frozen=True)
class Endpoint:
    """Where an API is, and as whom to speak to it. Without a pinned fingerprint the system's CAs decide."""

    host: str  # the name in the inventory, for sentences
    node: str
    address: str
    login: Login
    port: int = 8006
    fingerprint: str = ""

    @property
    def base_url(self) -> str:
        """The URL that all paths are below."""
        place = f"[{self.address}]" if ":" in self.address else self.address
        return f"https://{place}:{self.port}/api2/json"


class PinnedAdapter(BoundedAdapter):
    """Speaks TLS with what shows the pinned certificate, whatever name it was made for; else by the CAs.

    Knows the sockets that are open, so that another thread can cut them.
    """

    def __init__(self, fingerprint: str = "") -> None:
        self._fingerprint = fingerprint
        self._sockets: list[socket.socket] = []
        context = tls_context()  # the system's CAs, not those that requests brings
        if fingerprint:
            context.check_hostname = False
            context.verify_mode = (
                ssl.CERT_NONE
            )  # its fingerprint is compared instead, before anything is sent
        super().__init__(ANSWER_BYTES, READ_SECONDS, context=context)

    def init_poolmanager(self, connections: int, maxsize: int, block: bool = False, **more: Any) -> None:
        """Give the pool our own rules of TLS."""
        if self._fingerprint:
            more |= {"assert_fingerprint": self._fingerprint, "assert_hostname": False}
        super().init_poolmanager(connections, maxsize, block, **more)

    def build_connection_pool_key_attributes(
        self, request: Any, verify: Any, cert: Any = None
    ) -> tuple[dict[str, Any], dict[str, Any]]:
        """Leave TLS to the context above; `verify` says nothing here."""
        host, _tls = super().build_connection_pool_key_attributes(request, verify, cert)
        return host, {}

    def cert_verify(self, conn: Any, url: str, verify: Any, cert: Any) -> None:
        """Leave TLS to the context above."""

    def note(self, opened: socket.socket) -> None:
        """See BoundedAdapter.note."""
        self._sockets.append(opened)

    def cut(self) -> None:
        """Shut every connection down, also one that a thread waits on."""
        for open_socket in self._sockets:
            try:
                socket.socket.shutdown(open_socket, socket.SHUT_RDWR)
            except OSError:
                continue  # it is closed already


class TicketAuth(ProxmoxHTTPAuthBase):
    """Signs requests with the ticket that a password was given for; proxmoxer's own would not pin."""

    def __init__(self, ticket: str, csrf: str) -> None:
        super().__init__(verify_ssl=True)
        self._ticket, self._csrf = ticket, csrf

    def get_cookies(self) -> Any:
        """The ticket, as Proxmox wants it."""
        return cookiejar_from_dict({"PVEAuthCookie": self._ticket})

    def __call__(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        """Sign a change against forgery from other sites."""
        if request.method != "GET":
            request.headers["CSRFPreventionToken"] = self._csrf
        return request


def new_session(fingerprint: str) -> tuple[ProxmoxHttpSession, PinnedAdapter]:
    """A session that speaks only https, follows no redirect, and takes nothing from the environment."""
    session = ProxmoxHttpSession()
    adapter = PinnedAdapter(fingerprint)
    session.adapters.clear()
    session.mount("https://", adapter)
    session.trust_env = False
    session.max_redirects = 0  # a token is for one server
    session.headers["accept"] = "application/json"
    session.auth = ProxmoxHTTPAuthBase(verify_ssl=True)
    return session, adapter


def token_auth(login: Login) -> ProxmoxHTTPApiTokenAuth:
    """Signs requests with a token. The login must be one."""
    parts = token_parts(login.who)
    if parts is None:
        raise ValueError("This login is no token.")
    return ProxmoxHTTPApiTokenAuth(*parts, login.secret, verify_ssl=True)
