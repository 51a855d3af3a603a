"""What tokens open: every URL of the panel by its room, and never what would make a token the account."""

import re
from itertools import product

import pytest
from django.http import HttpRequest, HttpResponse
from django.test import Client
from django.urls import include, path, resolve

from accounts import services
from accounts.actors import Actor
from accounts.models import ApiToken, User
from accounts.permissions import admin_required
from accounts.token_scopes import (
    CHANGES,
    EVERYTHING,
    NEVER,
    READ,
    READS,
    all_scopes,
    may,
    never_by_token,
    only_read_by_token,
    reach_of,
    rooms,
)
from accounts.tokens import create_token
from gestion.urls import urlpatterns as real_urls
from tests.gestion.test_every_url import EVERY_URL, METHODS
from tests.gestion.url_arguments import make_world
from tests.gestion.write_watcher import watched

# The list that no scope opens for writing, written down so that a lost mark is noticed.
NEVER_WRITTEN = {
    "accounts:sign_in",
    "accounts:sign_in_code",
    "accounts:forgotten",
    "accounts:new_password",
    "accounts:sign_out",
    "accounts:setup",
    "accounts:theme",
    "accounts:profile",
    "accounts:password",
    "accounts:two_factor",
    "accounts:two_factor_confirm",
    "accounts:recovery_codes",
    "accounts:two_factor_off",
    "accounts:sessions",
    "accounts:end_other_sessions",
    "accounts:end_session",
    "accounts:tokens",
    "accounts:new_token",
    "accounts:token",
    "accounts:revoke_token",
    "accounts:users",
    "accounts:new_user",
    "accounts:user",
    "accounts:edit_user",
    "accounts:set_password",
    "accounts:send_link",
    "accounts:reset_two_factor",
    "accounts:end_sessions",
    "accounts:delete_user",
    "accounts:audit",
    "accounts:audit_download",
    "keymanager:my_keys",
    "keymanager:person_keys",
    "keymanager:delete_key",
    "keymanager:from_url",
    "keymanager:drop_from_url",
    "keymanager:unix_user_keys",
    "keymanager:offered_key",
    "keymanager:install_script",
    "keymanager:signing",
    "jobs:again",
    "dashboard",
    "search",
    "health",
    "health_bare",
    "git_hook",
    "git_hook_bare",
}
WRITING = [method for method in METHODS if method not in ("GET", "HEAD")]


def room_of(name: str) -> str:
    return name.partition(":")[0] if ":" in name else ""


def token_of(user: User, *scopes: str) -> dict[str, str]:
    name = f"token {ApiToken.objects.count()}"
    text = create_token(Actor(user, user.username), user, name=name, days=90, scopes=scopes)[1]
    return {"Authorization": f"Bearer {text}"}


def beside_uses(changes: list[str]) -> list[str]:
    """The changes but those that every use of a token writes."""
    return [sql for sql in changes if not re.search('"accounts_(tokenuse|apitoken)"', sql)]


@pytest.fixture
def world(db):
    return make_world()


def test_what_is_never_written_by_a_token_is_written_down(world):
    found = {
        url.name
        for url in EVERY_URL
        if reach_of(resolve(url.path(world)).func, room_of(url.name)) in (NEVER, READS)
    }
    assert found == NEVER_WRITTEN


def test_no_scope_writes_what_is_never_written(world):
    program, headers = Client(), token_of(world.admin, READ, EVERYTHING, *rooms())
    paths = [url.path(world) for url in EVERY_URL if url.name in NEVER_WRITTEN]
    with watched() as changes:
        for path_, method in product(paths, WRITING):
            answer = program.generic(method, path_, "{}", "application/json", headers=headers)
            assert answer.status_code == 403, f"{method} {path_}: {answer.status_code}"
    assert beside_uses(changes) == []


