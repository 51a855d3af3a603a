"""Every URL × every method × {anonymous, member, owner of another server}, from the URL configuration itself.

A new URL is covered by itself, and closed until it says otherwise here: for everybody (`PUBLIC`), or for all
who are signed in (`OWN`: what one does with the own account). Objects for parameters: url_arguments.py.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import product
from typing import Any

import pytest
from django.conf import settings
from django.http import HttpResponseBase
from django.test import Client, override_settings
from django.urls import URLPattern, URLResolver, get_resolver, resolve
from django.urls.resolvers import RoutePattern

from accounts.models import AuditEntry, User
from tests.databases import taken_back
from tests.gestion.url_arguments import World, make_world, value_for
from tests.gestion.write_watcher import watched

METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS")
READING = {"GET", "HEAD", "OPTIONS"}

# For everybody, with the methods that may be answered; all others are refused.
PUBLIC = {
    "accounts:sign_in": {"GET", "HEAD", "POST"},  # an empty POST is refused with 422
    "accounts:sign_in_code": set(),  # leads to sign-in until a password was right
    "accounts:forgotten": {"GET", "HEAD", "POST"},
    "accounts:new_password": {"GET", "HEAD", "POST"},  # 404 without a good link; the test's is one
    "accounts:setup": set(),  # leads to sign-in once there is an account
    "health": {"GET", "HEAD"},
    "health_bare": {"GET", "HEAD"},
    "git_hook": set(),  # a call without a signature is refused
    "git_hook_bare": set(),
}
# For everybody who is signed in: the own things, or what shows only what one may see.
OWN = {
    "dashboard",
    "search",
    "jobs:list",
    "accounts:sign_out",
    "accounts:theme",
    "accounts:profile",
    "accounts:password",
    "accounts:two_factor",
    "accounts:two_factor_confirm",
    "accounts:recovery_codes",
    "accounts:two_factor_off",
    "accounts:sessions",
    "accounts:end_other_sessions",
    "accounts:tokens",
    "accounts:new_token",
    "servers:list",
    "keymanager:overview",
    "samba:shares",
    "forwarding:ports",
    "notifications:topics",
    "notifications:try_mail",
    "forwarding:hostnames",
    "backups:backups",
    "backups:health",
    "backups:health_bare",
    "backups:runs",
    "backups:zabbix_duration",
    "backups:zabbix_list",
    "keymanager:my_keys",
    "proxmox:guests",
}

# Other programs' protocols, a page's own button, and a form that is there only once a host is named.
NO_FORMS = {"git_hook", "git_hook_bare", "accounts:theme", "proxmox:create"}
# What in the tests' world cannot be done, whatever is sent.
NOT_NOW = {"accounts:set_password", "proxmox:adopt", "wizards:mend"}
# In the tests' world the backup server does not know how to reach the source.
NO_WAY = {"backups:edit_backup"}
# 404 for all who may ask; programs without a token hear that first.
NOWHERE = {"backups:zabbix_other", "backups:zabbix_nothing", "backups:zabbix_bare"}
JSON = {"Accept": "application/json"}

REFUSED = {400, 401, 403, 404, 405}
QUICK = ["django.contrib.auth.hashers.MD5PasswordHasher"]
HIDDEN = {403, 404, 405}


@dataclass(frozen=True)
class Url:
    """One URL of the configuration."""

    name: str
    route: str
    parameters: tuple[str, ...]

    def path(self, world: World) -> str:
        """Its path, with objects made for its parameters."""
        values = {name: value_for(self.route, name, world) for name in self.parameters}
        return "/" + re.sub(r"<(?:\w+:)?(\w+)>", lambda found: str(values[found[1]]), self.route)


def urls(patterns: list[Any], prefix: str = "", namespace: str = "") -> Iterator[Url]:
    """All URLs below these patterns."""
    for item in patterns:
        route = prefix + str(item.pattern)
        if isinstance(item, URLResolver):
            yield from urls(item.url_patterns, route, f"{item.namespace}:" if item.namespace else namespace)
        elif isinstance(item, URLPattern):
            assert isinstance(item.pattern, RoutePattern), f"Use path(), not re_path(), for {route}"
            yield Url(namespace + (item.name or route), route, tuple(item.pattern.converters))


EVERY_URL = list(urls(get_resolver().url_patterns))


def ask(client: Client, method: str, path: str, *, as_json: bool = False) -> Any:
    """The answer to one request; a body comes with the methods that have one."""
    accept = "application/json" if as_json else "text/html"
    body, kind = ("{}", "application/json") if as_json else ("", "application/x-www-form-urlencoded")
    if method in READING:
        return client.generic(method, path, headers={"Accept": accept})
    return client.generic(method, path, body, kind, headers={"Accept": accept})


def leads_to_sign_in(answer: HttpResponseBase) -> bool:
    """Whether this is a redirect to the sign-in page."""
    return answer.status_code == 302 and answer.headers["Location"].startswith("/sign-in/")


@pytest.fixture(scope="module")
def whole_world(django_db_setup, django_db_blocker) -> Iterator[World]:
    """One world for all tests of this file; what each of them changes is taken back."""
    with taken_back(django_db_blocker), override_settings(PASSWORD_HASHERS=QUICK):
        yield make_world()


@pytest.fixture
def db(whole_world, django_db_blocker) -> Iterator[None]:
    """In place of a fresh database for each test."""
    with taken_back(django_db_blocker):
        yield


@pytest.fixture
def world(db, whole_world) -> World:
    return whole_world


def signed_in(user: User) -> Client:
    """A browser of this user; what breaks in a view is raised here."""
    client = Client()
    client.force_login(user)
    return client


def test_the_lists_above_name_only_urls_that_there_are():
    assert (set(PUBLIC) | OWN) - {url.name for url in EVERY_URL} == set()


def test_every_url_has_a_name_of_its_own():
    names = [url.name for url in EVERY_URL]
    assert sorted(names) == sorted(set(names))


@pytest.mark.parametrize("url", EVERY_URL, ids=lambda url: url.name)
def test_a_stranger_is_sent_to_sign_in_and_changes_nothing(world, url):
    path = url.path(world)
    with watched() as changed:
        for method, as_json in product(METHODS, (False, True)):
            client = Client()
            answer = ask(client, method, path, as_json=as_json)
            told = f"{method} {path}: {answer.status_code}"
            assert answer.status_code < 500 or url.name == "health", told
            if (
                settings.SESSION_COOKIE_NAME in client.cookies
            ):  # without, asking for the session would make one
                assert "_auth_user_id" not in client.session, told
            if method in PUBLIC.get(url.name, set()):
                assert answer.status_code == 200 or (method == "POST" and answer.status_code in {302, 422}), (
                    told
                )
            else:
                assert answer.status_code in REFUSED or leads_to_sign_in(answer), told
    assert changed == []


@pytest.mark.parametrize("who", ["member", "owner"])
@pytest.mark.parametrize("url", EVERY_URL, ids=lambda url: url.name)
def test_a_member_and_an_owner_of_another_server_change_nothing(world, url, who):
    path = url.path(world)
    user = getattr(world, who)
    client = signed_in(user)
    for as_json, method in product((False, True), METHODS):
        with watched() as changed:
            answer = ask(client, method, path, as_json=as_json)
        told = f"{method} {path} by the {who}: {answer.status_code}"
        assert answer.status_code < 500, told
        if url.name not in OWN | set(PUBLIC):
            assert answer.status_code in HIDDEN, told
        if method in READING or url.name not in OWN:
            assert changed == [], told
        else:  # made what one may make of the own account: it may have ended the session
            client = signed_in(user)


@pytest.mark.services
@pytest.mark.parametrize("url", EVERY_URL, ids=lambda url: url.name)
def test_every_page_opens_for_an_admin_and_reading_changes_nothing(world, url):
    path = url.path(world)
    client = signed_in(world.admin)
    with watched() as changed:
        for method in ("GET", "HEAD", "OPTIONS"):
            answer = ask(client, method, path)
            told = f"{method} {path}: {answer.status_code}"
            assert answer.status_code < 400 or answer.status_code == 405 or url.name in NOWHERE, told
    assert changed == []


@pytest.mark.parametrize("url", EVERY_URL, ids=lambda url: url.name)
def test_no_change_is_made_without_a_csrf_token(world, url):
    path = url.path(world)
    client = Client(enforce_csrf_checks=True)
    client.force_login(world.admin)
    with watched() as changed:
        for method in set(METHODS) - READING:
            answer = ask(client, method, path)
            assert answer.status_code in {403, 404, 405}, f"{method} {path}: {answer.status_code}"
    assert changed == []


@pytest.mark.parametrize("url", EVERY_URL, ids=lambda url: url.name)
def test_a_program_that_sends_a_field_that_does_not_exist_hears_so_and_changes_nothing(world, url):
    """It believes that the field counts: a rule that it was to restrict would be open to all."""
    path, client = url.path(world), signed_in(world.admin)
    with watched() as changed:
        answer = client.post(path, {"no_such_field": "x"}, "application/json", headers=JSON)
    told = f"{url.name}: {answer.status_code} {answer.content[:300]!r}"
    if url.name in NO_FORMS:
        assert answer.status_code < 500, told
    elif answer.status_code == 409:
        assert url.name in NOT_NOW, told
    elif answer.status_code not in {302, 404, 405}:  # refused for something else
        assert answer.status_code == 422, told
        assert "no_such_field" in answer.json()["errors"], told
    assert changed == [], told


@pytest.mark.parametrize("accept", ["application/json", "text/html"])
@pytest.mark.parametrize("url", EVERY_URL, ids=lambda url: url.name)
def test_who_only_asks_what_would_be_done_has_nothing_done(world, url, accept):
    path, client, noted = url.path(world), signed_in(world.admin), AuditEntry.objects.count()
    with watched() as changed:
        answer = client.post(path, {"preview": "1"}, headers={"Accept": accept})
    told = f"{url.name}: {answer.status_code} {answer.content[:300]!r}"
    assert answer.status_code < 500, told
    assert AuditEntry.objects.count() == noted, told
    if not getattr(resolve(path).func, "answers_preview", False):  # else it is done, and undone
        assert changed == [], told


@pytest.mark.parametrize("url", [url for url in EVERY_URL if url.parameters], ids=lambda url: url.name)
def test_a_program_that_names_nothing_changes_nothing_that_a_form_shows(world, url):
    """Whatever is edited: what is not sent keeps its value."""
    path, client = url.path(world), signed_in(world.admin)
    shown = ask(client, "GET", path, as_json=True)
    before = shown.json() if shown.headers["Content-Type"] == "application/json" else {}
    if "initial" not in before:
        return
    answer = client.post(path, {}, "application/json", headers=JSON)
    assert answer.status_code in {200, 409, 422}, answer.content
    after = ask(client, "GET", path, as_json=True)
    if after.status_code == 200:  # else it was a delete button's page
        unseen = {"version": None}
        assert {**after.json()["initial"], **unseen} == {**before["initial"], **unseen}, url.name


@pytest.mark.parametrize("url", EVERY_URL, ids=lambda url: url.name)
def test_what_a_form_shows_to_a_program_may_come_back_as_it_is(world, url):
    """Programs read it, change one value, and send all of it."""
    path, client = url.path(world), signed_in(world.admin)
    shown = ask(client, "GET", path, as_json=True)
    before = shown.json() if shown.headers["Content-Type"] == "application/json" else {}
    if "initial" not in before:
        return
    assert before["initial"].keys() <= before["fields"].keys()
    answer = client.post(path, before["initial"], "application/json", headers=JSON)
    assert answer.status_code in {200, 409, 422}, answer.content
    said = {name for name, value in before["initial"].items() if value not in (None, "", [])}
    wrong = answer.json().get("errors", {}).keys() & said
    assert wrong == ({"source"} if url.name in NO_WAY else set()), answer.content


def test_a_url_with_an_unknown_parameter_says_where_to_add_it(world):
    with pytest.raises(AssertionError, match="Add a line to MAKERS"):
        Url("x", "nowhere/<int:thing>/", ("thing",)).path(world)
