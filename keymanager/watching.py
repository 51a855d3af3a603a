"""What follows for keys when other rooms change people and servers; called in their transactions."""

from collections.abc import Iterable

from django.urls import reverse
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from accounts.actors import Actor
from accounts.models import User
from accounts.registry import PersonFacts
from keymanager import departures
from keymanager.changes import check_change_coming, check_change_made, check_server_changed
from keymanager.lockout import LockedOut, Ways, check_ways, ways_in
from keymanager.models import DepartureHost, Key
from keymanager.revisions import touch
from keymanager.touched import names_of_people, names_of_unix_users
from keymanager.words import concerned, not_fetching, stays
from pages.registry import Held
from pages.second_word import second_word
from servers.facts import ServerFacts
from servers.models import Server, UnixUser
from servers.registry import Held as ServerHeld


def person_changed(user: User, before: PersonFacts | None) -> None:
    """Somebody was made inactive or active, an admin or not: her keys count, or guard, differently."""
    if before is None or (before.is_active, before.is_admin) == (user.is_active, user.is_admin):
        return
    if user.is_active:
        departures.came_back(user)
    if not user.ssh_keys.exists():
        return
    names = names_of_people([user])
    # Also for an admin no more: it locks, so that no other change takes the other last way in meanwhile.
    touch(names)
    row = User.objects.filter(pk=user.pk)
    check_change_made(names, lambda: row.update(is_active=before.is_active, is_admin=before.is_admin))


def person_going(user: User) -> None:
    """Somebody is about to be deleted, and her keys with her. Raises LockedOut."""
    if not user.is_active or not user.ssh_keys.exists():
        return
    names = names_of_people([user])
    touch(names)
    check_change_coming(names, lambda: user.ssh_keys.all().delete())


def person_counts(user: User, reader: User) -> str:
    """Where this person's keys count while the account is active; empty without keys."""
    count = user.ssh_keys.count()
    if not count:
        return ""
    keys = ngettext("It has %d SSH key:", "It has %d SSH keys:", count) % count
    return f"{keys} {concerned(names_of_people([user]), reader)}"


def person_holds(user: User) -> Iterable[Held]:
    """What goes with a person."""
    count = user.ssh_keys.count()
    if count:
        servers = Server.objects.filter(keymanager_name__in=names_of_people([user]))
        where = servers.count()
        words = _keys_said(count, where, active=user.is_active)
        yield Held(f"{words}. {stays(not_fetching(servers), where)}".removesuffix(". "))
    for group in user.key_groups.all():
        yield Held(_("Membership of the group %s") % group, group.get_absolute_url())
    hosts = DepartureHost.objects.filter(departure__person=user)
    rows = hosts.select_related("departure", "server__fetch_report")
    if waiting := departures.gone_since(rows).count(None):
        text = ngettext(
            "The list of %d server that has not confirmed that the keys are gone",
            "The list of %d servers that have not confirmed that the keys are gone",
            waiting,
        )
        yield Held(text % waiting, reverse("accounts:offboard", args=[user.pk]))


def _keys_said(count: int, where: int, *, active: bool) -> str:
    words = ngettext("%d SSH key, and the logins it allows", "%d SSH keys, and the logins they allow", count)
    if not active:
        words = ngettext("%d SSH key, which counts no more", "%d SSH keys, which count no more", count)
    on = ngettext("on %d server", "on %d servers", where) % where
    return f"{words % count} ({on})"


def server_changed(
    actor: Actor, server: Server, before: ServerFacts | None, after: ServerFacts | None
) -> None:
    """A server was made or changed, or is about to go: its own key set, and where its keys count."""
    if after is None:
        _server_going(server)
    elif before is None:
        touch({after.keymanager_name})
    elif _access_of(before) != _access_of(after):
        names = {before.keymanager_name, after.keymanager_name}
        touch(names)

        def undo() -> None:
            server.owners.set(User.objects.filter(pk__in=before.owner_ids))
            Server.objects.filter(pk=server.pk).update(keymanager_name=before.keymanager_name)

        check_server_changed(server, before, after, undo)


def _access_of(facts: ServerFacts) -> tuple[object, ...]:
    return facts.keymanager_name, facts.owner_ids, facts.unix_users


def _server_going(server: Server) -> None:
    """With it go its keys, and what it brings to the servers that share its keymanager name."""
    touch({server.keymanager_name})
    names = _names_without(server)
    touch(names)
    _check_without(server, names)


def _names_without(server: Server) -> set[str]:
    """The keymanager names of other servers that hold its keys, or share its name."""
    names = names_of_unix_users(server.unix_users.all())
    if Server.objects.filter(keymanager_name=server.keymanager_name).exclude(pk=server.pk).exists():
        names.add(server.keymanager_name)
    else:
        names.discard(server.keymanager_name)
    return names


def _check_without(server: Server, names: set[str]) -> None:
    gone = server.unix_users.values_list("pk", flat=True)
    check_ways(ways_in(names), ways_in(names, gone))


def lost_without(server: Server) -> list[str]:
    """What the guard of the last way in says of other servers, should this one go with its keys. Writes nothing."""
    try:
        with second_word(lambda _question: False):
            _check_without(server, _names_without(server))
    except LockedOut as error:
        return error.sentences
    return []


def unix_user_going(unix_user: UnixUser) -> None:
    """A unix user is about to be taken off the list: its server then takes away what was fetched for it."""
    if unix_user.name != "root":
        return
    server, name = unix_user.server, unix_user.server.keymanager_name
    touch({name})
    had = ways_in({name})
    check_ways(had, ways_in({name}, [unix_user.pk]), (server, had.get(name, Ways()), Ways()))


def server_holds(server: Server) -> Iterable[ServerHeld]:
    """What goes with a server."""
    count = Key.objects.filter(unix_user__server=server).count()
    if count:
        yield ServerHeld(
            ngettext("%d SSH key of its unix users", "%d SSH keys of its unix users", count) % count
        )
    yield from groups_of(server)
    yield from _departures(server)


def groups_of(server: Server) -> Iterable[ServerHeld]:
    """The groups that a server is in, and those that are allowed on it."""
    for group in server.key_groups.all():
        yield ServerHeld(_("Membership of the group %s") % group, group.get_absolute_url())
    for group in server.allowed_groups.all():
        yield ServerHeld(_("The group %s is allowed on it") % group, group.get_absolute_url())


def _departures(server: Server) -> Iterable[ServerHeld]:
    """Who has left, and may get in there still: without the server, all looks gone."""
    rows = DepartureHost.objects.filter(server=server)
    hosts = list(rows.select_related("departure__person", "server__fetch_report"))
    for host, gone_at in zip(hosts, departures.gone_since(hosts), strict=True):
        if gone_at is None:
            person = host.departure.person
            words = _("It has not confirmed that the keys of %s are gone: who left is followed there no more")
            yield ServerHeld(words % person, reverse("accounts:offboard", args=[person.pk]))


def unix_user_holds(unix_user: UnixUser) -> Iterable[ServerHeld]:
    """What goes with a unix user; its keys are to be deleted first, because they may open other servers."""
    for key in unix_user.ssh_keys.all():
        yield ServerHeld(_("The SSH key %s") % key, "", blocks=True)
    for group in unix_user.allowed_groups.all():
        yield ServerHeld(_("The group %s is allowed on it") % group, group.get_absolute_url())
