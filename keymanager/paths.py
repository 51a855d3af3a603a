"""Who can log in where, and why: from the holder of a key, over a group or as owner, to the unix user."""

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, replace

from django.db.models import Prefetch, QuerySet

from accounts.models import User
from keymanager.keysets import KeyLine, order, panel_line
from keymanager.models import Group, Key
from keymanager.touched import names_of_people
from servers.models import PanelIdentity, Server, UnixUser


@dataclass(frozen=True)
class Path:
    """One reason why a holder's keys are in the key set of a server's unix user."""

    server: Server
    unix_user: str
    holder: User | UnixUser | None  # None: the panel itself
    keys: tuple[Key | KeyLine, ...]
    group: Group | None  # None: as an owner
    by: Server | UnixUser  # what the group is allowed on, or what the person owns
    single: bool = False  # a single server key is the member, not its whole server

    @property
    def shared(self) -> bool:
        """Whether the reason lies at another server with the same keymanager name."""
        return (self.by.server_id if isinstance(self.by, UnixUser) else self.by.pk) != self.server.pk

    @property
    def whole_server(self) -> bool:
        """Whether the group is allowed on the whole server."""
        return isinstance(self.by, Server)

    @property
    def holder_is_person(self) -> bool:
        """Whether the holder is a person."""
        return isinstance(self.holder, User)

    def as_json(self) -> dict[str, object]:
        """What a program gets."""
        return {
            "server": self.server.name,
            "unix_user": self.unix_user,
            "holder": str(self.holder) if self.holder else "gestion",
            "holder_kind": _kind_of(self.holder),
            "keys": [key.fingerprint for key in self.keys],
            "limits": {
                key.fingerprint: key.limited for key in self.keys if isinstance(key, Key) and key.limited
            },
            "group": self.group.name if self.group else None,
            "by": str(self.by),
        }


Reason = tuple[Group | None, Server | UnixUser]


def why(server: Server, unix_user: str | None = None) -> list[Path]:
    """Each reason for each key in the key sets of a server, or of one of its unix users.

    Holders without a key are left out. The number of queries does not grow with the fleet.
    """
    reasons = _reasons(Server.objects.filter(keymanager_name=server.keymanager_name))
    # Also those that only others of this name have on their lists: the server gets their keys, too.
    wanted = sorted(user for _name, user in reasons if unix_user in (None, user))
    asked = {group.pk for user in wanted for group, _by in reasons[server.keymanager_name, user] if group}
    members = _members(asked)
    found: list[Path] = []
    for user in wanted:
        for group, by in reasons[server.keymanager_name, user]:
            if group is not None:
                found += [
                    Path(server, user, holder, keys, group, by, one)
                    for holder, keys, one in members[group.pk]
                ]
            elif isinstance(by, Server):
                for owner in by.owners.all():
                    if owner.is_active and owner.ssh_keys.all():
                        found.append(Path(server, user, owner, tuple(owner.ssh_keys.all()), None, by))
    return _as_sent(found)


def _as_sent(paths: list[Path]) -> list[Path]:
    """With each key as the server gets it: unix users may share one with different options (see keysets.key_sets)."""
    rows: dict[tuple[str, str], list[Key | KeyLine]] = defaultdict(list)
    for path in paths:
        for key in path.keys:
            rows[path.unix_user, key.fingerprint].append(key)
    # The panel's own key has no options where a group has the panel as a member.
    sent = {
        at: min(keys, key=lambda key: (isinstance(key, Key), order(key))) if len(keys) > 1 else keys[0]
        for at, keys in rows.items()
    }
    return [
        replace(path, keys=tuple(sent[path.unix_user, key.fingerprint] for key in path.keys))
        for path in paths
    ]


def servers_open_to(user: User) -> QuerySet[Server]:
    """The servers where this person's keys count, or would count if she had one."""
    names = names_of_people([user]) if user.is_active else set()
    return Server.objects.filter(keymanager_name__in=names)


def where(user: User, servers: QuerySet[Server] | Iterable[Server] | None = None) -> list[Path]:
    """Where a person can log in and why: everywhere, or on these servers. Constant number of queries.

    A person without keys gets the paths with no keys on them: where she could, once she adds one.
    """
    if not user.is_active:
        return []
    asked = list(servers_open_to(user).order_by("name") if servers is None else servers)
    mine = set(user.key_groups.values_list("pk", flat=True))
    keys = tuple(user.ssh_keys.all())
    reasons = _reasons(
        Server.objects.filter(keymanager_name__in={server.keymanager_name for server in asked})
    )
    units = defaultdict(list)
    for keymanager_name, unix_user in sorted(reasons):
        units[keymanager_name].append(unix_user)
    found: list[Path] = []
    for server in asked:
        for name in units[server.keymanager_name]:
            for group, by in reasons[server.keymanager_name, name]:
                if group.pk in mine if group else user in _owners(by):
                    found.append(Path(server, name, user, keys, group, by))
    return found


def _reasons(servers: QuerySet[Server]) -> dict[tuple[str, str], list[Reason]]:
    """(keymanager name, unix user) → the groups allowed and the servers whose owners are: seven queries."""
    people = User.objects.filter(is_active=True).prefetch_related("ssh_keys")
    groups = Group.objects.only("name", "includes_panel")
    rows = servers.order_by("name").prefetch_related(
        Prefetch("owners", people), Prefetch("allowed_groups", groups), "unix_users__allowed_groups"
    )
    found: dict[tuple[str, str], list[Reason]] = defaultdict(list)
    for server in rows:
        for unit in server.unix_users.all():
            unit.server = server
            place = found[server.keymanager_name, unit.name]
            place += [(group, server) for group in server.allowed_groups.all()]
            place += [(group, unit) for group in unit.allowed_groups.all()]
            if server.owners.all():
                place.append((None, server))
    return found


def _members(
    groups: set[int],
) -> dict[int, list[tuple[User | UnixUser | None, tuple[Key | KeyLine, ...], bool]]]:
    """The holders of keys of each group, with their keys; whether a single key is the member."""
    units = UnixUser.objects.select_related("server").prefetch_related("ssh_keys")
    rows = Group.objects.filter(pk__in=groups).prefetch_related(
        Prefetch("member_users", User.objects.filter(is_active=True).prefetch_related("ssh_keys")),
        Prefetch("member_servers__unix_users", units),
        Prefetch("member_keys", Key.objects.select_related("unix_user__server")),
    )
    panel = tuple(map(panel_line, PanelIdentity.objects.values_list("public_key", flat=True)))
    found: dict[int, list] = {}
    for group in rows:
        holders: list = [(user, tuple(user.ssh_keys.all()), False) for user in group.member_users.all()]
        for server in group.member_servers.all():
            holders += [(unit, tuple(unit.ssh_keys.all()), False) for unit in server.unix_users.all()]
        holders += [(key.unix_user, (key,), True) for key in group.member_keys.all()]
        if group.includes_panel:
            holders.append((None, panel, False))
        found[group.pk] = [holder for holder in holders if holder[1]]
    return found


def _owners(by: Server | UnixUser) -> Iterable[User]:
    return by.owners.all() if isinstance(by, Server) else ()


def _kind_of(holder: User | UnixUser | None) -> str:
    if holder is None:
        return "panel"
    return "person" if isinstance(holder, User) else "server"
