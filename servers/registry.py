"""What the domain rooms add to a server: kinds of rollout, a panel on its page, what they hold of it.

A room registers one `ServerPart` in its `apps.py`. `servers` knows no room by name.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from django.http import HttpRequest
from django.utils.translation import gettext as _

import pages.registry
from hosts.address import BadConnection, parse_connection
from hosts.host import Host
from hosts.state import State
from pages.registry import Panel
from servers.folders import overlap

__all__ = ["Held", "Panel", "RolloutKind", "ServerPart", "register", "unregister"]

MOST_NAMED = 200  # rows of one kind, one by one
MOST_SAID = 10  # in one sentence

if TYPE_CHECKING:
    from django.db.models import Model, QuerySet

    from accounts.actors import Actor
    from hosts.engine import Plan
    from servers.facts import ServerFacts
    from servers.models import Server, UnixUser


@dataclass(frozen=True)
class RolloutKind:
    """One kind of thing that a server should hold, such as "nat".

    `desired` reads the rows and says what the server should hold now; None means: nothing of this kind any
    more, and the files of this kind are removed. A kind that must activate something when it goes away gives
    a State without items but with `activate` instead. `name` must be the State's kind. Kinds of one server
    are rolled out by `order`. `needs_admin`: an owner who is no admin may not roll it out by hand.
    `afterwards(server, host)` is called after each rollout that ended well; what it returns is added to what the
    rollout says. `does(server)` says in a few words each what the server does because of this kind, as the rows now
    are ("masquerading of 10.0.0.0/24"): before something is saved, people read what of it begins and what ends.
    `looked(server, words)` is called after each look at a State with `looks`: what the first that
    failed said, "" where all is as it should be.
    """

    name: str
    title: Any  # a lazy translation
    desired: "Callable[[Server], State | None]"
    order: int = 50
    needs_admin: bool = False
    afterwards: "Callable[[Server, Host], str] | None" = None
    does: "Callable[[Server], Iterable[str]] | None" = None
    looked: "Callable[[Server, str], None] | None" = None


@dataclass(frozen=True)
class Held(pages.registry.Held):
    """Something that hangs on a server or unix user and goes with it; `blocks`: it must go first.

    `row` is what it is, where somebody has made it: a backup, a hostname, a port, a share, another server.
    `on_disk`: it is data of others that lies on the server's own disks.
    """

    blocks: bool = False
    row: "Model | None" = None
    on_disk: bool = False

    @property
    def label(self) -> str:
        """The kind of its row, as "backups.Backup"; empty where it has none."""
        return self.row._meta.label if self.row else ""


def each(
    rows: "QuerySet[Any]", text: str, url: str, *, blocks: bool = False, on_disk: bool = False
) -> Iterable[Held]:
    """Each of these rows by name, put into `text` at %s; `url` lists them all, for those beyond MOST_NAMED."""
    for row in rows[:MOST_NAMED]:
        yield Held(text % row, row.get_absolute_url(), blocks, row, on_disk)
    if (more := rows.count() - MOST_NAMED) > 0:
        yield Held(_("and %d more") % more, url, blocks, on_disk=on_disk)


def sentence(held: Sequence[pages.registry.Held]) -> str:
    """What must be changed first, for who asked for something that it stands in the way of."""
    return _("First change this: %s.") % some([str(one.text) for one in held])


def some(texts: Sequence[str]) -> str:
    """The first of these texts in one, and how many more there are."""
    shown = list(texts[:MOST_SAID])
    if len(texts) > MOST_SAID:
        shown.append(_("and %d more") % (len(texts) - MOST_SAID))
    return "; ".join(shown)


@dataclass(frozen=True)
class ServerPart:
    """All that one room adds to a server.

    `changed(actor, server, before, after)` is called in the transaction of every change. `before` is None
    when the server was created; `after` is None when it is about to be deleted (its rows are still there).
    Changed unix users, owners and tags count as changes. `host_keys_changed(actor, server)` likewise: an admin
    accepted one of its host keys, or trusts one no longer. `unix_user_going(unix_user)` likewise, before one is taken
    off the list. `folders(server)`: the folders on it that this room has to itself, so that no other room takes them.
    """

    name: str
    kinds: tuple[RolloutKind, ...] = ()
    panel: "Callable[[HttpRequest, Server], Panel | None] | None" = None
    holds: "Callable[[Server], Iterable[Held]] | None" = None
    unix_user_holds: "Callable[[UnixUser], Iterable[Held]] | None" = None
    unix_user_going: "Callable[[UnixUser], None] | None" = None
    folders: "Callable[[Server], Iterable[tuple[str, Held]]] | None" = None
    changed: "Callable[[Actor, Server, ServerFacts | None, ServerFacts | None], None] | None" = None
    host_keys_changed: "Callable[[Actor, Server], None] | None" = None


_parts: dict[str, ServerPart] = {}


def register(part: ServerPart) -> None:
    """Add a room's part; called once from its `apps.py`. Registering the same name again replaces it."""
    _parts[part.name] = part


