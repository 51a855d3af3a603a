"""What everybody does with the own account."""

import datetime

import pytest
from django.test import Client
from django.utils import timezone

from accounts.models import ApiToken, AuditEntry, User

JSON = {"Accept": "application/json"}
PASSWORD = "correct horse battery"
NEW = "another long password"


def bearer(text: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {text}", **JSON}


def make_token(client, name="export", days="90") -> str:
    answer = client.post("/tokens/new/", {"name": name, "days": days}, headers=JSON)
    assert answer.status_code == 200, answer.content
    return answer.json()["token"]


def test_a_member_changes_the_own_profile_and_nothing_more(member_client, member):
    form = {"full_name": "Mel", "email": "m@example.org", "time_zone": "Europe/Berlin", "is_admin": "on"}
    assert member_client.post("/profile/", form).status_code == 302
    member.refresh_from_db()
    assert (member.full_name, member.time_zone) == ("Mel", "Europe/Berlin")
    assert not member.is_admin
    assert member_client.post("/profile/", {"time_zone": "Mars/Base"}).status_code == 422


def test_times_are_shown_in_the_own_zone(member_client, member):
    ApiToken.objects.create(
        user=member, name="t", digest="d", created_at=datetime.datetime(2026, 1, 1, 12, tzinfo=datetime.UTC)
    )
    User.objects.filter(pk=member.pk).update(time_zone="Asia/Tokyo")
    assert "2026-01-01 21:00:00 JST" in member_client.get("/tokens/").content.decode()


def test_a_new_password_keeps_this_session_and_ends_the_others(member_client, member):
    elsewhere = Client()
    elsewhere.force_login(member)
    form = {"current": PASSWORD, "password": NEW, "password_again": NEW}
    assert member_client.post("/profile/password/", form).status_code == 302
    assert member_client.get("/").status_code == 200
    assert elsewhere.get("/").status_code == 302
    entry = AuditEntry.objects.get(verb="user.set_password")
    assert (entry.before, entry.after) == (None, None)


@pytest.mark.parametrize(
    ("form", "field"),
    [
        ({"current": "wrong", "password": NEW, "password_again": NEW}, "current"),
        ({"password": NEW, "password_again": NEW}, "current"),
        ({"current": PASSWORD, "password": "short", "password_again": "short"}, "password"),
        ({"current": PASSWORD, "password": NEW, "password_again": "differs"}, "password_again"),
    ],
)
def test_a_new_password_needs_the_current_one_and_must_be_good(member_client, member, form, field):
    answer = member_client.post("/profile/password/", form)
    assert field in answer.context["form"].errors
    member.refresh_from_db()
    assert member.check_password(PASSWORD)


def test_guessing_the_current_password_shuts_out_as_sign_in_does(member_client):
    form = {"current": "wrong", "password": NEW, "password_again": NEW}
    for _attempt in range(9):
        assert member_client.post("/profile/password/", form).status_code == 422
    assert member_client.post("/profile/password/", form).status_code == 429
    assert member_client.post("/profile/password/", {**form, "current": PASSWORD}).status_code == 429


def test_a_token_is_shown_once(member_client):
    page = member_client.post("/tokens/new/", {"name": "export", "days": "90"})
    assert "gst_" in page.content.decode()
    assert "no-store" in page.headers["Cache-Control"]
    assert "gst_" not in member_client.get("/tokens/").content.decode()
    again = member_client.post("/tokens/new/", {"name": "export", "days": "90"})
    assert "name" in again.context["form"].errors


def test_a_token_acts_as_its_user_without_a_cookie_or_csrf(member_client, member):
    text = make_token(member_client)
    program = Client(enforce_csrf_checks=True)
    assert program.get("/profile/", headers=bearer(text)).json()["initial"]["email"] == "mel@example.org"
    changed = program.post(
        "/profile/", {"full_name": "Program"}, content_type="application/json", headers=bearer(text)
    )
    assert changed.status_code == 200
    assert User.objects.get(pk=member.pk).full_name == "Program"
    assert program.get("/users/", headers=bearer(text)).status_code == 403
    assert ApiToken.objects.get().last_used_at is not None


def test_a_token_cannot_make_another_token(member_client):
    answer = Client().post("/tokens/new/", {"name": "more"}, headers=bearer(make_token(member_client)))
    assert answer.status_code == 403
    assert ApiToken.objects.count() == 1


@pytest.mark.parametrize("how", ["revoked", "expired", "user switched off", "unknown", "empty"])
def test_a_token_that_does_not_count_gets_401(member_client, member, how):
    text = make_token(member_client)
    token = ApiToken.objects.get()
    if how == "revoked":
        assert member_client.post(f"/tokens/{token.pk}/revoke/").status_code == 302
    elif how == "expired":
        ApiToken.objects.update(expires_at=timezone.now() - datetime.timedelta(seconds=1))
    elif how == "user switched off":
        User.objects.update(is_active=False)
    else:
        text = {"unknown": "gst_unknown", "empty": ""}[how]
    answer = Client().get("/profile/", headers=bearer(text))
    assert answer.status_code == 401
    assert answer.headers["WWW-Authenticate"] == "Bearer"


def test_a_bad_token_is_refused_even_with_a_good_session(member_client):
    assert member_client.get("/profile/", headers=bearer("gst_wrong")).status_code == 401


def test_the_days_of_a_token_count(member_client):
    make_token(member_client, "month", "30")
    make_token(member_client, "ever", "")
    month, ever = ApiToken.objects.get(name="month"), ApiToken.objects.get(name="ever")
    assert month.expires_at is not None
    assert datetime.timedelta(days=29) < month.expires_at - timezone.now() < datetime.timedelta(days=31)
    assert ever.expires_at is None
    assert member_client.post("/tokens/new/", {"name": "x", "days": "-5"}).status_code == 422


def test_nobody_reaches_another_persons_token_but_an_admin_may_revoke_it(member_client, admin_client, admin):
    make_token(admin_client)
    pk = ApiToken.objects.get().pk
    assert member_client.get(f"/tokens/{pk}/revoke/").status_code == 404
    assert member_client.post(f"/tokens/{pk}/revoke/").status_code == 404
    assert admin_client.post(f"/tokens/{pk}/revoke/").status_code == 302
