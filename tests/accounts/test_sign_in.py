"""Signing in and out."""

from urllib.parse import urlencode

import pytest
from asgiref.sync import async_to_sync
from axes.models import AccessAttempt
from django.test import Client
from django.urls import reverse

from accounts.models import AuditEntry, User

SIGN_IN = "/sign-in/"
PASSWORD = "correct horse battery"


def sign_in(client: Client, username: str, password: str, **more):
    return client.post(SIGN_IN, {"username": username, "password": password, **more})


def test_the_right_password_opens_the_dashboard_and_is_in_the_audit_trail(client, member):
    answer = sign_in(client, "mel", PASSWORD)
    assert answer.headers["Location"] == reverse("dashboard")
    assert client.get("/").status_code == 200
    assert AuditEntry.objects.get().verb == "session.begin"


def test_a_page_that_needs_sign_in_is_returned_to(client, member):
    answer = client.get("/profile/")
    assert answer.headers["Location"] == "/sign-in/?next=/profile/"
    answer = sign_in(client, "mel", PASSWORD, next="/profile/")
    assert answer.headers["Location"] == "/profile/"


@pytest.mark.parametrize(
    "elsewhere",
    [
        "https://evil.example/",
        "//evil.example/",
        "/\\evil.example",
        "javascript:alert(1)",
        "http:///evil.example",
    ],
)
def test_next_never_leads_to_another_site(client, member, elsewhere):
    assert sign_in(client, "mel", PASSWORD, next=elsewhere).headers["Location"] == "/"
    client.logout()
    assert client.get(SIGN_IN, {"next": elsewhere}).context["next"] == "/"


@pytest.mark.parametrize("username", ["mel", "nobody", "gone"])
def test_the_answer_is_the_same_for_wrong_unknown_and_switched_off(client, member, username):
    User.objects.create_user("gone", PASSWORD, is_active=False)
    answer = sign_in(client, username, PASSWORD if username == "gone" else "wrong")
    assert answer.status_code == 422
    assert answer.context["form"].non_field_errors() == [
        "This user name and password do not fit. Mind upper and lower case."
    ]
    assert not client.session.keys()


@pytest.mark.parametrize("username", ["mel", "nobody"])
def test_ten_wrong_passwords_shut_the_name_out_and_say_for_how_long(client, member, username):
    for _attempt in range(9):
        assert sign_in(client, username, "wrong").status_code == 422
    answer = sign_in(client, username, "wrong")
    assert answer.status_code == 429
    assert "Try again in 15 minutes" in answer.content.decode()
    assert answer.headers["Retry-After"] == "900"
    assert sign_in(client, username, PASSWORD).status_code == 429
    as_json = client.post(
        SIGN_IN, {"username": username, "password": PASSWORD}, headers={"Accept": "application/json"}
    )
    assert as_json.status_code == 429
    assert "15 minutes" in as_json.json()["errors"]["__all__"][0]


def test_under_asgi_the_lock_out_says_for_how_long_too(member, async_client):
    for _attempt in range(10):
        answer = async_to_sync(async_client.post)(SIGN_IN, {"username": "mel", "password": "wrong"})
    assert answer.status_code == 429
    assert "Try again in 15 minutes" in answer.content.decode()


def test_more_wrong_passwords_do_not_make_the_lock_out_longer(client, member):
    for _attempt in range(10):
        sign_in(client, "mel", "wrong")
    before = AccessAttempt.objects.get().attempt_time
    sign_in(client, "mel", "wrong")
    assert AccessAttempt.objects.get().attempt_time == before


def test_somebody_else_and_another_address_are_not_shut_out(client, member, admin):
    for _attempt in range(10):
        sign_in(client, "mel", "wrong")
    assert sign_in(client, "ada", PASSWORD).status_code == 302
    elsewhere = Client(REMOTE_ADDR="203.0.113.9")
    assert sign_in(elsewhere, "mel", PASSWORD).status_code == 302


def test_no_password_is_kept_of_a_failed_try(client, member):
    sign_in(client, "mel", "nearly-my-password")
    attempt = AccessAttempt.objects.get()
    assert "nearly-my-password" not in f"{attempt.post_data} {attempt.get_data}"


def test_sign_out_ends_the_session_and_only_by_post(member_client, member):
    assert member_client.get("/sign-out/").status_code == 405
    assert member_client.post("/sign-out/").headers["Location"] == "/sign-in/"
    assert member_client.get("/").status_code == 302


def test_sign_in_needs_a_csrf_token(member):
    client = Client(enforce_csrf_checks=True)
    answer = sign_in(client, "mel", PASSWORD)
    assert answer.status_code == 403
    assert "too old" in answer.content.decode()


def test_the_colours_are_kept_in_a_cookie(member_client):
    answer = member_client.post("/theme/", {"theme": "dark", "next": "/profile/"})
    assert answer.headers["Location"] == "/profile/"
    assert 'data-bs-theme="dark"' in member_client.get("/").content.decode()
    member_client.post("/theme/", {"theme": '"><script>'})
    assert "data-bs-theme" not in member_client.get("/").content.decode()


@pytest.mark.parametrize(
    "wanted",
    [
        "//evil.example",
        "/\\evil.example",
        "https:evil.example",
        "http://testserver/profile/",
        "javascript:alert(1)",
        "/%5cevil.example",
        "/nowhere/",
        "/sign-out/",
        "/sign-in/?next=/profile/",
        "/setup/",
        "/theme/",
        "/password/MQ/reset-x/",
    ],
)
@pytest.mark.parametrize("way", ["form", "address"])
def test_next_takes_a_page_of_ours_only(member, wanted, way):
    form = {"username": "mel", "password": PASSWORD}
    client = Client()
    if way == "form":
        answer = client.post("/sign-in/", {**form, "next": wanted})
    else:
        answer = client.post(f"/sign-in/?{urlencode({'next': wanted})}", form)
    assert answer.headers["Location"] == "/"
    assert client.post("/theme/", {"next": wanted}).headers["Location"] == "/"
    assert client.get("/sign-in/", {"next": wanted}).headers["Location"] == "/"
