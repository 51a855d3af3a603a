"""Which keymanager names a change concerns: those whose answer may differ afterwards, and no others.

A service asks before its change and after it, and touches the union: what is taken away shows only before,
what is given only after.
"""

from collections.abc import Iterable
from typing import Any

from django.db.models import Q, QuerySet

from accounts.models import User
from keymanager.models import Group, Key
from servers.models import Server, UnixUser


def names_of_groups(groups: QuerySet[Group] | Iterable[Group]) -> set[str]:
    """Where these groups are allowed; for any change of a group or of its members."""
    chosen = Group.objects.filter(pk__in=_ids(groups)).order_by().values("pk")
    on_servers = Group.allowed_servers.through.objects.filter(group__in=chosen)
    on_units = Group.allowed_unix_users.through.objects.filter(group__in=chosen)
    return {
        *on_servers.values_list("server__keymanager_name", flat=True),
        *on_units.values_list("unixuser__server__keymanager_name", flat=True),
    }


def names_of_people(people: QuerySet[User] | Iterable[User]) -> set[str]:
    """Where these people's keys may count: their groups and the servers they own."""
    ids = _ids(people)
    owned = Server.owners.through.objects.filter(user__in=ids)
    return {
        *owned.values_list("server__keymanager_name", flat=True),
        *names_of_groups(Group.objects.filter(member_users__in=ids)),
    }


def names_of_unix_users(units: QuerySet[UnixUser] | Iterable[UnixUser]) -> set[str]:
    """Where the keys of these unix users may count: groups with their server, or with one of their keys."""
    ids = _ids(units)
    return names_of_groups(
        Group.objects.filter(
            Q(member_servers__in=UnixUser.objects.filter(pk__in=ids).values("server_id"))
            | Q(member_keys__in=Key.objects.filter(unix_user__in=ids).values("pk"))
        )
    )


def names_of_key(key: Key) -> set[str]:
    """Where this key counts."""
    if key.person is not None:
        return names_of_people([key.person]) if key.person.is_active else set()
    servers = UnixUser.objects.filter(ssh_keys=key).values("server_id")
    return names_of_groups(Group.objects.filter(Q(member_servers__in=servers) | Q(member_keys__in=[key])))


def names_of_servers(servers: QuerySet[Server] | Iterable[Server]) -> set[str]:
    """The servers' own names; for a change of owners, unix users or of the name itself."""
    return set(Server.objects.filter(pk__in=_ids(servers)).values_list("keymanager_name", flat=True))


def names_of_panel() -> set[str]:
    """Where the panel's own key counts."""
    return names_of_groups(Group.objects.filter(includes_panel=True))


def _ids(rows: QuerySet | Iterable) -> list[Any]:
    if isinstance(rows, QuerySet):
        return list(rows.order_by().values_list("pk", flat=True).distinct())
    return [row.pk for row in rows]
