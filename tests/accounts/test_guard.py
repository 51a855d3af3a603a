"""Guessing is slowed down, and nobody can be locked out from afar."""

import datetime

import pytest
from axes.models import AccessAttempt, AccessLog
from django.test import Client
from django.utils import timezone

from accounts import guard
from accounts.models import Try, User
from accounts.tries import delete_old, network_of

PASSWORD = "correct horse battery"


WRONG = "not the password"


def sign_in(address: str, username: str = "mel", password: str = WRONG, client: Client | None = None):
    client = client or Client()
    return client.post("/sign-in/", {"username": username, "password": password}, REMOTE_ADDR=address)


def attack(username: str = "mel", tries: int = 20) -> None:
    """Wrong passwords for one name, each from an address of its own."""
    for number in range(tries):
        sign_in(f"198.51.100.{number + 1}", username)


def later(minutes: int) -> None:
    for row in Try.objects.all():
        row.at -= datetime.timedelta(minutes=minutes)
        row.save()


def test_one_address_with_many_names_has_to_wait(member, admin):
    for number in range(30):
        assert sign_in("203.0.113.7", f"name{number}").status_code == 422
    answer = sign_in("203.0.113.7", "ada", PASSWORD)
    assert answer.status_code == 429
    assert int(answer.headers["Retry-After"]) > 800
    assert sign_in("203.0.113.8", "ada", PASSWORD).status_code == 302
    later(16)
    assert sign_in("203.0.113.7", "ada", PASSWORD).status_code == 302


def test_addresses_of_one_ipv6_subscriber_count_as_one():
    assert (
        network_of("2001:db8:1:2::1") == network_of("2001:db8:1:2:ffff::9") != network_of("2001:db8:1:3::1")
    )
    assert network_of("203.0.113.7") != network_of("203.0.113.8")


def test_a_good_password_of_ones_own_does_not_start_the_count_of_an_address_anew(member):
    User.objects.create_user("eve", PASSWORD)
    for number in range(30):
        sign_in("203.0.113.7", f"name{number}")
        if number % 10 == 0:
            sign_in("203.0.113.7", "eve", PASSWORD)
    assert sign_in("203.0.113.7", "ada", WRONG).status_code == 429


def test_a_name_tried_from_many_addresses_still_lets_in_the_first_try_from_elsewhere(member):
    attack()
    assert sign_in("203.0.113.9", password=PASSWORD).status_code == 302


def test_each_strange_address_then_waits_longer_each_time(member):
    attack()
    assert sign_in("203.0.113.9").status_code == 422
    answer = sign_in("203.0.113.9", password=PASSWORD)
    assert answer.status_code == 429
    assert 50 <= int(answer.headers["Retry-After"]) <= 60
    later(2)
    assert sign_in("203.0.113.9").status_code == 422
    assert int(sign_in("203.0.113.9").headers["Retry-After"]) > 100
    later(3)
    assert sign_in("203.0.113.9", password=PASSWORD).status_code == 302


def test_a_known_address_is_not_slowed_down(member):
    sign_in("203.0.113.9", password=PASSWORD)
    attack()
    assert sign_in("203.0.113.9").status_code == 422
    assert sign_in("203.0.113.9", password=PASSWORD).status_code == 302


def test_a_known_browser_is_let_in_whatever_others_try_from_the_same_address(member):
    mine = Client()
    sign_in("203.0.113.9", password=PASSWORD, client=mine)
    mine.post("/sign-out/")
    for _attempt in range(12):
        sign_in("203.0.113.9")
    for number in range(30):
        sign_in("203.0.113.9", f"name{number}")
    attack()
    assert sign_in("203.0.113.9", password=PASSWORD).status_code == 429
    assert sign_in("203.0.113.9", password=PASSWORD, client=mine).status_code == 302


def test_a_known_browser_has_a_count_of_its_own(member):
    mine = Client()
    sign_in("203.0.113.9", password=PASSWORD, client=mine)
    for _attempt in range(20):
        answer = sign_in("203.0.113.9", client=mine)
    assert answer.status_code == 429


def test_a_forged_or_foreign_device_is_none(member, admin):
    mine = Client()
    sign_in("203.0.113.9", password=PASSWORD, client=mine)
    request = mine.get("/profile/").wsgi_request
    assert guard.device_of(request, "mel")
    assert guard.device_of(request, "ada") is None
    mine.cookies[guard.COOKIE] = mine.cookies[guard.COOKIE].value + "x"
    assert guard.device_of(mine.get("/profile/").wsgi_request, "mel") is None


