"""What everybody does with the own account."""

import datetime

import pytest
from django.test import Client

from accounts.models import ApiToken, AuditEntry, User
from tests.jobs.working import work_off

JSON = {"Accept": "application/json"}
EMAIL = "mel@example.org"
PASSWORD = "correct horse battery"
NEW = "another long password"


def test_a_member_changes_the_own_profile_and_nothing_more(member_client, member):
    form = {"full_name": "Mel", "email": EMAIL, "time_zone": "Europe/Berlin", "is_admin": "on"}
    assert member_client.post("/profile/", form).status_code == 302
    member.refresh_from_db()
    assert (member.full_name, member.time_zone) == ("Mel", "Europe/Berlin")
    assert not member.is_admin
    assert member_client.post("/profile/", {"time_zone": "Mars/Base", "email": EMAIL}).status_code == 422


@pytest.mark.parametrize("email", ["thief@example.org", ""])
@pytest.mark.parametrize("current", ["", "wrong"])
def test_another_mail_address_wants_the_password(member_client, member, mailoutbox, email, current):
    answer = member_client.post("/profile/", {"email": email, "current": current}, headers=JSON)
    assert answer.status_code == 422
    assert "current" in answer.json()["errors"]
    work_off()
    assert User.objects.get(pk=member.pk).email == EMAIL
    assert not mailoutbox


@pytest.mark.parametrize("who", ["member", "admin"])
def test_the_old_address_is_told_of_another_one_and_what_to_do(
    member_client, admin_client, member, mailoutbox, who
):
    form = {"username": "mel", "email": "new@example.org", "is_active": "on"}
    if who == "member":
        assert member_client.post("/profile/", {**form, "current": PASSWORD}).status_code == 302
    else:
        assert admin_client.post(f"/users/{member.pk}/edit/", form).status_code == 302
    work_off()
    assert User.objects.get(pk=member.pk).email == "new@example.org"
    assert [mail.to for mail in mailoutbox] == [[EMAIL]]
    assert "tell an admin" in mailoutbox[0].body
    assert "new@example.org" not in mailoutbox[0].body


def test_other_changes_of_the_profile_tell_nobody_and_want_no_password(member_client, mailoutbox):
    assert member_client.post("/profile/", {"full_name": "Mel", "email": EMAIL}).status_code == 302
    work_off()
    assert not mailoutbox


def test_times_are_shown_in_the_own_zone(member_client, member):
    ApiToken.objects.create(
        user=member, name="t", digest="d", last_used_at=datetime.datetime(2026, 1, 1, 12, tzinfo=datetime.UTC)
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
