"""What a host itself uses of its ports, from its own tools' words."""

import re
import shlex
from collections.abc import Iterator
from dataclasses import dataclass
from ipaddress import ip_address

from hosts.host import Host

Use = tuple[str, int, int, str]  # protocol, first port, last port, by whom

SOCKETS = ("ss", "-H", "-l", "-n", "-t", "-u", "-p")
NAT = ("iptables-save", "-t", "nat")
_NAME = re.compile(r'users:\(\("([^"]*)"')


@dataclass(frozen=True)
class Uses:
    """Sockets that listen on the outside, and ports that rules other than ours forward."""

    listening: tuple[Use, ...]
    foreign: tuple[Use, ...]


def read(host: Host, inside: str | None) -> Uses:
    """Ask the host; `inside` is its own address on the internal network. Raises HostError."""
    sockets = host.run(list(SOCKETS), timeout=20).check().text
    rules = host.run(list(NAT), timeout=20).check().text
    return Uses(tuple(sorted(set(_listening(sockets, inside)))), tuple(sorted(set(_foreign(rules)))))


def _listening(text: str, inside: str | None) -> Iterator[Use]:
    for line in text.split("\n"):
        words = line.split()
        if len(words) < 5 or words[0] not in {"tcp", "udp"}:
            continue
        address, _, port = words[4].rpartition(":")
        if _is_port(port) and _is_outside(address, inside):
            name = _NAME.search(line)
            yield words[0], int(port), int(port), name[1][:60] if name else ""


def _is_outside(address: str, inside: str | None) -> bool:
    """Whether packets from outside reach a socket there, by IPv4: ports are forwarded by IPv4 alone."""
    bare = address.strip("[]").partition("%")[0]
    if bare in {"*", "::", "0.0.0.0"}:  # noqa: S104 - compared with, not listened on
        return True
    try:
        found = ip_address(bare)
    except ValueError:
        return False
    return found.version == 4 and not found.is_loopback and bare != inside


def _foreign(text: str) -> Iterator[Use]:
    for line in text.split("\n"):
        if not line.startswith("-A ") or line.startswith("-A GESTION-"):
            continue
        try:
            words = shlex.split(line)
        except ValueError:
            continue
        if _after(words, "-j") not in {"DNAT", "REDIRECT"}:
            continue
        ports = _after(words, "--dport") or _after(words, "--dports")
        for part in ports.split(","):
            first, _, last = part.partition(":")
            if _is_port(first) and _is_port(last or first):
                yield _after(words, "-p"), int(first), int(last or first), words[1][:60]


def _is_port(text: str) -> bool:
    return text.isascii() and text.isdecimal() and len(text) < 6 and int(text) < 65536


def _after(words: list[str], option: str) -> str:
    return words[words.index(option) + 1] if option in words[:-1] else ""
