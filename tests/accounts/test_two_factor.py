"""Two-factor sign-in: set-up, codes, recovery codes, who must have it."""

import time

import pyotp
import pytest
from django.db import connection
from django.test import Client

from accounts import second_factor
from accounts.actors import Actor
from accounts.models import AuditEntry, RecoveryCode, SecondFactor, Try
from tests.jobs.working import work_off
from tests.waiting import wait_for

PASSWORD = "correct horse battery"
JSON = {"Accept": "application/json"}
SETUP, CODE = "/profile/two-factor/", "/sign-in/code/"


def set_up(client: Client) -> tuple[pyotp.TOTP, list[str]]:
    """As a program does it: the authenticator, and the recovery codes."""
    begun = client.post(SETUP, {"current": PASSWORD}, headers=JSON).json()
    clock = pyotp.TOTP(begun["secret"])
    answer = client.post(f"{SETUP}confirm/", {"code": code_of(clock)}, headers=JSON)
    assert answer.status_code == 200, answer.content
    return clock, answer.json()["recovery_codes"]


def code_of(clock: pyotp.TOTP, steps: int = 0) -> str:
    if steps < 0:  # once this step is over, too, it would be one step older than was asked for
        wait_for(lambda: time.time() % second_factor.STEP < 20)
    return clock.at(int(time.time()) + 30 * steps)


def password(client: Client, username: str = "mel", **more: str):
    return client.post("/sign-in/", {"username": username, "password": PASSWORD, **more})


def signed_in(client: Client) -> bool:
    return client.get("/").status_code == 200


@pytest.fixture
def clock(member_client, member) -> pyotp.TOTP:
    """The member's authenticator; the code that confirmed it is long past."""
    made, _codes = set_up(member_client)
    SecondFactor.objects.update(last_step=0)
    return made


def test_a_password_alone_is_no_longer_enough(clock):
    client = Client()
    answer = password(client, next="/profile/")
    assert answer.headers["Location"] == "/sign-in/code/?next=%2Fprofile%2F"
    assert not signed_in(client)
    before = client.session.session_key
    answer = client.post(CODE, {"code": code_of(clock), "next": "/profile/"})
    assert answer.headers["Location"] == "/profile/"
    assert signed_in(client)
    assert client.session.session_key != before
    assert (AuditEntry.objects.filter(verb="session.begin").latest("at").after or {})["second_factor"] is True


def test_a_program_hears_that_a_code_is_needed(clock):
    answer = Client().post("/sign-in/", {"username": "mel", "password": PASSWORD}, headers=JSON)
    assert answer.json()["code_needed"] is True


def test_the_code_page_is_closed_until_the_password_was_right(clock):
    client = Client()
    assert client.get(CODE).headers["Location"] == "/sign-in/"
    assert client.post(CODE, {"code": code_of(clock)}).headers["Location"] == "/sign-in/"


def test_a_changed_password_closes_a_code_page_that_waits(clock, member):
    client = Client()
    password(client)
    member.set_password("another long password")
    member.save()
    assert client.post(CODE, {"code": code_of(clock)}).headers["Location"] == "/sign-in/"
    assert not signed_in(client)


def test_a_code_counts_once(clock):
    code = code_of(clock)
    for client, good in ((Client(), True), (Client(), False)):
        password(client)
        client.post(CODE, {"code": code})
        assert signed_in(client) is good


def test_a_code_older_than_the_last_one_does_not_count(clock):
    newer, older = code_of(clock), code_of(clock, -1)
    first, second = Client(), Client()
    password(first)
    password(second)
    first.post(CODE, {"code": newer})
    assert signed_in(first)
    assert second.post(CODE, {"code": older}).status_code == 422


@pytest.mark.parametrize(("steps", "good"), [(-2, False), (-1, True), (1, True), (3, False)])
def test_a_clock_may_be_half_a_minute_off(clock, steps, good):
    client = Client()
    password(client)
    client.post(CODE, {"code": code_of(clock, steps)})
    assert signed_in(client) is good


def test_five_wrong_codes_shut_out_and_ask_for_the_password_again(clock):
    client = Client()
    password(client)
    for _attempt in range(5):
        assert client.post(CODE, {"code": "000000"}).status_code == 422
    assert client.post(CODE, {"code": code_of(clock)}).status_code == 429
    assert client.get(CODE).headers["Location"] == "/sign-in/"
    password(client)
    assert client.post(CODE, {"code": code_of(clock)}).status_code == 429
    assert not signed_in(client)


def test_who_shuts_the_code_out_elsewhere_does_not_shut_out_a_known_browser(clock):
    known, stranger = Client(), Client()
    password(known)
    known.post(CODE, {"code": code_of(clock, -1)})
    known.post("/sign-out/")
    password(stranger)
    for _attempt in range(6):
        stranger.post(CODE, {"code": "000000"})
    password(known)
    known.post(CODE, {"code": code_of(clock)})
    assert signed_in(known)


def test_a_recovery_code_counts_once_and_only_a_hash_is_kept(member_client, member):
    _clock, codes = set_up(member_client)
    assert len(set(codes)) == 10
    kept = " ".join(RecoveryCode.objects.values_list("digest", flat=True))
    assert not any(code.replace("-", "") in kept for code in codes)
    for typed, good in ((codes[3].lower().replace("-", " "), True), (codes[3], False), (codes[4], True)):
        client = Client()
        password(client)
        client.post(CODE, {"code": typed})
        assert signed_in(client) is good
    assert second_factor.codes_left(member) == 8


