"""Where a server is reached by SSH, in the words a person types: "root@host" or "-p 222 root@host"."""

import ipaddress
import re
from dataclasses import dataclass

_USER = re.compile(r"[A-Za-z_][A-Za-z0-9_.-]{0,31}", re.ASCII)
_LABEL = re.compile(r"(?!-)[A-Za-z0-9_-]{1,63}(?<!-)", re.ASCII)
_NUMBER = re.compile(r"[0-9]+|0[xX][0-9A-Fa-f]*", re.ASCII)
# As people write it elsewhere: ssh's own command or URL, the port behind, a path.
_ELSEWHERE = re.compile(
    r"(?:ssh\s+|(?:ssh|sftp|scp|rsync)://)?(?:-p\s*(?P<port>[0-9]{1,5})\s+)?(?:(?P<user>[^@:/\s]+)@)?"
    r"(?P<host>[^@:/\[\]\s]+|\[[0-9A-Fa-f:.]+\])(?:(?::|\s+-p\s*)(?P<behind>[0-9]{1,5}))?(?::?/(?!/)\S*)?",
    re.ASCII,
)
_OF_IPV6 = frozenset("0123456789abcdefABCDEF:.")
_TEXT = re.compile(r"(?:-p\s*(?P<port>[0-9]{1,9})\s+)?(?:(?P<user>[^@\s]+)@)?(?P<host>[^@\s]+)", re.ASCII)


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

    @property
    def jump(self) -> str:
        """As ssh(1) reads it after -J: an IPv6 address in brackets, since a port follows."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{self.user}@{host}:{self.port}"

    def __str__(self) -> str:
        return self.text


def parse_connection(text: str) -> Address:
    """Read "root@h", "-p 222 root@h", "root@2001:db8::1" or "-p 222 root@[2001:db8::1]"; raises BadConnection.

    The syntax is that of the connection string field of the earlier panel: what a person would type after `ssh`.
    What is taken, every reader takes: getaddrinfo(3), ssh_config(5), known_hosts of sshd(8), rsync's host:path.
    """
    text = text.strip(" ")
    try:
        return _read(text)
    except BadConnection:
        if meant := _meant(text):
            raise BadConnection(meant) from None
        raise


def _meant(text: str) -> str:
    """What to write in the place of this; empty where that would be taken no more than it is."""
    found = _ELSEWHERE.fullmatch(text)
    if found is None:
        return ""
    port, name = found["port"] or found["behind"], f"{found['user'] or 'root'}@{found['host']}"
    try:
        _read(right := f"-p {port} {name}" if port else name)
    except BadConnection:
        return ""
    return f'A port stands before: write "{right}".' if found["behind"] else f'Write it as "{right}".'


def _read(text: str) -> Address:
    match = _TEXT.fullmatch(text)
    if match is None:
        raise BadConnection('Write it as "root@host" or "-p 222 root@host".')
    port = int((match["port"] or "22")[:6])
    if not 1 <= port <= 65535:
        raise BadConnection("The port must be between 1 and 65535.")
    user = match["user"] or "root"
    if not _USER.fullmatch(user):
        raise BadConnection("The user before the @ is not a unix user name.")
    return Address(_host(match["host"]), user, port)


def ends_in_number(name: str) -> bool:
    """Whether a name's last part is a number: getaddrinfo reads 0x7f000001 and 127.1 as IPv4 (inet_aton(3))."""
    return _NUMBER.fullmatch(name.removesuffix(".").rpartition(".")[2]) is not None


def _host(text: str) -> str:
    bare = text[1:-1] if text.startswith("[") and text.endswith("]") else text
    try:
        address = ipaddress.ip_address(bare)
    except ValueError:
        if bare != text or (":" in text and set(text) <= _OF_IPV6):
            raise BadConnection("The part after the @ is not an IPv6 address.") from None
    else:
        return _of_any_machine(address)
    if len(text) > 253 or not all(_LABEL.fullmatch(label) for label in text.removesuffix(".").split(".")):
        raise BadConnection("The part after the @ is not a host name or an IP address.")
    if ends_in_number(text):
        raise BadConnection("The part after the @ is not an IPv4 address.")
    return text


def _of_any_machine(address: ipaddress.IPv4Address | ipaddress.IPv6Address) -> str:
    """The address in its shortest form; one that says which interface to leave by is refused (RFC 4007, section 6).

    The panel and a backup server read the same string, and each would take its own interface of that name.
    """
    if isinstance(address, ipaddress.IPv6Address) and (address.scope_id is not None or address.is_link_local):
        raise BadConnection(
            "This address holds on one network cable alone (fe80…, or with % and an interface). "
            "Enter one that is the same from everywhere."
        )
    return str(address)
