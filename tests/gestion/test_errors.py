"""What people and programs see when something is refused or broken."""

import json
from urllib.parse import urlencode

import pytest
from django.core.exceptions import BadRequest
from django.db.models.signals import post_init, pre_save
from django.test import Client, override_settings
from django.urls import path

from gestion.urls import handler400, handler403, handler404, handler500, urlpatterns
from keymanager.models import Group

__all__ = ["handler400", "handler403", "handler404", "handler500", "urlpatterns"]

JSON = {"Accept": "application/json"}


def bad(request):
    raise BadRequest("The body is not valid JSON: no")


def broken(request):
    raise RuntimeError("a secret of the panel")


def exits(request):
    raise SystemExit(3)


def missing(request):
    Group.objects.get(name="nobody made it")


urlpatterns = [
    *urlpatterns,
    path("test/missing/", missing),
    path("test/bad/", bad),
    path("test/broken/", broken),
    path("test/exits/", exits),
]
here = override_settings(ROOT_URLCONF=__name__)


@here
@pytest.mark.parametrize(
    ("address", "status", "words"),
    [
        ("/test/bad/", 400, "The body is not valid JSON"),
        ("/users/", 403, "Only an admin may do this."),
        ("/nothing/", 404, "nothing that your account may see"),
    ],
)
def test_people_and_programs_are_told(member_client, address, status, words):
    page = member_client.get(address)
    assert page.status_code == status
    assert words in page.content.decode()
    assert "shell-nav" in page.content.decode()
    answer = member_client.get(address, headers=JSON)
    assert answer.status_code == status
    assert words in answer.json()["errors"]["__all__"][0]


@pytest.mark.parametrize(
    ("sent", "words"),
    [
        ({"name": "a" * 3_000_000}, "The body is too long: at most 2621440 bytes."),
        ({f"n{number}": "" for number in range(1001)}, "The body has too many values: at most 1000."),
    ],
)
@pytest.mark.parametrize("encoded", ["application/json", "application/x-www-form-urlencoded"])
def test_too_much_is_told_in_words_of_ours(member_client, sent, words, encoded):
    body = json.dumps(sent) if encoded == "application/json" else urlencode(sent)
    answer = member_client.post("/profile/", body, content_type=encoded, headers=JSON)
    assert (answer.status_code, answer.json()["errors"]["__all__"]) == (400, [words])


def test_a_method_that_an_address_does_not_take_is_told_with_those_that_it_takes(member_client):
    """Whoever comes back to a button's address after signing in, or a program that reads where it should send."""
    page = member_client.get("/jobs/1/acknowledge/")
    assert page.status_code == 405
    assert "This address does not take GET, only POST." in page.content.decode()
    assert "shell-nav" in page.content.decode()
    answer = member_client.get("/jobs/1/acknowledge/", headers=JSON)
    assert answer.status_code == 405
    assert answer.headers["Allow"] == "POST"
    assert answer.json()["errors"]["__all__"] == ["This address does not take GET, only POST."]


@here
def test_a_broken_page_says_so_and_nothing_else(member_client):
    member_client.raise_request_exception = False
    page = member_client.get("/test/broken/")
    assert page.status_code == 500
    assert "Something broke" in page.content.decode()
    assert "secret" not in page.content.decode()
    assert member_client.get("/test/broken/", headers=JSON).json()["ok"] is False


def test_a_stranger_gets_the_error_without_the_shell(db):
    page = Client().get("/nothing/")
    assert page.status_code == 404
    assert "shell-nav" not in page.content.decode()


def test_a_program_that_is_not_signed_in_gets_401(db):
    answer = Client().get("/users/", headers=JSON)
    assert answer.status_code == 401
    assert answer.json()["ok"] is False


@here
def test_a_page_that_would_end_the_panel_is_broken_alone(member_client):
    member_client.raise_request_exception = False
    assert member_client.get("/test/exits/", headers=JSON).status_code == 500


@pytest.mark.parametrize("method", ["post", "put", "patch", "delete"])
def test_what_would_change_something_is_not_led_on_to_the_slash_as_a_get(admin_client, method):
    answer = getattr(admin_client, method)(
        "/keymanager/groups/new", {"name": "ops"}, "application/json", headers=JSON
    )
    assert answer.status_code == 404
    assert "Nothing was done: this address ends with a slash, as /keymanager/groups/new/ does" in str(
        answer.json()
    )
    assert not Group.objects.exists()


def test_who_reads_is_led_on_to_the_slash(admin_client):
    assert admin_client.get("/servers", headers=JSON).url == "/servers/"
    assert admin_client.head("/servers?q=x").url == "/servers/?q=x"
    assert "nothing that your account may see" in admin_client.post("/nothing").content.decode()


@pytest.mark.django_db
@pytest.mark.parametrize("accept", ["text/plain", "text/csv", "application/octet-stream"])
@pytest.mark.parametrize(
    "address", ["/servers/key/", "/audit/download/", "/keymanager/people/1/departure/open.csv"]
)
def test_who_takes_no_page_is_not_led_to_the_sign_in_page(client, address, accept):
    answer = client.get(address, headers={"Accept": accept})
    assert answer.status_code == 401
    assert "Sign in" in answer.json()["errors"]["__all__"][0]
    assert client.get(address, headers={"Accept": "text/html"}).status_code == 302


@pytest.fixture
def meanwhile():
    """Has somebody else do this once, when the next group is read or saved; the rows are then as after it."""
    connected = []

    def do(signal, act):
        def once(sender, instance, **_kwargs):
            signal.disconnect(once, sender=Group)
            act(instance)

        connected.append((signal, once))
        signal.connect(once, sender=Group, weak=False)

    yield do
    for signal, once in connected:
        signal.disconnect(once, sender=Group)


def gone(group):
    Group.objects.filter(pk=group.pk)._raw_delete("default")


@pytest.mark.parametrize("headers", [{}, JSON])
def test_what_is_deleted_while_somebody_changes_it_is_no_broken_panel(admin_client, meanwhile, headers):
    row = Group.objects.create(name="g")
    meanwhile(post_init, gone)
    answer = admin_client.post(f"/keymanager/groups/{row.pk}/edit/", {"name": "h"}, headers=headers)
    assert answer.status_code == 409
    assert "by somebody else in this moment" in answer.content.decode()


def test_a_name_that_is_taken_in_that_moment_is_no_broken_panel(admin_client, meanwhile):
    meanwhile(pre_save, lambda group: Group.objects.bulk_create([Group(name=group.name)]))
    answer = admin_client.post("/keymanager/groups/new/", {"name": "g"}, headers=JSON)
    assert answer.status_code == 409
    assert "by somebody else in this moment" in answer.json()["errors"]["__all__"][0]


def test_a_page_that_only_shows_is_broken_where_a_row_is_not_there(admin_client):
    admin_client.raise_request_exception = False
    with here:
        assert admin_client.get("/test/missing/").status_code == 500
        assert admin_client.post("/test/missing/").status_code == 409
