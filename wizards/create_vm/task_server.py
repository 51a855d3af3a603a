"""The server's row of the inventory, and the groups it belongs to."""

from collections.abc import Iterable, Mapping
from typing import Any

from django.db import transaction
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from keymanager.fetching import forget_machine
from keymanager.models import FetchToken, Group
from keymanager.services.groups import add_to_group, remove_from_group
from pages.second_word import second_word
from proxmox.services.create import why_not
from servers.claims import claimed
from servers.models import Server
from servers.services import (
    add_unix_user,
    change_server,
    create_server,
    delete_server,
    remove_unix_user,
)
from wizards.create_vm.asking_machine import host_of
from wizards.create_vm.common import server_if_there, server_of, with_it
from wizards.create_vm.following import and_what_follows
from wizards.create_vm.hanging import goes_with, key_of, rows_on
from wizards.create_vm.task_login import wanted_connections
from wizards.declare import Data, Later, Refused, TaskRun

PUT_BACK = ("internal_ip", "ssh_connection", "backup_ssh_connection")


def says(data: Data) -> str:
    """The line of the plan."""
    words = {"name": data["name"], "host": host_of(data)}
    if Server.objects.filter(name=data["name"]).exists():
        return _("%(name)s, a guest of %(host)s, is in the inventory already") % words
    added = _("Add %(name)s to the inventory, as a guest of %(host)s") % words
    if data["make_container"] or not data.get("address"):
        return added
    return and_what_follows(added, data, internal_ip=data["address"])


def do(task: TaskRun) -> Later | None:
    """Add it, or note how the row was that is there."""
    if "server" in task.facts:
        return None
    data = task.data
    with second_word(), transaction.atomic():  # what begins by it, the plan has said
        found = Server.objects.filter(name=data["name"]).first()
        if found is None:
            server = _add(task)
            task.save(server=server.pk, made=True, fetched=False)
        elif problem := why_not(host_of(data), found):
            raise Refused(problem)
        else:
            before = {name: getattr(found, name) for name in PUT_BACK}
            hung = [key_of(held) for held in rows_on(found)]
            fetched = FetchToken.objects.filter(server=found).exists()
            facts = {"before": before, "hung": hung, "fetched": fetched, **_complete(task, found)}
            task.save(server=found.pk, made=False, **facts)
    return None


def _add(task: TaskRun) -> Server:
    data = task.data
    server = Server(name=data["name"], is_vm=True, vm_host=host_of(data))
    if not data["make_container"]:  # a container gets its address, and with it its way in, when it is made
        server.internal_ip = data.get("address") or None
    owners = [task.actor.user] if data.get("own") and task.actor.user else []
    return create_server(task.actor, server, unix_users=data["unix_users"], owners=owners)


def _complete(task: TaskRun, server: Server) -> dict[str, Any]:
    """Give a server that was there the owner and the unix users that are wanted; says what was added."""
    new_users = [
        add_unix_user(task.actor, server, name).pk
        for name in task.data["unix_users"]
        if not server.unix_users.filter(name=name).exists()
    ]
    user = task.actor.user
    owner = bool(task.data.get("own") and user and not server.owners.filter(pk=user.pk).exists())
    if user and owner:
        change_server(task.actor, server, version=server.version, owners=[*server.owners.all(), user])
    return {"new_users": new_users, "new_owner": user.pk if user and owner else None}


def undo_says(data: Data, results: Mapping[str, Data]) -> str:
    """What an undo does."""
    facts = results.get("server", {})
    if "server" not in facts:
        return _("Nothing was entered into the inventory")
    server = Server.objects.filter(pk=facts["server"]).first()
    if server is None:
        return _("It is deleted from the inventory already; another server of its name stays")
    if facts.get("made"):
        words = _("Delete %s from the inventory") % data["name"]
        if not data.get("make_container"):  # it may have a machine by now, made by hand
            words += " " + _("(nothing happens on a machine of it: what was rolled out there stays)")
        return with_it(words, goes_with(server, results))
    return _("Put %s in the inventory back as it was: it was there before") % data["name"]