def test_the_secret_is_encrypted_at_rest_and_in_no_audit_row(clock, member):
    with connection.cursor() as cursor:
        cursor.execute("SELECT secret FROM accounts_secondfactor")
        assert clock.secret not in cursor.fetchone()[0]
    assert all(clock.secret not in f"{row.before}{row.after}" for row in AuditEntry.objects.all())


def test_it_does_not_count_before_a_code_confirmed_it(member_client, member):
    member_client.post(SETUP, {"current": PASSWORD})
    page = member_client.get(f"{SETUP}confirm/")
    assert "data:image/svg+xml" in page.content.decode()
    assert "no-store" in page.headers["Cache-Control"]
    assert member_client.post(f"{SETUP}confirm/", {"code": "000000"}).status_code == 422
    client = Client()
    password(client)
    assert signed_in(client)


def test_it_moves_to_another_device_and_the_old_one_counts_until_then(clock, member_client):
    begun = member_client.post(SETUP, {"current": PASSWORD}, headers=JSON).json()
    client = Client()
    password(client)
    client.post(CODE, {"code": code_of(clock, -1)})
    assert signed_in(client)
    member_client.post(f"{SETUP}confirm/", {"code": code_of(pyotp.TOTP(begun["secret"]))})
    client = Client()
    password(client)
    assert client.post(CODE, {"code": code_of(clock, 1)}).status_code == 422


@pytest.mark.parametrize("path", [SETUP, f"{SETUP}codes/", f"{SETUP}off/"])
def test_every_change_wants_the_password_again(clock, member_client, path):
    for wrong in ({}, {"current": "wrong"}):
        assert member_client.post(path, wrong).status_code == 422
    assert SecondFactor.objects.get().confirmed_at is not None
    assert SecondFactor.objects.get().next_secret == ""


def test_turned_off_the_password_is_enough_and_the_codes_are_gone(clock, member_client, member):
    member_client.post(f"{SETUP}off/", {"current": PASSWORD})
    assert not RecoveryCode.objects.exists()
    client = Client()
    password(client)
    assert signed_in(client)
    assert AuditEntry.objects.filter(verb="second_factor.off").exists()


def test_turning_it_off_ends_the_other_sessions(clock, member_client, member):
    other = Client()
    other.force_login(member)
    member_client.post(f"{SETUP}off/", {"current": PASSWORD})
    assert signed_in(member_client)
    assert not signed_in(other)


def test_new_recovery_codes_end_the_old_ones(member_client, member):
    _clock, old = set_up(member_client)
    fresh = member_client.post(f"{SETUP}codes/", {"current": PASSWORD}, headers=JSON).json()["recovery_codes"]
    assert not set(old) & set(fresh)
    actor = Actor(member, "mel")
    assert not second_factor.check_code(actor, member, old[0])
    assert second_factor.check_code(actor, member, fresh[0])


def test_an_admin_resets_a_lost_one_and_the_person_is_told(clock, admin_client, member, mailoutbox):
    admin_client.post(f"/users/{member.pk}/two-factor/reset/")
    entry = AuditEntry.objects.get(verb="second_factor.reset")
    assert entry.actor_name == "ada"
    client = Client()
    password(client)
    assert signed_in(client)
    work_off()
    assert [mail.to for mail in mailoutbox if "reset" in mail.body] == [["mel@example.org"]]


def test_an_admin_does_not_reset_the_own_one_without_the_password(admin_client, admin):
    answer = admin_client.post(f"/users/{admin.pk}/two-factor/reset/", headers=JSON)
    assert answer.status_code == 409


@pytest.mark.parametrize(
    ("required", "free_ones"), [("none", (True, True)), ("admins", (False, True)), ("all", (False, False))]
)
def test_who_must_have_it_can_do_nothing_else(settings, admin_client, member_client, required, free_ones):
    settings.REQUIRE_TWO_FACTOR = required
    for client, free in zip((admin_client, member_client), free_ones, strict=True):
        answer = client.get("/profile/")
        assert answer.status_code == (200 if free else 302)
        if not free:
            assert answer.headers["Location"] == SETUP
            assert client.get("/profile/", headers=JSON).status_code == 403
            assert client.post("/tokens/new/", {"name": "x", "days": ""}).headers["Location"] == SETUP
            assert client.get("/jobs/1/stream").status_code == 403  # what programs ask leads to no page
            assert client.get(SETUP).status_code == 200


def test_set_up_opens_everything_and_then_it_cannot_be_turned_off(settings, member_client, member):
    settings.REQUIRE_TWO_FACTOR = "all"
    set_up(member_client)
    assert member_client.get("/profile/").status_code == 200
    member_client.post(f"{SETUP}off/", {"current": PASSWORD})
    assert second_factor.is_on(member)


def test_a_token_is_a_factor_of_its_own_but_changes_none(settings, member_client, member):
    form = {"name": "x", "days": "90", "scopes": "read", "current": PASSWORD}
    made = member_client.post("/tokens/new/", form, headers=JSON).json()["token"]
    settings.REQUIRE_TWO_FACTOR = "all"
    sent = {"Authorization": f"Bearer {made}", **JSON}
    assert Client().get("/profile/", headers=sent).status_code == 200
    assert Client().post(SETUP, {"current": PASSWORD}, headers=sent).status_code == 403
    assert Client().post("/profile/sessions/end/", headers=sent).status_code == 403


def test_where_it_is_not_required_and_once_signed_in_with_it_nothing_is_asked(
    settings, clock, django_assert_num_queries
):
    settings.REQUIRE_TWO_FACTOR = "all"
    client = Client()
    password(client)
    client.post(CODE, {"code": code_of(clock)})
    with django_assert_num_queries(2):  # the session, and the person
        client.get("/profile/sessions/0/end/")
    assert not Try.objects.filter(kind="code").exists()
