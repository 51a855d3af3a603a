"""What a host itself uses of its ports, from its own tools' words."""

import re
import shlex
from collections.abc import Iterator
from dataclasses import dataclass
from ipaddress import ip_address, ip_network
from itertools import pairwise

from forwarding.models.ports import LAST_PORT
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


@dataclass(frozen=True)
class Outside:
    """Where a host's packets from outside come in: its card and address there; `inside` is its own among its guests."""

    card: str = ""
    address: str | None = None
    inside: str | None = None


def read(host: Host, outside: Outside) -> Uses:
    """Ask the host. Raises HostError."""
    sockets = host.run(list(SOCKETS), timeout=20).check().text
    rules = host.run(list(NAT), timeout=20).check().text
    return Uses(
        tuple(sorted(set(_listening(sockets, outside.inside)))), tuple(sorted(set(_foreign(rules, outside))))
    )


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


def _foreign(text: str, outside: Outside) -> Iterator[Use]:
    for line in text.split("\n"):
        if not line.startswith("-A ") or line.startswith("-A GESTION-"):
            continue
        try:
            words = shlex.split(line)
        except ValueError:
            continue
        if _after(words, "-j") not in {"DNAT", "REDIRECT"} or not _is_met(words, outside):
            continue
        named = _after(words, "-p")
        for protocol in [named] if named else ["tcp", "udp"]:
            yield from ((protocol, first, last, words[1][:60]) for first, last in _ports(words))


def _is_met(words: list[str], outside: Outside) -> bool:
    """Whether packets from outside to the host's address meet the rule, as far as its card and addresses say."""
    card = _after(words, "-i")
    if card and outside.card:
        same = outside.card.startswith(card[:-1]) if card.endswith("+") else outside.card == card
        if same == _is_negated(words, "-i"):
            return False
    if outside.address and _is_within(outside.address, _after(words, "-d"), True) == _is_negated(words, "-d"):
        return False
    return _is_negated(words, "-s") or not _is_within(
        outside.inside, _after(words, "-s"), False
    )  # guests' own


def _is_within(address: str | None, network: str, otherwise: bool) -> bool:
    try:
        return ip_address(address or "") in ip_network(network)
    except ValueError:
        return otherwise


def _ports(words: list[str]) -> Iterator[tuple[int, int]]:
    """The ports that a rule takes; all where it names none, and all others where it says which not."""
    option = "--dports" if "--dports" in words else "--dport"
    found = []
    for part in _after(words, option).split(","):
        one, _, other = part.partition(":")
        if _is_port(one) and _is_port(other or one):
            found.append((int(one), int(other or one)))
    if not found and option in words:
        return
    if found and not _is_negated(words, option):
        yield from found
    elif found or _takes_all(words):
        begin = 1
        for first, last in [*sorted(found), (LAST_PORT + 1, LAST_PORT + 1)]:
            if begin < first:
                yield begin, first - 1
            begin = max(begin, last + 1)


def _takes_all(words: list[str]) -> bool:
    """Whether nothing but card, addresses and protocol decides; in other chains what leads there does."""
    modules = {word for option, word in pairwise(words) if option == "-m"}
    known = _after(words, "-p") in {"", "tcp", "udp"} and modules <= {"tcp", "udp", "addrtype", "comment"}
    return words[1] == "PREROUTING" and known and "-s" not in words


def _is_negated(words: list[str], option: str) -> bool:
    return option in words and words[words.index(option) - 1] == "!"


def _is_port(text: str) -> bool:
    return text.isascii() and text.isdecimal() and len(text) < 6 and int(text) < 65536


def _after(words: list[str], option: str) -> str:
    return words[words.index(option) + 1] if option in words[:-1] else ""
