"""Groups: who is a member, and where that lets them in."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

from django.db.models import Model, QuerySet
from django.utils.translation import gettext_lazy as _

from accounts import audit
from accounts.actors import Actor
from accounts.models import User
from keymanager.changes import change_of_access
from keymanager.models import Group, Key
from keymanager.touched import names_of_groups
from servers.identity import panel_identity
from servers.models import Server, UnixUser


@dataclass(frozen=True)
class Part:
    """One of a group's five lists, and the rows that can be in it."""

    name: str
    label: Any
    rows: Callable[[], QuerySet[Any]]
    search: tuple[str, ...]
    allowed: bool  # where the group is allowed; otherwise its members


PARTS = {
    part.name: part
    for part in (
        Part("member_users", _("People"), User.objects.all, ("username", "full_name"), False),
        Part("member_servers", _("Servers (all their keys)"), Server.objects.all, ("name",), False),
        Part(
            "member_keys",
            _("Single server keys"),
            lambda: Key.objects.filter(unix_user__isnull=False).select_related("unix_user__server"),
            ("comment", "fingerprint", "unix_user__name", "unix_user__server__name"),
            False,
        ),
        Part("allowed_servers", _("Servers (every unix user)"), Server.objects.all, ("name",), True),
        Part(
            "allowed_unix_users",
            _("Single unix users"),
            lambda: UnixUser.objects.select_related("server").order_by("server__name", "name"),
            ("name", "server__name"),
            True,
        ),
    )
}


def create_group(actor: Actor, **fields: Any) -> Group:
    """A group without members, allowed nowhere."""
    with change_of_access(set):
        group = Group.objects.create(**fields)
        audit.record(actor, "group.create", group, after=_facts(group))
        _need_identity(group)
    return group


def change_group(actor: Actor, group: Group, **fields: Any) -> set[str]:
    """Change name, description, or whether the panel's own key is a member. Raises LockedOut."""
    before = _facts(Group.objects.get(pk=group.pk))
    moves_keys = fields.get("includes_panel", before["includes_panel"]) != before["includes_panel"]
    with change_of_access(lambda: names_of_groups([group]) if moves_keys else set()) as names:
        for name, value in fields.items():
            setattr(group, name, value)
        group.save(update_fields=list(fields))
        _need_identity(group)
        audit.record_change(actor, "group.change", group, before, _facts(group))
    return names


def delete_group(actor: Actor, group: Group) -> set[str]:
    """Delete a group; returns the keymanager names whose servers lose its members' keys. Raises LockedOut."""
    concerned = names_of_groups([group])
    with change_of_access(lambda: set(concerned)) as names:
        before = _facts(group) | {name: _named(getattr(group, name).all()) for name in PARTS}
        audit.record(actor, "group.delete", group, before=before)
        group.delete()
    return names


def add_to_group(actor: Actor, group: Group, part: str, rows: Iterable[Model]) -> set[str]:
    """Put rows into one of the group's lists; returns the keymanager names concerned."""
    have = getattr(group, part)
    new = [row for row in rows if not have.filter(pk=row.pk).exists()]
    if not new:
        return set()
    with change_of_access(lambda: _names(group, part, new)) as names:
        have.add(*new)
        audit.record(actor, _verb("add", part), group, after={part: _named(new)})
    return names


def remove_from_group(actor: Actor, group: Group, part: str, row: Model) -> set[str]:
    """Take a row out of one of the group's lists; returns the names concerned. Raises LockedOut."""
    have = getattr(group, part)
    if not have.filter(pk=row.pk).exists():
        return set()
    concerned = _names(group, part, [row])
    with change_of_access(lambda: set(concerned)) as names:
        have.remove(row)
        audit.record(actor, _verb("remove", part), group, before={part: _named([row])})
    return names


def _names(group: Group, part: str, rows: list[Any]) -> set[str]:
    """A new member concerns every place where the group is allowed; a new place only itself."""
    if part == "allowed_servers":
        return {server.keymanager_name for server in rows}
    if part == "allowed_unix_users":
        return {unit.server.keymanager_name for unit in rows}
    return names_of_groups([group])


def _verb(word: str, part: str) -> str:
    if PARTS[part].allowed:
        return "group.allow" if word == "add" else "group.disallow"
    return f"group.{word}_member"


def _need_identity(group: Group) -> None:
    if group.includes_panel:
        panel_identity()  # made on first use; a member that does not exist yet would open no door


def _named(rows: Iterable[Model]) -> list[str]:
    return [str(row) for row in rows]


def _facts(group: Group) -> dict[str, Any]:
    return {
        "name": group.name,
        "description": group.description,
        "includes_panel": group.includes_panel,
    }