def unregister(name: str) -> None:
    """Take a part away again; for tests that bring a part of their own."""
    _parts.pop(name, None)


def parts() -> list[ServerPart]:
    """All registered parts, in the order of registration."""
    return list(_parts.values())


def kinds() -> dict[str, RolloutKind]:
    """Every kind of rollout by its name, in the order in which they are rolled out."""
    found = [kind for part in parts() for kind in part.kinds]
    return {kind.name: kind for kind in sorted(found, key=lambda kind: kind.order)}


def needs_admin(kind: str) -> bool:
    """Whether only admins roll out this kind by hand and read its files; also one that no room registers any more."""
    found = kinds().get(kind)
    return found is None or found.needs_admin


def kind_title(name: str) -> str:
    """A kind's title, or its name when no room brings it any more."""
    kind = kinds().get(name)
    return str(kind.title) if kind else name


def tell_looked(server: "Server", plan: "Plan") -> None:
    """Tell the kind of this plan what the looks of its State have said."""
    kind = kinds().get(plan.state.kind)
    if kind and kind.looked and plan.state.looks:
        kind.looked(server, plan.inactive)


def panels(request: HttpRequest, server: "Server") -> list[Panel]:
    """What the rooms show on this server's page, in order."""
    found = [part.panel(request, server) for part in parts() if part.panel]
    return sorted((panel for panel in found if panel), key=lambda panel: panel.order)


def held_by(server: "Server") -> list[Held]:
    """What of other rooms hangs on this server."""
    return [held for part in parts() if part.holds for held in part.holds(server)]


def in_folder(server: "Server", folder: str, *, but: str) -> list[Held]:
    """What of other rooms than `but` has a folder of this server that is this one, lies in it, or has it in itself."""
    found = [one for part in parts() if part.folders and part.name != but for one in part.folders(server)]
    return [held for theirs, held in found if overlap(folder, theirs)]


def held_by_unix_user(unix_user: "UnixUser") -> list[Held]:
    """What hangs on this unix user: of other rooms, and Gestion's own way to its server."""
    own = []
    if unix_user.name != "root" and logs_in_as(unix_user.server.ssh_connection, unix_user.name):
        own = [Held(_("Gestion logs in as it"), unix_user.server.get_absolute_url(), blocks=True)]
    return own + [
        held for part in parts() if part.unix_user_holds for held in part.unix_user_holds(unix_user)
    ]


def logs_in_as(connection: str, name: str) -> bool:
    """Whether a connection string is one of this unix user; none is, where it cannot be read."""
    try:
        return parse_connection(connection).user == name
    except BadConnection:
        return False


def tell_unix_user_going(unix_user: "UnixUser") -> None:
    """Tell every room that this unix user is about to be taken off the list, in that transaction."""
    for part in parts():
        if part.unix_user_going:
            part.unix_user_going(unix_user)


def tell_changed(
    actor: "Actor", server: "Server", before: "ServerFacts | None", after: "ServerFacts | None"
) -> None:
    """Tell every room of a change, in the change's transaction."""
    for part in parts():
        if part.changed:
            part.changed(actor, server, before, after)


def tell_host_keys_changed(actor: "Actor", server: "Server") -> None:
    """Tell every room that the accepted host keys of this server changed, in the change's transaction."""
    for part in parts():
        if part.host_keys_changed:
            part.host_keys_changed(actor, server)
