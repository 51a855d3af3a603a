"""Which guest is which server: by an admin's word, else by internal address, else by name. Pure.

What is not certain is told and never guessed: two guests with one address, or two that could be one name's.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from proxmox.models.seen import Matched
from servers.validators import host_name_of


@dataclass(frozen=True)
class GuestFacts:
    """What of a guest tells who it is. `by_hand`: the server an admin said; `apart`: he said that it is none.

    `was`: the server that it was by an address that is not known now: by DHCP, and it is off or does not say.
    """

    vmid: int
    name: str
    addresses: tuple[str, ...] = ()
    by_hand: int | None = None
    apart: bool = False
    was: int | None = None


@dataclass(frozen=True)
class ServerNames:
    """A server of the inventory on the same host."""

    pk: int
    name: str
    internal_ip: str | None = None


@dataclass(frozen=True)
class Match:
    """The outcome for one guest."""

    server: int | None = None
    how: Matched = Matched.NOT
    candidates: tuple[int, ...] = field(default=())


def match(guests: Iterable[GuestFacts], servers: Iterable[ServerNames]) -> dict[int, Match]:
    """The match of every guest of one host, by vmid. No server is given to two guests."""
    all_guests = list(guests)
    free = {server.pk: server for server in servers}
    found: dict[int, Match] = {}
    for guest in all_guests:
        if guest.apart:
            found[guest.vmid] = Match(how=Matched.APART)
        elif guest.by_hand in free:
            found[guest.vmid] = Match(guest.by_hand, Matched.HAND)
            del free[guest.by_hand]
    by_address = {server.pk: {server.internal_ip} for server in free.values() if server.internal_ip}
    _settle(found, free, by_address, _of(all_guests, found, addresses=True), Matched.ADDRESS)
    for guest in all_guests:
        if guest.vmid not in found and guest.was in free and free[guest.was].internal_ip:
            found[guest.vmid] = Match(guest.was, Matched.ADDRESS)
            del free[guest.was]
    by_name = {server.pk: names_of(server.name) for server in free.values()}
    _settle(found, free, by_name, _of(all_guests, found, addresses=False), Matched.NAME)
    return {guest.vmid: found.get(guest.vmid, Match()) for guest in all_guests}


def names_of(name: str) -> set[str]:
    """The names under which a server may be known on its host: its own, its first part, and both as host names."""
    known = {name.lower(), name.lower().partition(".")[0]}
    return known | {host_name_of(one) for one in known}


def _of(guests: Iterable[GuestFacts], found: Mapping[int, Match], *, addresses: bool) -> dict[int, set[str]]:
    """What the guests that are still without an outcome are known by."""
    open_ = [guest for guest in guests if guest.vmid not in found]
    return {
        guest.vmid: set(guest.addresses) if addresses else ({guest.name.lower()} if guest.name else set())
        for guest in open_
    }


def _settle(
    found: dict[int, Match],
    free: dict[int, ServerNames],
    servers: Mapping[int, set[str]],
    guests: Mapping[int, set[str]],
    how: Matched,
) -> None:
    """Pair those that fit only each other; who fits several, or shares a server with another, is ambiguous."""
    fitting: dict[int, set[int]] = defaultdict(set)
    wanted: dict[int, set[int]] = defaultdict(set)
    by_word: dict[str, set[int]] = defaultdict(set)
    for pk, words in servers.items():
        for word in words:
            by_word[word].add(pk)
    for vmid, words in guests.items():
        for pk in set().union(*(by_word.get(word, set()) for word in words)):
            fitting[vmid].add(pk)
            wanted[pk].add(vmid)
    for vmid, pks in fitting.items():
        if len(pks) == 1 and len(wanted[next(iter(pks))]) == 1:
            found[vmid] = Match(next(iter(pks)), how)
        else:
            found[vmid] = Match(None, Matched.AMBIGUOUS, tuple(sorted(pks)))
    for pk in wanted:
        free.pop(pk, None)
