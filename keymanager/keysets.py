"""Key sets: which keys may log in as which unix user, for many keymanager names at once.

The key set of a unix user is the keys of all members of the groups that are allowed there (on the server,
or on that unix user) and the keys of the server's owners. Keys of people who are not active do not count.
Servers that share a keymanager name share one key set: for each unix user name, the union over those servers
that have it.

Pure queries: nothing here writes, and the number of queries does not grow with the number of names.
"""

import base64
import hashlib
from collections import defaultdict
from collections.abc import Iterable
from functools import cached_property
from typing import NamedTuple

from django.db.models import QuerySet

from keymanager.key_options import Limits, limits_of
from keymanager.models import Group, Key
from servers.models import PanelIdentity, Server, UnixUser


class KeyLine(NamedTuple):
    """One key as it stands in authorized_keys2 (sshd(8), AUTHORIZED_KEYS FILE FORMAT)."""

    fingerprint: str
    options: str
    type: str
    blob: str
    comment: str

    @property
    def text(self) -> str:
        """The line, without its newline."""
        return " ".join(part for part in self[1:] if part)


KeySets = dict[str, dict[str, tuple[KeyLine, ...]]]

_FIELDS = ("fingerprint", "options", "type", "blob", "comment")


def key_sets(names: Iterable[str]) -> KeySets:
    """The key sets of these names: keymanager name → unix user name → lines, by fingerprint, each key once.

    A name that no server has is left out; a server without unix users has an empty mapping. When two owners
    have the same key with different options, one that opens no shell wins, then the one that ends first, then the
    longer options (so any over none), then the first in alphabetical order: a restriction is never lost by somebody
    else's row. The panel's own key has no options where a group has the panel as a member.
    At most eleven queries.
    """
    servers = Server.objects.filter(keymanager_name__in=set(names))
    fleet = _Fleet(servers)
    answers: KeySets = {name: {} for name in set(fleet.name_of.values())}
    sources: dict[tuple[str, str], tuple[set[int], set[int]]] = defaultdict(lambda: (set(), set()))
    for unit, (server, user) in fleet.units.items():
        groups, owners = sources[fleet.name_of[server], user]
        groups |= fleet.groups_of_server[server] | fleet.groups_of_unit[unit]
        owners |= fleet.owners_of[server]

    members = _Members(
        {group for groups, _owners in sources.values() for group in groups},
        {owner for _groups, owners in sources.values() for owner in owners},
    )
    known: dict[tuple[frozenset[int], frozenset[int]], tuple[KeyLine, ...]] = {}
    for (name, user), (groups, owners) in sources.items():
        source = (frozenset(groups), frozenset(owners))
        if source not in known:  # most unix users of a fleet share their groups: one tuple for all of them
            known[source] = members.lines(*source)
        answers[name][user] = known[source]
    return answers


class _Fleet:
    """Who is allowed where, as ids: five queries over the servers in question."""

    def __init__(self, servers: QuerySet[Server]) -> None:
        ids = servers.order_by().values("pk")
        self.name_of = dict(servers.order_by().values_list("pk", "keymanager_name"))
        self.units = {
            unit: (server, name)
            for unit, server, name in UnixUser.objects.filter(server__in=ids)
            .order_by()
            .values_list("pk", "server_id", "name")
        }
        self.groups_of_server: dict[int, set[int]] = defaultdict(set)
        self.groups_of_unit: dict[int, set[int]] = defaultdict(set)
        self.owners_of: dict[int, set[int]] = defaultdict(set)
        on_servers = Group.allowed_servers.through.objects.filter(server__in=ids)
        for server, group in on_servers.values_list("server_id", "group_id"):
            self.groups_of_server[server].add(group)
        on_units = Group.allowed_unix_users.through.objects.filter(unixuser__server__in=ids)
        for unit, group in on_units.values_list("unixuser_id", "group_id"):
            self.groups_of_unit[unit].add(group)
        owners = Server.owners.through.objects.filter(server__in=ids)
        for server, user in owners.values_list("server_id", "user_id"):
            self.owners_of[server].add(user)


class _Members:
    """The keys of groups and of people: at most six queries."""

    def __init__(self, groups: set[int], owners: set[int]) -> None:
        self.of_group: dict[int, set[KeyLine]] = defaultdict(set)
        self.of_person: dict[int, set[KeyLine]] = defaultdict(set)
        members: dict[int, set[int]] = defaultdict(set)
        people = set(owners)
        for group, user in Group.member_users.through.objects.filter(group__in=groups).values_list(
            "group_id", "user_id"
        ):
            members[group].add(user)
            people.add(user)
        keys = Key.objects.order_by()
        for person, *key in keys.filter(person__in=people, person__is_active=True).values_list(
            "person_id", *_FIELDS
        ):
            self.of_person[person].add(KeyLine(*key))
        for group, users in members.items():
            for user in users:
                self.of_group[group] |= self.of_person.get(user, set())
        for path in ("unix_user__server__key_groups", "key_groups"):  # whole servers, single keys
            for group, *key in keys.filter(**{f"{path}__in": groups}).values_list(path, *_FIELDS):
                self.of_group[group].add(KeyLine(*key))
        with_panel = Group.objects.filter(pk__in=groups, includes_panel=True).order_by()
        self.ours: tuple[KeyLine, ...] = ()
        for group in with_panel.values_list("pk", flat=True):
            self.ours = self.panel
            self.of_group[group].update(self.panel)

    @cached_property
    def panel(self) -> tuple[KeyLine, ...]:
        """The panel's own key; nothing before the panel has made one."""
        return tuple(map(panel_line, PanelIdentity.objects.values_list("public_key", flat=True)))

    def lines(self, groups: Iterable[int], owners: Iterable[int]) -> tuple[KeyLine, ...]:
        """The union of these groups' and people's keys, sorted by fingerprint, each key once."""
        found: set[KeyLine] = set()
        for group in groups:
            found |= self.of_group.get(group, set())
        for owner in owners:
            found |= self.of_person.get(owner, set())
        of_key = defaultdict(list)
        for line in found:
            of_key[line.fingerprint].append(line)
        ours = {line.fingerprint: line for line in self.ours if line in found}
        return tuple(ours.get(one) or _narrowest(lines) for one, lines in sorted(of_key.items()))


def panel_line(public_key: str) -> KeyLine:
    """The panel's own public key ("ssh-ed25519 AAAA… comment") as a line."""
    kind, blob, *rest = public_key.split(None, 2)
    digest = base64.b64encode(hashlib.sha256(base64.b64decode(blob)).digest()).decode().rstrip("=")
    return KeyLine(f"SHA256:{digest}", "", kind, blob, rest[0].strip() if rest else "gestion")


def _narrowest(lines: list[KeyLine]) -> KeyLine:
    """Of one key the most restricted line. Nearly every key has one line, whose options need not be read."""
    return min(lines, key=order) if len(lines) > 1 else lines[0]


def order(line: KeyLine | Key) -> tuple[bool, float, int, str, str]:
    """Of the same key, the most restricted line first."""
    limits = limits_of(line.options) if line.options else Limits()
    ends = limits.ends_at.timestamp() if limits.ends_at else float("inf")
    return limits.opens_shell, ends, -len(line.options), line.options, line.comment
