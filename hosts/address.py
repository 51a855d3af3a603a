"""Where a server is reached by SSH, in the words a person types: "root@host" or "-p 222 root@host"."""

import ipaddress
import re
from dataclasses import dataclass

_USER = re.compile(r"[A-Za-z_][A-Za-z0-9_.-]{0,31}", re.ASCII)
_LABEL = re.compile(r"(?!-)[A-Za-z0-9_-]{1,63}(?<!-)", re.ASCII)
_TEXT = re.compile(r"(?:-p\s*(?P<port>[0-9]+)\s+)?(?:(?P<user>[^@\s]+)@)?(?P<host>[^@\s]+)", re.ASCII)


class BadConnection(ValueError):  # noqa: N818 - a sentence for the form, named in the rooms' contract
    """The connection string cannot be read; str() says what is wrong with it."""


@dataclass(frozen=True)
class Address:
    """One sshd: a host name, IPv4 or IPv6 address (without brackets), a unix user and a TCP port."""

    host: str
    user: str = "root"
    port: int = 22

    @property
    def text(self) -> str:
        """The connection string; `parse_connection` gives this address back from it."""
        name = f"{self.user}@{self.host}"
        return name if self.port == 22 else f"-p {self.port} {name}"

    def __str__(self) -> str:
        return self.text


def parse_connection(text: str) -> Address:
    """Read "root@h", "-p 222 root@h", "root@2001:db8::1" or "-p 222 root@[2001:db8::1]"; raises BadConnection.

    The syntax is that of the connection string field of the earlier panel: what a person would type after `ssh`.
    """
    match = _TEXT.fullmatch(text.strip(" "))
    if match is None:
        raise BadConnection('Write it as "root@host" or "-p 222 root@host".')
    port = int(match["port"] or 22)
    if not 1 <= port <= 65535:
        raise BadConnection("The port must be between 1 and 65535.")
    user = match["user"] or "root"
    if not _USER.fullmatch(user):
        raise BadConnection("The user before the @ is not a unix user name.")
    return Address(_host(match["host"]), user, port)


def _host(text: str) -> str:
    bare = text[1:-1] if text.startswith("[") and text.endswith("]") else text
    try:
        return str(ipaddress.ip_address(bare))
    except ValueError:
        if bare != text or ":" in text:
            raise BadConnection("The part after the @ is not an IPv6 address.") from None
    labels = text.removesuffix(".").split(".")
    if len(text) > 253 or not all(_LABEL.fullmatch(label) for label in labels):
        raise BadConnection("The part after the @ is not a host name or an IP address.")
    if labels[-1].isdigit():
        raise BadConnection("The part after the @ is not an IPv4 address.")
    return text
