"""No change without a token of one of our pages, whatever other headers say."""

from itertools import product

import pytest
from django.test import Client
from django.urls import resolve

from accounts.actors import Actor
from accounts.models import User
from accounts.tokens import create_token
from tests.gestion.test_every_url import EVERY_URL
from tests.gestion.url_arguments import make_world
from tests.gestion.write_watcher import watched

KINDS = ("application/x-www-form-urlencoded", "application/json", "text/plain")
SIGNED = {"git_hook", "git_hook_bare"}


@pytest.fixture
def world(db):
    return make_world()


def test_only_what_is_signed_or_takes_no_change_at_all_is_exempt(world):
    paths = {url.name: url.path(world) for url in EVERY_URL}
    exempt = {name for name, path in paths.items() if getattr(resolve(path).func, "csrf_exempt", False)}
    assert exempt > SIGNED
    client = Client(enforce_csrf_checks=True)
    client.force_login(world.admin)
    for name in exempt - SIGNED:
        assert name.startswith(("backups:health", "backups:zabbix")), name
        for method in ("POST", "PUT", "PATCH", "DELETE"):
            assert client.generic(method, paths[name]).status_code == 405, name


@pytest.mark.parametrize(
    "header",
    [
        None,
        "Basic YWRhOmNvcnJlY3QgaG9yc2UgYmF0dGVyeQ==",
        "Bearer",
        "Bearer gst_wrong",
        "bearer\tgst_wrong",
        " Bearer gst_wrong",
        "Token gst_wrong",
        "Bearer, gst_wrong",
        "Negotiate x",
    ],
)
def test_a_session_with_any_other_authorization_changes_nothing_without_the_token(world, header):
    client = Client(enforce_csrf_checks=True)
    client.force_login(world.admin)
    paths = ("/profile/", "/users/new/", "/servers/new/", "/sign-out/", f"/servers/{world.server.pk}/check/")
    headers = {"Authorization": header} if header else {}
    with watched() as changes:
        for path, kind in product(paths, KINDS):
            answer = client.post(path, "{}" if "json" in kind else "", content_type=kind, headers=headers)
            assert answer.status_code in (401, 403), f"{path}: {answer.status_code}"
    assert changes == []


def test_a_strangers_forms_want_it_too(world):
    client = Client(enforce_csrf_checks=True)
    for path in ("/sign-in/", "/sign-in/forgotten/", "/setup/"):
        assert client.post(path, {"username": "mel", "password": "correct horse battery"}).status_code == 403
    User.objects.all().delete()
    assert client.post("/setup/", {"username": "eve"}).status_code == 403


def test_beside_a_token_that_is_good_a_session_does_not_count(world):
    text = create_token(Actor(world.member, "mel"), world.member, name="mine", days=90, scopes=["servers"])[1]
    client = Client(enforce_csrf_checks=True)
    client.force_login(world.admin)
    answer = client.post("/servers/new/", {"name": "x"}, headers={"Authorization": f"Bearer {text}"})
    assert answer.status_code == 403
    assert "admin" in answer.json()["errors"]["__all__"][0]