def undo(task: TaskRun) -> Later | None:
    """Delete it with all that hangs on it; one that was there before is put back as it was."""
    server = server_if_there(task)
    if server is None:
        return None
    if claimed(server):
        return Later(seconds=1, why=_("A rollout is still running on it."))
    goes = _goes(task)
    with second_word(lambda _question: goes), transaction.atomic():
        if task.facts.get("made"):
            delete_server(task.actor, server, server.name)
        else:
            _put_back(task, server)
    return None


def _goes(task: TaskRun) -> bool:
    """Whether the machine goes with this undo, so that its own last way in may go, too."""
    facts = task.facts if "made" in task.facts else task.results.get("server", {})
    return bool(facts.get("made") or task.data.get("make_container"))


def _put_back(task: TaskRun, server: Server) -> None:
    for unix_user in server.unix_users.filter(pk__in=task.facts.get("new_users", ())):
        remove_unix_user(task.actor, unix_user)
    by_hand = False  # whether somebody may have made another machine since, which is none of ours
    if task.data.get("make_container"):
        by_hand = not task.results.get("container", {}).get("destroyed")
        if task.facts.get("fetched") is False and not by_hand:
            forget_machine(task.actor, server)  # the script has set that up, also where the run ended in it
    wrote = {"internal_ip": task.data.get("address"), **wanted_connections(task.data)}
    for name, value in task.facts.get("before", {}).items():
        if not by_hand or getattr(server, name) == wrote.get(name):
            setattr(server, name, value)
    owners = server.owners.exclude(pk=task.facts.get("new_owner") or 0)
    change_server(task.actor, server, version=server.version, owners=owners)


def _rows(pks: list[int]) -> list[Group]:
    return list(Group.objects.filter(pk__in=pks).order_by("name"))


def _names(groups: Iterable[Group]) -> str:
    return ", ".join(group.name for group in groups) or _("(none)")


def says_member(data: Data) -> str:
    """The line of the plan."""
    names = _names(_rows(data["groups"]))
    return ngettext("A member of the group %s", "A member of the groups %s", len(data["groups"])) % names


def says_allowed(data: Data) -> str:
    """The line of the plan."""
    names = _names(_rows(data["groups_allowed"]))
    count = len(data["groups_allowed"])
    return ngettext("The group %s is allowed on it", "The groups %s are allowed on it", count) % names


def do_member(task: TaskRun) -> Later | None:
    """Make it a member of each group that it is not in yet."""
    _add_to(task, "groups", "member_servers")
    return None


def do_allowed(task: TaskRun) -> Later | None:
    """Allow each group on it that is not allowed yet."""
    _add_to(task, "groups_allowed", "allowed_servers")
    return None


def _add_to(task: TaskRun, field: str, part: str) -> None:
    server = server_of(task)
    for group in _rows(task.data[field]):
        if getattr(group, part).filter(pk=server.pk).exists():
            continue
        with transaction.atomic():
            add_to_group(task.actor, group, part, [server])
            task.save(added=[*task.facts.get("added", []), group.pk])


def undo_says_member(data: Data, results: Mapping[str, Data]) -> str:
    """What an undo does."""
    added = _names(_rows(results.get("groups", {}).get("added", [])))
    return _("It is a member no more of the groups that this wizard put it into: %s") % added


def undo_says_allowed(data: Data, results: Mapping[str, Data]) -> str:
    """What an undo does."""
    added = _names(_rows(results.get("groups_allowed", {}).get("added", [])))
    return _("The groups are allowed on it no more that this wizard allowed: %s") % added


def undo_member(task: TaskRun) -> Later | None:
    """Take it out of the groups that this wizard put it into."""
    _take_from(task, "member_servers")
    return None


def undo_allowed(task: TaskRun) -> Later | None:
    """Allow the groups on it no more that this wizard allowed."""
    _take_from(task, "allowed_servers")
    return None


def _take_from(task: TaskRun, part: str) -> None:
    server = server_if_there(task)
    if server is None:
        return
    goes = _goes(task)
    for group in _rows(task.facts.get("added", [])):
        with second_word(lambda _question: goes):
            remove_from_group(task.actor, group, part, server)
