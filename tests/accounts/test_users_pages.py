"""Admins' pages about people."""

import pytest
from django.utils import timezone

from accounts import registry
from accounts.models import AuditEntry, SecondFactor, User
from accounts.registry import PersonPart
from pages.registry import Held, Panel
from servers.models import Server

EDIT = {"username": "mel", "full_name": "Mel Okafor", "email": "mel@example.org", "time_zone": ""}


@pytest.fixture
def room():
    registry.register_watcher(
        PersonPart(
            "test",
            holds=lambda user: [Held(f"3 SSH keys of {user.username}", "/profile/")],
            panel=lambda request, user: Panel("accounts/_role.html", {"person": user}),
        )
    )
    yield
    del registry._parts["test"]


def test_the_list_searches_filters_and_sorts(admin_client, admin, member):
    def names(query):
        return [row["username"] for row in admin_client.get(f"/users/{query}", headers=JSON).json()["rows"]]

    User.objects.create_user("zoe", is_active=False, full_name="Zoe Mellow")
    assert names("") == ["ada", "mel", "zoe"]
    assert names("?sort=-username") == ["zoe", "mel", "ada"]
    assert names("?q=mel") == ["mel", "zoe"]
    assert names("?role=admin") == ["ada"]
    assert names("?state=off") == ["zoe"]
    SecondFactor.objects.create(user=admin, confirmed_at=timezone.now())
    SecondFactor.objects.create(user=member)  # begun, not confirmed
    assert names("?factor=on") == ["ada"]


JSON = {"Accept": "application/json"}


def test_the_list_takes_as_many_queries_for_many_people_as_for_few(
    admin_client, django_assert_max_num_queries
):
    with django_assert_max_num_queries(6):
        admin_client.get("/users/")
    for number in range(80):
        User.objects.create_user(f"user{number}")
    with django_assert_max_num_queries(6):
        assert len(admin_client.get("/users/").context["listing"].rows) == 50


def test_an_admin_adds_a_person(admin_client):
    answer = admin_client.post(
        "/users/new/", {"username": "kim", "password": "a long enough one", "is_active": "on"}
    )
    kim = User.objects.get(username="kim")
    assert answer.headers["Location"] == kim.get_absolute_url()
    assert kim.check_password("a long enough one")
    assert (kim.is_admin, kim.is_active) == (False, True)


def test_a_program_adds_a_person(admin_client):
    body = {"username": "kim", "is_active": True, "is_admin": False}
    answer = admin_client.post("/users/new/", body, content_type="application/json", headers=JSON)
    assert answer.json()["id"] == User.objects.get(username="kim").pk
    answer = admin_client.post("/users/new/", body, content_type="application/json", headers=JSON)
    assert answer.status_code == 422
    assert answer.json()["errors"] == {"username": ["There is a user with this name already."]}


@pytest.mark.parametrize("password", ["short", "kim-kim-kim-1", "password1234"])
def test_a_weak_password_is_refused(admin_client, password):
    form = {"username": "kim-kim-kim", "password": password, "is_active": "on"}
    answer = admin_client.post("/users/new/", form)
    assert "password" in answer.context["form"].errors
    assert not User.objects.filter(username="kim-kim-kim").exists()


def test_the_new_form_starts_with_active_ticked(admin_client):
    assert admin_client.get("/users/new/").context["form"]["is_active"].initial is True


def test_an_admin_changes_a_person(admin_client, member):
    answer = admin_client.post(f"/users/{member.pk}/edit/", {**EDIT, "is_admin": "on", "is_active": "on"})
    assert answer.status_code == 302
    member.refresh_from_db()
    assert member.is_admin
    assert str(member) == "Mel Okafor"


def test_the_own_rights_are_kept_and_the_page_says_why(admin_client, admin):
    answer = admin_client.post(f"/users/{admin.pk}/edit/", {**EDIT, "username": "ada", "is_active": "on"})
    assert answer.status_code == 422
    assert "your own rights" in answer.content.decode()
    assert User.objects.get(pk=admin.pk).is_admin


def test_switching_a_person_off_ends_the_session(admin_client, member_client, member):
    admin_client.post(f"/users/{member.pk}/edit/", EDIT)
    assert member_client.get("/").status_code == 302


def test_a_set_password_ends_the_persons_sessions(admin_client, member_client, member):
    form = {"password": "another long one", "password_again": "another long one"}
    assert admin_client.post(f"/users/{member.pk}/password/", form).status_code == 302
    assert member_client.get("/").status_code == 302
    assert User.objects.get(pk=member.pk).check_password("another long one")


def test_the_delete_page_says_what_goes_too(admin_client, member, room):
    member.api_tokens.create(name="t", digest="d")
    page = admin_client.get(f"/users/{member.pk}/delete/").content.decode()
    assert "3 SSH keys of mel" in page
    assert "1 API token" in page
    assert User.objects.filter(pk=member.pk).exists()


def test_deleting_is_a_post_and_is_recorded(admin_client, member):
    assert admin_client.post(f"/users/{member.pk}/delete/").headers["Location"] == "/users/"
    assert not User.objects.filter(pk=member.pk).exists()
    assert (AuditEntry.objects.get(verb="user.delete").before or {})["username"] == "mel"


def test_a_refused_delete_says_why_and_keeps_the_person(admin_client, admin):
    answer = admin_client.post(f"/users/{admin.pk}/delete/", headers=JSON)
    assert answer.status_code == 409
    assert "own rights" in answer.json()["errors"]["__all__"][0]
    page = admin_client.post(f"/users/{admin.pk}/delete/", follow=True).content.decode()
    assert "own rights" in page


def test_the_page_of_a_person_shows_the_rooms_panels_and_the_history(admin_client, member, room):
    admin_client.post(f"/users/{member.pk}/edit/", {**EDIT, "is_active": "on"})
    page = admin_client.get(f"/users/{member.pk}/").content.decode()
    assert page.count(">member<") == 2  # in the head, and in the room's panel
    assert "user.change" in page
    assert "Mel Okafor" in page


def test_the_delete_page_says_what_every_room_and_this_one_lose(admin_client, member_client, member):
    Server.objects.create(name="web1.example.org", keymanager_name="web1").owners.add(member)
    member.subscriptions.create(topic="jobs.failed")
    found = admin_client.get(f"/users/{member.pk}/delete/", headers=JSON).json()["holds"]
    assert found == ["1 choice of news by mail", "Ownership of web1.example.org", "1 session"]


def test_an_admins_open_browser_does_not_change_how_that_admin_signs_in(admin_client, admin):
    form = {"username": "ada", "email": "thief@example.org", "is_admin": "on", "is_active": "on"}
    admin_client.post(f"/users/{admin.pk}/edit/", form)
    new = {"password": "another long password", "password_again": "another long password"}
    assert admin_client.post(f"/users/{admin.pk}/password/", new, headers=JSON).status_code == 409
    admin.refresh_from_db()
    assert admin.email == "ada@example.org"
    assert admin.check_password("correct horse battery")
