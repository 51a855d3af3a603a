"""The three groups that every fleet starts with, each made by one click."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from django.db import transaction
from django.utils.translation import gettext_lazy as _

from accounts.actors import Actor
from accounts.models import User
from keymanager.models import Group
from keymanager.services.groups import add_to_group, create_group
from servers.models import Server

BACKUP_TAG = "backup"


@dataclass(frozen=True)
class Recommended:
    """A group to start with: its name, what it is for, in words that it keeps, and how it is filled."""

    key: str
    name: str
    icon: str
    what: Any
    fill: Callable[[Actor, Group], None]
    includes_panel: bool = False


def _fill_gestion(actor: Actor, group: Group) -> None:
    add_to_group(actor, group, "member_servers", Server.objects.filter(tags__name=BACKUP_TAG))
    add_to_group(actor, group, "allowed_servers", Server.objects.all())


def _fill_users(actor: Actor, group: Group) -> None:
    add_to_group(actor, group, "member_users", User.objects.all())


def _fill_servers(actor: Actor, group: Group) -> None:
    add_to_group(actor, group, "member_servers", Server.objects.all())


RECOMMENDED = {
    group.key: group
    for group in (
        Recommended(
            "gestion",
            "Gestion",
            "shield-check",
            _(
                "What Gestion and the backups log in with. It begins with the panel's own key and the servers with the "
                "tag “backup”, allowed on every server; what comes later is added by hand, or by the wizard "
                "“New server”."
            ),
            _fill_gestion,
            includes_panel=True,
        ),
        Recommended(
            "users",
            "Users",
            "users",
            _(
                "It begins with all people of this panel; who comes later is added by hand. You then say on which "
                "servers they are allowed."
            ),
            _fill_users,
        ),
        Recommended(
            "servers",
            "Servers",
            "server-2",
            _(
                "It begins with all your servers, with all their keys; one that comes later is added by hand, or by "
                "the wizard “New server”. You then say where they may log in."
            ),
            _fill_servers,
        ),
    )
}


def missing_recommended() -> list[Recommended]:
    """Those that there is no group for yet, by name."""
    have = {name.lower() for name in Group.objects.values_list("name", flat=True)}
    return [group for group in RECOMMENDED.values() if group.name.lower() not in have]


@transaction.atomic
def make_recommended_group(actor: Actor, key: str) -> Group:
    """Make and fill one of them. Raises KeyError for an unknown one, ValueError when it is there."""
    wanted = RECOMMENDED[key]
    if wanted not in missing_recommended():
        raise ValueError(wanted.name)
    group = create_group(
        actor, name=wanted.name, description=str(wanted.what)[:255], includes_panel=wanted.includes_panel
    )
    wanted.fill(actor, group)
    return group
