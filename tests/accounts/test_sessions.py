"""Sessions: seen, ended, and not written all the time."""

import asyncio
import datetime

import pytest
from django.contrib.sessions.backends.base import UpdateError
from django.db import connection
from django.test import Client
from django.utils import timezone

from accounts import services, streams
from accounts.actors import Actor
from accounts.devices import device_words
from accounts.models import AuditEntry, Session, User
from accounts.sessions import SessionStore
from tests.waiting import PATIENCE_SECONDS

PASSWORD = "correct horse battery"
JSON = {"Accept": "application/json"}
FIREFOX = "Mozilla/5.0 (X11; Linux x86_64; rv:128.0) Gecko/20100101 Firefox/128.0"


def browser(username: str = "mel", agent: str = FIREFOX, address: str = "203.0.113.5") -> Client:
    client = Client(REMOTE_ADDR=address, headers={"User-Agent": agent})
    client.post("/sign-in/", {"username": username, "password": PASSWORD})
    assert client.get("/").status_code == 200
    return client


def test_the_list_says_device_address_and_which_one_this_is(member):
    here = browser()
    browser(agent="curl/8.5", address="203.0.113.6")
    rows = here.get("/profile/sessions/", headers=JSON).json()["rows"]
    assert {(row["device"], row["address"], row["this"]) for row in rows} == {
        ("Firefox on Linux", "203.0.113.5", True),
        ("curl", "203.0.113.6", False),
    }
    keys = Session.objects.values_list("session_key", flat=True)
    assert not any(key in here.get("/profile/sessions/").content.decode() for key in keys)


def test_one_is_ended_and_the_others_stay(member):
    here, there, third = browser(), browser(), browser()
    number = Session.objects.get(session_key=there.session.session_key).number
    assert here.post(f"/profile/sessions/{number}/end/").status_code == 302
    assert [client.get("/").status_code for client in (here, there, third)] == [200, 302, 200]
    assert AuditEntry.objects.filter(verb="session.end_other").exists()


def test_all_others_are_ended(member):
    here, there = browser(), browser()
    assert here.post("/profile/sessions/end/", headers=JSON).json()["ended"] == 1
    assert [client.get("/").status_code for client in (here, there)] == [200, 302]


def test_nobody_ends_another_persons_session(member, admin_client):
    mine = browser()
    number = Session.objects.get(session_key=mine.session.session_key).number
    assert admin_client.post(f"/profile/sessions/{number}/end/").status_code == 404
    assert mine.get("/").status_code == 200


def test_an_admin_ends_all_of_a_person(member, admin_client):
    mine = browser()
    admin_client.post(f"/users/{member.pk}/sessions/end/")
    assert mine.get("/").status_code == 302
    assert admin_client.get("/").status_code == 200


@pytest.mark.parametrize("fields", [{"is_admin": True}, {"is_active": False}])
def test_another_role_or_none_ends_the_sessions_at_once(admin, member, fields):
    mine = browser()
    services.change_user(Actor(admin, "ada"), member, **fields)
    assert not Session.objects.filter(user=member).exists()
    assert mine.get("/").status_code == 302


def test_a_change_of_name_ends_none(admin, member):
    mine = browser()
    services.change_user(Actor(admin, "ada"), member, full_name="Mel")
    assert mine.get("/").status_code == 200


def test_signing_in_changes_the_key_of_the_session(client, member):
    client.get("/sign-in/")
    session = client.session
    session["theirs"] = "planted"
    session.save()
    planted = session.session_key
    client.post("/sign-in/", {"username": "mel", "password": PASSWORD})
    assert client.session.session_key != planted
    assert not Session.objects.filter(session_key=planted).exists()


def test_an_ended_session_cannot_be_saved_again(member):
    mine = browser()
    store = SessionStore(mine.session.session_key)
    store["more"] = 1
    Session.objects.all().delete()
    with pytest.raises(UpdateError):
        store.save()


def test_no_row_is_written_on_every_request_but_every_five_minutes(member, django_assert_num_queries):
    mine = browser()
    with django_assert_num_queries(2):
        mine.get("/sign-out/")  # 405: the session, the person
    early = timezone.now() - datetime.timedelta(minutes=6)
    Session.objects.update(seen_at=early)
    with django_assert_num_queries(3):
        mine.get("/sign-out/")
    assert Session.objects.get().seen_at > early


@pytest.mark.parametrize(
    ("agent", "words"),
    [
        (FIREFOX, "Firefox on Linux"),
        (
            "Mozilla/5.0 (Windows NT 10.0) AppleWebKit/537 Chrome/126.0 Safari/537 Edg/126.0",
            "Edge on Windows",
        ),
        ("Mozilla/5.0 (iPhone; CPU iPhone OS 17_5) Version/17.5 Safari/604.1", "Safari on iPhone"),
        ("<script>", "unknown device"),
        ("", "unknown device"),
    ],
)
def test_browsers_are_called_as_people_call_them(agent, words):
    assert device_words(agent) == words


def end_all() -> None:
    """As another process does it."""
    Session.objects.all().delete()
    connection.close()


async def endless():
    while True:
        yield b": still here\n\n"
        await asyncio.sleep(0.2)


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("how", ["session ended", "no longer one's own"])
def test_a_stream_ends_within_seconds_of_the_right_to_see_it(member, rf, how):
    mine = browser()
    request = rf.get("/")
    request.session = SessionStore(mine.session.session_key)
    mine_still = {"yes": True}

    def visible(person: User):
        return User.objects.filter(pk=person.pk) if mine_still["yes"] else User.objects.none()

    async def watch() -> int:
        pieces = 0
        stream = streams.while_allowed(request, member, endless(), visible, member.pk)
        async for _piece in stream:
            pieces += 1
            if pieces == 1 and how == "session ended":
                await asyncio.to_thread(end_all)
            elif pieces == 1:
                mine_still["yes"] = False
        return pieces

    assert asyncio.run(asyncio.wait_for(watch(), PATIENCE_SECONDS)) >= 1
