"""What every page of the shell needs."""

from dataclasses import dataclass
from typing import Any

from django.conf import settings
from django.http import HttpRequest
from django.urls import reverse

from pages.registry import NavItem, nav_items, user_menu_items

THEMES = ("light", "dark")


@dataclass(frozen=True)
class NavLink:
    """An entry of the navigation as it is shown."""

    label: Any
    url: str
    icon: str
    active: bool


def shell(request: HttpRequest) -> dict[str, Any]:
    """Navigation for the signed-in user, the chosen theme, and whether this is the demo."""
    theme = request.COOKIES.get("theme", "")
    context = {
        "demo": settings.DEMO,
        "version": settings.VERSION,
        "theme": theme if theme in THEMES else "",
        "nav": [],
        "user_menu": [],
    }
    user = getattr(request, "user", None)
    if user is not None and user.is_authenticated:
        context["nav"] = nav_links(nav_items(admin=user.is_admin), request.path)
        context["user_menu"] = nav_links(user_menu_items(), request.path)
    return context


def nav_links(items: list[NavItem], path: str) -> list[NavLink]:
    """The entries with their addresses; active is the one whose address fits the most of `path`."""
    urls = [reverse(item.url_name) for item in items]
    here = max(
        (url for url in urls if path == url or (url != "/" and path.startswith(url))), key=len, default=""
    )
    return [NavLink(item.label, url, item.icon, url == here) for item, url in zip(items, urls, strict=True)]