def test_reading_changes_nothing_and_another_rooms_scope_opens_nothing(world):
    program, reading = Client(), token_of(world.admin, READ)
    others = {
        room: token_of(world.admin, *(name for name in rooms() if name != room)) for room in ["", *rooms()]
    }
    paths = [(room_of(url.name), url.path(world)) for url in EVERY_URL]
    with watched() as changes:
        for room, path_ in paths:
            for method, headers in product(("POST", "DELETE"), (reading, others[room])):
                answer = program.generic(method, path_, "{}", "application/json", headers=headers)
                assert answer.status_code == 403, f"{method} {path_}: {answer.status_code}"
            assert program.get(path_, headers=others[room]).status_code == 403
    assert beside_uses(changes) == []


def test_reading_opens_what_its_person_may_read_and_gives_no_page(world):
    headers = token_of(world.admin, READ)
    pieces = {"servers:suggestion"}  # of a page, for htmx; with nothing in it that was not asked
    paths = {url.path(world): room_of(url.name) for url in EVERY_URL if url.name not in pieces}
    with watched() as changes:
        for path_, room in paths.items():
            answer = Client().get(path_, headers=headers)
            closed = reach_of(resolve(path_).func, room) == NEVER
            assert (answer.status_code == 403) is closed, path_
            is_page = answer.headers.get("Content-Type", "").startswith("text/html")
            assert answer.status_code == 405 or not is_page, path_
    assert beside_uses(changes) == []


def test_a_room_is_a_scope_by_itself_and_closed_for_tokens_that_are_there(world, settings):
    def view(_request: HttpRequest) -> HttpResponse:
        return HttpResponse("made", content_type="text/plain")

    new = ([path("", view, name="thing")], "newroom")

    class Urls:
        urlpatterns = [*real_urls, path("newroom/", include(new))]

    program = Client()
    old = token_of(world.admin, READ, *rooms())
    settings.ROOT_URLCONF = Urls
    assert "newroom" in [scope.name for scope in all_scopes()]
    assert program.post("/newroom/", headers=old).status_code == 403
    assert program.post("/newroom/", headers=token_of(world.admin, "newroom")).status_code == 200
    assert program.get("/newroom/", headers=token_of(world.admin, "newroom")).status_code == 200
    assert program.get("/servers/", headers=token_of(world.admin, "newroom")).status_code == 403


def test_a_new_view_of_accounts_or_of_no_room_is_closed():
    def view(_request: HttpRequest) -> HttpResponse:
        return HttpResponse()

    assert not may([EVERYTHING], view, "accounts", "GET")
    assert not may([EVERYTHING], view, "", "POST")
    assert reach_of(view, "servers") == CHANGES


@pytest.mark.parametrize("mark", [never_by_token, only_read_by_token])
def test_a_mark_counts_below_and_above_other_decorators(mark):
    def view(_request: HttpRequest) -> HttpResponse:
        return HttpResponse()

    for marked in (mark(admin_required(view)), admin_required(mark(view))):
        assert not may([EVERYTHING, "servers"], marked, "servers", "POST")


def test_a_method_that_nobody_knows_is_no_reading(world):
    headers = token_of(world.admin, READ)
    for method in ("PROPFIND", "TRACE", "OPTIONS"):
        assert Client().generic(method, "/servers/", headers=headers).status_code == 403


def test_an_admins_token_takes_access_away_with_the_scope_for_it(world):
    gone = f"/users/{world.member.pk}/offboard/"
    assert Client().post(gone, headers=token_of(world.admin, READ, "servers")).status_code == 403
    assert Client().post(gone, headers=token_of(world.member, "accounts")).status_code == 403
    assert Client().post(gone, headers=token_of(world.admin, "accounts")).status_code == 200
    assert not User.objects.get(pk=world.member.pk).is_active


def test_a_token_never_gets_more_than_its_person(world):
    services.change_user(Actor(world.admin, "ada"), world.member, is_active=True)
    headers = token_of(world.member, READ, EVERYTHING, *rooms())
    assert Client().get(f"/servers/{world.server.pk}/", headers=headers).status_code == 404
    assert Client().post("/servers/new/", {"name": "x"}, headers=headers).status_code == 403
