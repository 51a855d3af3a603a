"""How rooms above hear of changes to people and show their part on a person's page.

A room registers one `PersonPart` in its `apps.py`; accounts knows no room by name.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

from django.http import HttpRequest

from accounts.actors import Actor
from accounts.models import User
from pages.registry import Held, Panel


@dataclass(frozen=True)
class PersonFacts:
    """What others build on of a person, as it was before a change."""

    username: str
    full_name: str
    is_admin: bool
    is_active: bool

    @classmethod
    def of(cls, user: User) -> "PersonFacts":
        """As it is now."""
        return cls(user.username, user.full_name, user.is_admin, user.is_active)


@dataclass(frozen=True)
class Left:
    """What a room knows of somebody who is leaving: its part of that page, what a program gets, what is open."""

    panel: Panel
    data: dict[str, Any]
    open: int  # things that are not confirmed to be gone yet


@dataclass(frozen=True)
class PersonPart:
    """One room's interest in people. All callables run inside the transaction that makes the change."""

    name: str
    # After a change; `before` is None for somebody new.
    changed: Callable[[User, PersonFacts | None], Any] | None = None
    # Before the row, and what hangs on it, goes.
    removing: Callable[[User], Any] | None = None
    # What goes with the person, for the delete page.
    holds: Callable[[User], Iterable[Held]] | None = None
    # What of the first person counts while the account is active, in a sentence for the second, who may switch it.
    counts: Callable[[User, User], str] | None = None
    # This room's panel on the person's page and on the own profile (`request.user == user`).
    panel: Callable[[HttpRequest, User], Panel | None] | None = None
    # Before all access of a person is taken away; what it returns is called after that.
    leaving: Callable[[Actor, User], Callable[[], Any] | None] | None = None
    # How far that is, for the page about it; before it was done, what it will do.
    left: Callable[[HttpRequest, User], Left | None] | None = None


_parts: dict[str, PersonPart] = {}


def register_watcher(part: PersonPart) -> None:
    """Add a room's part; called once from its `apps.py`."""
    _parts[part.name] = part


def tell_changed(user: User, before: PersonFacts | None) -> None:
    """Tell every room that `user` was made or changed."""
    for part in _parts.values():
        if part.changed:
            part.changed(user, before)


def tell_removing(user: User) -> None:
    """Tell every room that `user` is about to go."""
    for part in _parts.values():
        if part.removing:
            part.removing(user)


def tell_leaving(actor: Actor, user: User) -> list[Callable[[], Any]]:
    """Tell every room that all access of `user` is about to be taken away; what to call after that."""
    found = [part.leaving(actor, user) for part in _parts.values() if part.leaving]
    return [then for then in found if then is not None]


def left_of(request: HttpRequest, user: User) -> list[Left]:
    """What the rooms know of somebody who is leaving, in order."""
    found = (part.left(request, user) for part in _parts.values() if part.left)
    return sorted((left for left in found if left is not None), key=lambda left: left.panel.order)


def held_by(user: User) -> list[Held]:
    """What goes with this person, over all rooms."""
    return [held for part in _parts.values() if part.holds for held in part.holds(user)]


def what_counts(user: User, reader: User) -> list[str]:
    """What counts only while this account is active, over all rooms."""
    found = (part.counts(user, reader) for part in _parts.values() if part.counts)
    return [sentence for sentence in found if sentence]


def panels_of(request: HttpRequest, user: User) -> list[Panel]:
    """The rooms' panels about this person, in order."""
    found = (part.panel(request, user) for part in _parts.values() if part.panel)
    return sorted((panel for panel in found if panel is not None), key=lambda panel: panel.order)
