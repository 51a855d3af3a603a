"""API tokens: made by a person who says the password, with an end, a list of uses, and no life after its person's."""

import base64
import datetime

import pytest
from django.test import Client
from django.utils import timezone

from accounts import leaving, services
from accounts.actors import Actor
from accounts.models import ApiToken, AuditEntry, Session, TokenUse, User
from accounts.token_scopes import EVERYTHING
from accounts.tokens import create_token
from tests.jobs.working import work_off

JSON = {"Accept": "application/json"}
PASSWORD = "correct horse battery"
FORM = {"name": "export", "scopes": ["read"], "days": "90", "current": PASSWORD}


def bearer(text: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {text}"}


def make_token(client, **form) -> str:
    answer = client.post("/tokens/new/", {**FORM, **form}, headers=JSON)
    assert answer.status_code == 200, answer.content
    return answer.json()["token"]


def ask(text: str, path: str = "/profile/", **more):
    return Client().get(path, headers=bearer(text), **more)


def test_a_token_is_shown_once(member_client):
    page = member_client.post("/tokens/new/", FORM)
    assert "gst_" in page.content.decode()
    assert "no-store" in page.headers["Cache-Control"]
    pk = ApiToken.objects.get().pk
    assert "gst_" not in member_client.get("/tokens/").content.decode()
    assert "gst_" not in member_client.get(f"/tokens/{pk}/").content.decode()
    again = member_client.post("/tokens/new/", FORM)
    assert "name" in again.context["form"].errors


@pytest.mark.parametrize("current", ["", "wrong"])
def test_a_stolen_session_makes_no_token(member_client, current):
    answer = member_client.post("/tokens/new/", {**FORM, "current": current})
    assert "current" in answer.context["form"].errors
    assert not ApiToken.objects.exists()


def test_the_person_is_told_by_mail(member_client, mailoutbox):
    text = make_token(member_client)
    work_off()
    assert mailoutbox[0].to == ["mel@example.org"]
    assert "A new API token was made" in mailoutbox[0].subject
    assert text not in mailoutbox[0].body


def test_a_token_acts_as_its_user_without_a_cookie(member_client, member):
    text = make_token(member_client)
    assert ask(text).json()["initial"]["email"] == "mel@example.org"
    assert ask(text, "/users/").status_code == 403
    assert ApiToken.objects.get().last_used_at is not None


def test_its_answers_are_json_whatever_it_asks_for(member_client):
    text = make_token(member_client)
    answer = Client().get("/profile/", headers={**bearer(text), "Accept": "text/html"})
    assert answer.headers["Content-Type"] == "application/json"


def test_the_session_of_a_cookie_beside_a_token_is_not_touched(member_client, admin_client, admin):
    text = make_token(member_client)
    before = list(Session.objects.values_list())
    answer = admin_client.get("/profile/", headers=bearer(text))
    assert answer.json()["initial"]["email"] == "mel@example.org"
    assert "sessionid" not in answer.cookies
    assert admin_client.post("/sign-out/", headers=bearer(text)).status_code == 403
    assert list(Session.objects.values_list()) == before


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
    answer = ask(text)
    assert answer.status_code == 401
    assert answer.headers["WWW-Authenticate"] == "Bearer"


def test_a_bad_token_is_refused_even_with_a_good_session(member_client):
    assert member_client.get("/profile/", headers=bearer("gst_wrong")).status_code == 401


def test_a_token_that_is_sent_in_another_way_is_told_how_and_not_led_to_a_page(member_client):
    text = make_token(member_client)
    basic = base64.b64encode(f"mel:{text}".encode()).decode()
    for sent in (
        f"Token {text}",
        f"token {text}",
        text,
        f"ApiKey {text}",
        f"Bearer: {text}",
        f"Basic {basic}",
    ):
        for client in (Client(), Client(enforce_csrf_checks=True)):
            answer = client.get("/profile/", headers={"Authorization": sent})
            assert (answer.status_code, answer.headers["WWW-Authenticate"]) == (401, "Bearer")
            assert "Bearer gst_" in answer.json()["errors"]["__all__"][0]
            assert client.post("/profile/", headers={"Authorization": sent}).status_code == 401
    for name in ("X-Api-Key", "Private-Token", "X-Auth-Token"):
        assert "Bearer gst_" in Client().get("/profile/", headers={name: text}).json()["errors"]["__all__"][0]


@pytest.mark.parametrize("sent", ["Basic bWVsOnBhc3N3b3Jk", "Basic w6Q", "Basic ü", "Negotiate abc", "", "x"])
def test_what_a_proxy_in_between_asks_a_browser_for_stops_nobody(member_client, sent):
    assert member_client.get("/profile/", headers={"Authorization": sent}).status_code == 200


def test_a_token_ends_in_90_days_unless_said_otherwise_and_in_a_year_at_most(member_client):
    make_token(member_client, name="week", days="7")
    assert member_client.get("/tokens/new/").context["form"]["days"].value() == "90"
    ends, day = ApiToken.objects.get().expires_at, datetime.timedelta(days=1)
    assert ends is not None
    assert 6 * day < ends - timezone.now() < 8 * day
    for days in ("", "-5", "366", "never", "100000"):
        answer = member_client.post("/tokens/new/", {**FORM, "days": days})
        assert "days" in answer.context["form"].errors


def test_without_an_end_only_by_an_admin_with_a_second_word(admin_client):
    form = {**FORM, "days": "never"}
    answer = admin_client.post("/tokens/new/", form)
    assert "forever" in answer.context["form"].errors
    assert not ApiToken.objects.exists()
    admin_client.post("/tokens/new/", {**form, "forever": "on"})
    assert ApiToken.objects.get().expires_at is None


def test_a_program_that_wants_no_end_and_names_one_is_not_given_that(admin_client):
    body = {**FORM, "days": "90", "forever": True}
    answer = admin_client.post(
        "/tokens/new/", body, "application/json", headers={"Accept": "application/json"}
    )
    assert list(answer.json()["errors"]) == ["forever"]
    assert not ApiToken.objects.exists()
    admin_client.post("/tokens/new/", {**FORM, "days": "90", "forever": "on"})  # a person sees the end
    assert ApiToken.objects.get().expires_at is not None


@pytest.mark.parametrize("scopes", [[], ["nonsense"], [EVERYTHING], ["accounts"]])
def test_a_token_needs_a_scope_that_can_be_given_to_its_person(member_client, scopes):
    answer = member_client.post("/tokens/new/", {**FORM, "scopes": scopes})
    assert "scopes" in answer.context["form"].errors


def _change_password(client, member, admin):
    form = {
        "current": PASSWORD,
        "password": "another long password",
        "password_again": "another long password",
    }
    assert client.post("/profile/password/", form).status_code == 302


def _set_password(_client, member, admin):
    services.set_password(Actor(admin, "ada"), member, "another long password")


def _take_password(_client, member, admin):
    services.set_password(Actor(admin, "ada"), member, None)


def test_a_token_ends_with_a_password_that_is_set_on_the_machine(member_client, member):
    text = make_token(member_client)
    member.set_password("another long password")  # as `manage.py changepassword` does
    member.save()
    assert ask(text).status_code == 401


def test_a_token_stays_when_a_password_is_only_hashed_anew(member_client, member, settings):
    text = make_token(member_client)
    settings.PASSWORD_HASHERS = [
        "django.contrib.auth.hashers.PBKDF2PasswordHasher",
        *settings.PASSWORD_HASHERS,
    ]
    assert User.objects.get(pk=member.pk).check_password(PASSWORD)
    assert User.objects.get(pk=member.pk).password.startswith("pbkdf2")
    assert ask(text).status_code == 200


def _switch_off_and_on(_client, member, admin):
    for active in (False, True):
        services.change_user(Actor(admin, "ada"), member, is_active=active)


def _leave_and_come_back(_client, member, admin):
    leaving.take_access(Actor(admin, "ada"), member)
    services.change_user(Actor(admin, "ada"), member, is_active=True)


@pytest.mark.parametrize(
    "how", [_change_password, _set_password, _take_password, _switch_off_and_on, _leave_and_come_back]
)
def test_a_token_ends_for_good_with(member_client, member, admin, how):
    text = make_token(member_client)
    assert ask(text).status_code == 200
    how(member_client, member, admin)
    assert ask(text).status_code == 401
    entry = AuditEntry.objects.get(verb="token.end")
    assert entry.before is not None
    assert entry.before["used_from"] == ["127.0.0.1"]


def test_who_is_no_admin_any_more_keeps_only_tokens_that_read(admin, member):
    services.change_user(Actor(admin, "ada"), member, is_admin=True)
    actor = Actor(member, "mel")
    create_token(actor, member, name="read", days=90, scopes=["read"])
    create_token(actor, member, name="write", days=90, scopes=["read", "servers"])
    create_token(actor, member, name="old", days=90, scopes=[EVERYTHING])
    services.change_user(Actor(admin, "ada"), member, is_admin=False)
    assert [token.name for token in ApiToken.objects.all()] == ["read"]


def test_nobody_reaches_another_persons_token_but_an_admin_may_revoke_it(member_client, admin_client, admin):
    make_token(admin_client)
    pk = ApiToken.objects.get().pk
    for path in (f"/tokens/{pk}/", f"/tokens/{pk}/revoke/"):
        assert member_client.get(path).status_code == 404
        assert admin_client.get(path).status_code == 200
    assert member_client.post(f"/tokens/{pk}/revoke/").status_code == 404
    assert admin_client.post(f"/tokens/{pk}/revoke/").status_code == 302


def test_the_uses_are_listed_by_place_and_path_without_the_query(member_client):
    text = make_token(member_client)
    ask(text, "/servers/?q=secret", REMOTE_ADDR="203.0.113.9")
    Client().post("/profile/", headers=bearer(text))
    page = member_client.get(f"/tokens/{ApiToken.objects.get().pk}/").content.decode()
    assert "GET /servers/" in page
    assert "203.0.113.9" in page
    assert "POST /profile/" in page
    assert "secret" not in page
    assert "203.0.113.9" in str(list(TokenUse.objects.values_list("address", flat=True)))


def test_a_hot_client_is_not_written_down_each_time(member_client, django_assert_num_queries):
    text = make_token(member_client)
    ask(text, "/tokens/new/")  # closed to tokens, so that the view asks nothing
    with django_assert_num_queries(2):  # the token with its person, and whether this was written lately
        ask(text, "/tokens/new/")


def test_many_reads_write_little_and_do_not_push_out_a_change(member_client, admin):
    text = make_token(member_client)
    Client().post("/profile/", headers=bearer(text))
    for number in range(60):
        ask(text, f"/servers/{number}/")
        ask(text, f"/servers/?page={number}")
    assert TokenUse.objects.filter(method="POST").count() == 1
    assert TokenUse.objects.count() <= 41
    for row in TokenUse.objects.all():
        TokenUse.objects.filter(pk=row.pk).update(at=row.at - datetime.timedelta(minutes=2))
    ask(text)
    assert TokenUse.objects.filter(kind="read").count() <= 20


def test_strange_signs_of_a_path_are_kept_escaped(member_client):
    text = make_token(member_client)
    ask(text, "/%5C%E2%80%AEnowhere/")
    assert TokenUse.objects.get().path == "/%5C%E2%80%AEnowhere/"


def test_what_an_ended_token_tries_is_seen(member_client):
    text = make_token(member_client)
    ApiToken.objects.update(expires_at=timezone.now())
    ask(text)
    use = TokenUse.objects.get()
    assert (use.kind, use.status) == ("refused", 401)
    assert ApiToken.objects.get().last_used_at is None