@pytest.mark.parametrize("username", ["mel", "nobody"])
def test_it_is_the_same_for_a_name_that_does_not_exist(member, username):
    attack(username)
    assert sign_in("203.0.113.9", username).status_code == 422
    assert sign_in("203.0.113.9", username).status_code == 429


def test_what_was_typed_as_a_name_is_not_kept(member):
    sign_in("203.0.113.9", "my secret password typed as a name")
    assert "secret" not in " ".join(f"{row.kind}{row.key}" for row in Try.objects.all())


def test_a_try_counts_while_it_is_made(member, rf):
    guard.before_password(rf.post("/sign-in/", REMOTE_ADDR="203.0.113.9"), "mel")
    assert Try.objects.count() == 3
    assert Try.objects.filter(at__gt=timezone.now() - datetime.timedelta(seconds=60)).count() == 3


@pytest.mark.parametrize("written", [" mel", "mel  ", "\uff4del", "\tmel"])
def test_a_name_written_otherwise_is_the_same_count(member, written):
    attack(written)
    assert sign_in("203.0.113.9").status_code == 422
    assert sign_in("203.0.113.9").status_code == 429


def test_one_strange_address_gets_no_second_try_by_writing_the_name_otherwise(member):
    attack()
    assert sign_in("203.0.113.9").status_code == 422
    for written in (" mel", "mel ", "\uff4del"):
        assert sign_in("203.0.113.9", written, PASSWORD).status_code == 429


def test_the_owner_comes_in_by_a_known_browser_while_a_whole_network_guesses(member):
    mine = Client()
    sign_in("203.0.113.9", password=PASSWORD, client=mine)
    mine.post("/sign-out/")
    for _round in range(3):
        attack()
        for _attempt in range(12):
            sign_in("203.0.113.9")
    assert sign_in("203.0.113.77", password=PASSWORD, client=mine).status_code == 302


def test_guesses_from_the_same_address_do_not_keep_the_owner_from_a_new_password(member):
    mine = Client(REMOTE_ADDR="203.0.113.9")
    sign_in("203.0.113.9", password=PASSWORD, client=mine)
    for _attempt in range(12):
        sign_in("203.0.113.9")
    form = {
        "current": PASSWORD,
        "password": "another long password",
        "password_again": "another long password",
    }
    assert mine.post("/profile/password/", form).status_code == 302


def test_an_open_session_guesses_the_password_ten_times(member):
    stolen = Client(REMOTE_ADDR="203.0.113.9")
    sign_in("203.0.113.9", password=PASSWORD, client=stolen)
    form = {"password": "another long password", "password_again": "another long password"}
    answers = [stolen.post("/profile/password/", {**form, "current": f"{WRONG} {n}"}) for n in range(25)]
    assert {answer.status_code for answer in answers} <= {422, 429}
    assert stolen.post("/profile/password/", {**form, "current": PASSWORD}).status_code in (422, 429)
    member.refresh_from_db()
    assert member.check_password(PASSWORD)


def test_no_counted_try_keeps_the_name_that_was_typed_and_all_go_after_a_day(member):
    typed = "hunter2-in-the-wrong-box"
    sign_in("203.0.113.7", typed)
    assert sign_in("203.0.113.7", "mel", PASSWORD).status_code == 302
    assert not AccessLog.objects.exists()
    attempt = AccessAttempt.objects.get()
    kept = [*AccessAttempt.objects.values(), *Try.objects.values()]
    assert typed not in repr(kept)
    delete_old()
    assert AccessAttempt.objects.exists()
    attempt.attempt_time -= datetime.timedelta(days=1)
    attempt.save()
    AccessLog.objects.create(username="mel")  # of an earlier version
    AccessLog.objects.update(attempt_time=attempt.attempt_time)
    delete_old()
    assert not AccessAttempt.objects.exists()
    assert not AccessLog.objects.exists()


def test_that_others_can_sign_in_is_said_only_where_it_is_so(member):
    words = "Other people, and you from elsewhere"
    for _number in range(9):
        sign_in("203.0.113.7")
    assert words in sign_in("203.0.113.7").content.decode()
    for number in range(30):
        sign_in("203.0.113.8", f"name{number}")
    answer = sign_in("203.0.113.8", "ada")
    assert answer.status_code == 429
    assert words not in answer.content.decode()
