"""The frame around every change of who can log in: transaction, revisions, the guard of the last way in."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from django.db import transaction

from keymanager.lockout import Ways, check_ways, ways_in
from keymanager.revisions import touch
from servers.facts import ServerFacts
from servers.models import Server


@contextmanager
def change_of_access(names: Callable[[], set[str]]) -> Iterator[set[str]]:
    """Change who can log in; `names` says, before and after it, which keymanager names are concerned.

    Gives a set that holds these names afterwards. Raises LockedOut, with nothing changed, when a last way in
    would go and the second word was not given.
    """
    with transaction.atomic():
        concerned = names()
        # Touching first also locks: two changes at once cannot each leave the other's way in as the last.
        touch(concerned)
        had = ways_in(concerned)
        yield concerned
        check_ways(had, ways_in(concerned))
        new = names() - concerned
        touch(new)
        concerned |= new


def check_change_made(names: set[str], undo: Callable[[], object]) -> None:
    """The same guard for a change that another room has just made in this transaction.

    `undo` puts the rows back as they were; that is looked at in a savepoint and dropped again.
    """
    check_ways(_ways_after(undo, names), ways_in(names))


def check_server_changed(
    server: Server, before: ServerFacts, after: ServerFacts, undo: Callable[[], object]
) -> None:
    """The same for a server whose owners or keymanager name another room has just changed."""
    names = {before.keymanager_name, after.keymanager_name}
    had, has = _ways_after(undo, names), ways_in(names)
    own = had.get(before.keymanager_name, Ways()), has.get(after.keymanager_name, Ways())
    check_ways(had, has, (server, *own))


def check_change_coming(names: set[str], change: Callable[[], object]) -> None:
    """The same guard for a change that another room is about to make in this transaction."""
    check_ways(ways_in(names), _ways_after(change, names))


def _ways_after(change: Callable[[], object], names: set[str]) -> dict[str, Ways]:
    with transaction.atomic():
        change()
        found = ways_in(names)
        transaction.set_rollback(True)
    return found
