"""What each room shows in the shell: its place in the navigation, dashboard card, search, what needs attention.

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
class Section:
    """All that one room shows in the shell. Callables get the signed-in user and respect what he may see."""

    name: str
    nav: tuple[NavItem, ...] = ()
    card: Callable[[HttpRequest], Card | None] | None = None
    attention: Callable[[HttpRequest], Iterable[Notice]] | None = None
    search: Callable[[HttpRequest, str], Iterable[Hit]] | None = None


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
