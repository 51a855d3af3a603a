"""What each room shows in the shell: navigation, dashboard, first steps, search, notices, health.

A room registers one `Section` in its `apps.py`; the shell and the roof know no room by name.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any

from django.http import HttpRequest


@dataclass(frozen=True)
class NavItem:
    """One entry of the navigation: a Tabler icon's name, a URL name without arguments."""

    label: Any  # a lazy translation
    url_name: str
    icon: str
    order: int = 50
    admin_only: bool = True


@dataclass(frozen=True)
class Card:
    """A dashboard card: a template and what it shows."""

    template: str
    context: dict[str, Any] = field(default_factory=dict)
    order: int = 50


@dataclass(frozen=True)
class Notice:
    """Something that needs attention; `level` is danger, warning or info."""

    level: str
    text: Any
    url: str


@dataclass(frozen=True)
class Hit:
    """Something that a search found."""

    kind: Any
    text: str
    url: str


@dataclass(frozen=True)
class Step:
    """A first step of a new panel; the dashboard lists them until all are done."""

    text: Any
    done: bool
    url: str
    help: Any = ""
    order: int = 50


@dataclass(frozen=True)
class Health:
    """One thing that the panel needs in order to work; `words` say what is wrong, for people who may know.

    `serving`: without it this web process answers nobody, so a load balancer should ask another one.
    """

    name: str
    ok: bool
    words: Any = ""
    serving: bool = True


@dataclass(frozen=True)
class Held:
    """Something that hangs on an object and goes, or changes, when the object is deleted."""

    text: Any
    url: str = ""


@dataclass(frozen=True)
class Panel:
    """A part of another room's page: a template and what it shows."""

    template: str
    context: dict[str, Any] = field(default_factory=dict)
    order: int = 50


@dataclass(frozen=True)
class Section:
    """All that one room shows in the shell. Callables get the request and respect what its user may see."""

    name: str
    nav: tuple[NavItem, ...] = ()
    user_menu: tuple[NavItem, ...] = ()  # for everybody who is signed in
    card: Callable[[HttpRequest], Card | None] | None = None
    attention: Callable[[HttpRequest], Iterable[Notice]] | None = None
    first_steps: Callable[[HttpRequest], Iterable[Step]] | None = None  # admins only
    search: Callable[[HttpRequest, str], Iterable[Hit]] | None = None
    health: Callable[[], Iterable[Health]] | None = None


_sections: dict[str, Section] = {}


def register(section: Section) -> None:
    """Add a room's section; called once from its `apps.py`."""
    _sections[section.name] = section


def sections() -> list[Section]:
    """All registered sections, in the order of registration."""
    return list(_sections.values())


def nav_items(*, admin: bool) -> list[NavItem]:
    """The navigation for an admin or for anyone else, in order."""
    items = [item for section in sections() for item in section.nav if admin or not item.admin_only]
    return sorted(items, key=lambda item: item.order)


def user_menu_items() -> list[NavItem]:
    """What the rooms put into the menu of the signed-in user, in order."""
    return sorted((item for section in sections() for item in section.user_menu), key=lambda item: item.order)
