"""The navigation as it is shown."""

import pytest

from pages.context import nav_links
from pages.registry import NavItem

ITEMS = [
    NavItem("Dashboard", "dashboard", "layout-dashboard"),
    NavItem("People", "accounts:users", "users"),
    NavItem("Profile", "accounts:profile", "user"),
    NavItem("Password", "accounts:password", "lock"),
]


@pytest.mark.parametrize(
    ("path", "active"),
    [
        ("/", ["Dashboard"]),
        ("/users/", ["People"]),
        ("/users/3/edit/", ["People"]),
        ("/profile/", ["Profile"]),
        ("/profile/password/", ["Password"]),
        ("/elsewhere/", []),
    ],
)
def test_the_entry_of_the_page_one_is_on_is_marked(path, active):
    assert [link.label for link in nav_links(ITEMS, path) if link.active] == active


def test_a_member_sees_only_what_is_for_everybody(member_client, admin_client):
    shown = [link.url for link in member_client.get("/profile/").context["nav"]]
    assert "/" in shown
    assert "/users/" not in shown
    assert "/users/" in [link.url for link in admin_client.get("/profile/").context["nav"]]
