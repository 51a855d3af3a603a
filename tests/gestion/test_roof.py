"""Dashboard, search and health."""

import pytest
from django.db import OperationalError, connection

from gestion import health
from pages import registry
from pages.registry import Card, Health, Hit, NavItem, Notice, Section, Step

JSON = {"Accept": "application/json"}


@pytest.fixture
def room():
    """Registers rooms' sections for one test, beside the roof's and accounts' own alone."""
    all_rooms = dict(registry._sections)
    for name in set(all_rooms) - {"gestion", "accounts"}:
        del registry._sections[name]

    def add(**fields):
        registry.register(Section(f"test{len(registry._sections)}", **fields))

    yield add
    registry._sections.clear()
    registry._sections.update(all_rooms)


def test_the_worst_notice_is_first(admin_client, room):
    levels = ("info", "danger", "warning")
    room(attention=lambda request: [Notice(level, f"a {level}", "/") for level in levels])
    notices = admin_client.get("/", headers=JSON).json()["notices"]
    assert [item["level"] for item in notices] == ["danger", "warning", "info"]
    assert "a danger" in admin_client.get("/").content.decode()


def test_without_notices_all_is_well(member_client, room):
    assert "All is as it should be" in member_client.get("/").content.decode()


def test_first_steps_are_for_admins_and_go_when_all_are_done(admin_client, member_client, room):
    done: list[bool] = []
    room(first_steps=lambda request: [Step("Add a server", bool(done), "/x/", order=1)])
    assert "Add a server" in admin_client.get("/").content.decode()
    assert "Add a server" not in member_client.get("/").content.decode()
    done.append(True)
    assert "First steps" not in admin_client.get("/").content.decode()


def test_cards_come_in_their_order_and_rooms_may_have_none(admin_client, room):
    room(card=lambda request: Card("pages/_copy.html", {"value": "later", "name": "a"}, order=2))
    room(card=lambda request: Card("pages/_copy.html", {"value": "sooner", "name": "b"}, order=1))
    room(card=lambda request: None)
    page = admin_client.get("/").content.decode()
    assert page.index("sooner") < page.index("later")


def test_the_shell_shows_a_rooms_navigation_and_menu(member_client, room):
    room(nav=(NavItem("Mine", "dashboard", "server", admin_only=False),))
    room(user_menu=(NavItem("My keys", "accounts:profile", "key"),))
    page = member_client.get("/").content.decode()
    assert "Mine" in page
    assert "My keys" in page


def test_search_asks_every_room_and_groups_what_it_finds(admin_client, member, room):
    asked = []

    def find(request, words):
        asked.append(words)
        return [Hit("Server", "web1.example.org", "/x/")]

    room(search=find)
    answer = admin_client.get("/search/?q=%20mel%20%20qq ", headers=JSON).json()
    assert asked == ["mel qq"]
    assert answer["rows"] == [{"kind": "Server", "text": "web1.example.org", "url": "/x/"}]
    page = admin_client.get("/search/?q=mel").content.decode()
    assert page.index("Person") < page.index("Server")


@pytest.mark.parametrize("query", ["", "?q=", "?q=a", "?q=%20a%20"])
def test_nothing_is_searched_for_less_than_two_letters(admin_client, room, query):
    room(search=lambda request, words: pytest.fail("asked"))
    assert admin_client.get(f"/search/{query}", headers=JSON).json()["total"] == 0


def test_a_member_finds_no_people(member_client, admin):
    assert member_client.get("/search/?q=ada", headers=JSON).json()["rows"] == []


def test_what_was_searched_is_escaped(admin_client):
    assert "<script>alert" not in admin_client.get("/search/?q=<script>alert(1)</script>").content.decode()


def test_strangers_learn_only_whether_the_panel_works(client, db, room):
    assert client.get("/health/").json() == {"ok": True}
    room(health=lambda: [Health("worker", ok=False, words="No worker has been seen for 5 minutes.")])
    answer = client.get("/health/")
    assert answer.status_code == 503
    assert answer.json() == {"ok": False}


def test_an_admin_reads_what_is_wrong(admin_client, room):
    room(health=lambda: [Health("worker", ok=False, words="No worker has been seen for 5 minutes.")])
    checks = {item["name"]: item for item in admin_client.get("/health/", headers=JSON).json()["checks"]}
    assert checks["database"]["ok"]
    assert checks["broker"]["ok"]
    assert checks["worker"]["words"].startswith("No worker")
    assert "No worker" in admin_client.get("/health/").content.decode()
    assert "No worker" in admin_client.get("/").content.decode()


def test_a_broker_that_is_not_there_is_said_without_hanging():
    assert health.check_broker("filesystem://").ok
    gone = health.check_broker("redis://127.0.0.1:1/0")
    assert not gone.ok
    assert "jobs wait" in str(gone.words)


def test_a_database_that_does_not_answer_is_said_and_rooms_are_not_asked(client, db, room):
    room(health=lambda: pytest.fail("asked"))

    def refuse(*_args):
        raise OperationalError("gone")

    with connection.execute_wrapper(refuse):
        found = health.all_health()
    assert [item.name for item in found if not item.ok] == ["database"]


def test_health_is_answered_without_tls_for_a_load_balancer(client, db, settings):
    settings.SECURE_SSL_REDIRECT = True
    assert client.get("/health/").status_code == 200
    assert client.get("/sign-in/").status_code == 301
