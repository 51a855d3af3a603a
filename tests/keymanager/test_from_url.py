"""Keys at an address: fetched once by a worker, shown to who asked, and added only as far as that person says."""

import socket
import ssl
import time
from collections.abc import Callable
from contextlib import AbstractContextManager
from datetime import timedelta
from typing import Any

import pytest
from django.test import Client

from accounts.actors import Actor
from accounts.models import AuditEntry, User
from accounts.tokens import create_token
from jobs.models import Job, JobState
from keymanager import key_urls
from keymanager.checks import check_key_url_networks
from keymanager.key_urls import FetchFailed, fetch
from keymanager.models import Key, KeysFromUrl
from keymanager.services.from_url import KEEP, delete_old
from tests.hostile_http import (
    BOMB,
    CHUNKED,
    ENDLESS_LINES,
    OK,
    TOO_MUCH,
    Answer,
    answering,
    dripping,
    endless,
    plainly,
)
from tests.hosts.hostile import memory_growth
from tests.jobs.working import work_off
from tests.keymanager.fleets import ed25519_blob, fingerprint_of, make_key, make_server, unit
from tests.own_certificate import own_certificate
from tests.waiting import PATIENCE_SECONDS

pytestmark = pytest.mark.django_db(transaction=True)
JSON = {"Accept": "application/json"}
MINE = "/keymanager/mine/"
Serve = Callable[[Answer], AbstractContextManager[int]]


def line(seed: str, options: str = "") -> str:
    return f"{options}ssh-ed25519 {ed25519_blob(seed.encode())} {seed}"


@pytest.fixture(scope="module")
def own_context(tmp_path_factory: pytest.TempPathFactory) -> tuple[str, ssl.SSLContext]:
    """A certificate of this machine's, and a server's context with it."""
    folder = tmp_path_factory.mktemp("tls")
    return str(folder / "cert"), own_certificate(folder, "IP:127.0.0.1,DNS:git.example.org")


@pytest.fixture
def serve(own_context, monkeypatch, settings) -> Serve:
    """Runs a git host on loopback whose certificate is trusted, and which may be asked."""
    trusted, context = own_context
    monkeypatch.setenv("SSL_CERT_FILE", trusted)
    settings.KEY_URL_NETWORKS = ["127.0.0.0/8"]
    return lambda answer: answering(answer, context)


def at(port: int, path: str = "jane.keys") -> str:
    return f"https://127.0.0.1:{port}/{path}"


def found_by(client: Client, serve: Serve, body: bytes, to: str = MINE) -> dict[str, Any]:
    """What the panel shows after it was told of an address with this body; `page` is where."""
    with serve(plainly(body, b"Content-Type: text/plain")) as port:
        answer = client.post(to, {"keys": at(port)}, headers=JSON)
        assert answer.status_code == 200, answer.content
        work_off()
    page = answer.json()["url"]
    return client.get(page, headers=JSON).json() | {"page": page}


def test_nothing_counts_before_it_is_ticked_and_then_like_a_pasted_key(member_client, member, serve):
    body = f"{line('laptop')}\n{line('desk')}\n".encode()
    found = found_by(member_client, serve, body)
    assert found["state"] == "fetched"
    assert [(key["number"], key["comment"], key["refused"]) for key in found["keys"]] == [
        (1, "laptop", ""),
        (2, "desk", ""),
    ]
    assert found["keys"][0]["fingerprint"] == fingerprint_of(ed25519_blob(b"laptop"))
    assert not member.ssh_keys.exists()
    answer = member_client.post(found["page"], {"keys": ["2"]}, follow=True)
    assert "1 key added." in answer.content.decode()
    assert [key.comment for key in member.ssh_keys.all()] == ["desk"]
    assert member_client.get(found["page"]).status_code == 404
    assert AuditEntry.objects.get(verb="key.fetch").after == {"url": found["url"]}
    assert (AuditEntry.objects.get(verb="key.add").after or {})["from"] == found["url"]


def test_the_page_shows_each_key_with_a_box_that_is_not_ticked(member_client, serve):
    found = found_by(member_client, serve, f"{line('laptop')}\nssh-dss AAAA x\n".encode())
    page = member_client.get(found["page"]).content.decode()
    assert found["url"] in page
    assert page.count('name="keys"') == 1
    assert "checked" not in page.split("<main")[1]
    assert found["keys"][0]["fingerprint"] in page
    assert "DSA keys are too weak" in page


def test_nothing_ticked_is_an_error_by_the_field_and_adds_nothing(member_client, member, serve):
    found = found_by(member_client, serve, line("laptop").encode())
    answer = member_client.post(found["page"], {}, headers=JSON)
    assert answer.status_code == 422
    assert answer.json()["errors"] == {"keys": ["Tick at least one key."]}
    assert not member.ssh_keys.exists()


def test_a_key_that_is_here_or_belongs_to_somebody_is_shown_as_such_and_cannot_be_ticked(
    member_client, member, admin, serve
):
    make_key(member, "mine")
    make_key(admin, "theirs")
    body = f"{line('mine')}\n{line('theirs')}\n{line('new')}\n"
    found = found_by(member_client, serve, body.encode())
    assert ["is here already" in key["refused"] for key in found["keys"]] == [True, False, False]
    assert "in use elsewhere" in found["keys"][1]["refused"]
    assert admin.username not in str(found["keys"])
    answer = member_client.post(found["page"], {"keys": ["1", "3"]}, headers=JSON)
    assert answer.status_code == 422
    assert member.ssh_keys.count() == 1


def test_options_in_front_of_a_key_are_shown_and_those_that_give_rights_are_refused(
    member_client, member, serve
):
    body = "\n".join([line("cmd", 'command="/bin/id",no-pty '), line("env", 'environment="LD_PRELOAD=x" ')])
    found = found_by(member_client, serve, body.encode())
    assert found["keys"][0]["options"] == 'command="/bin/id",no-pty'
    assert "runs only" in found["keys"][0]["limited"]
    assert found["keys"][1]["refused"]
    page = member_client.get(found["page"]).content.decode()
    assert "<code>command=&quot;/bin/id&quot;,no-pty</code>" in page
    member_client.post(found["page"], {"keys": ["1"]})
    assert member.ssh_keys.get().options == 'command="/bin/id",no-pty'


def test_an_admin_fetches_for_a_person_and_for_a_unix_user_each_for_itself(admin_client, member, serve):
    root = unit(make_server("web1"))
    theirs = found_by(admin_client, serve, line("hers").encode(), f"/keymanager/people/{member.pk}/keys/")
    its = found_by(admin_client, serve, line("its").encode(), f"/keymanager/unix-users/{root.pk}/keys/")
    assert admin_client.post(theirs["page"], {"keys": [1]}, headers=JSON).json()["ok"]
    assert admin_client.post(its["page"], {"keys": [1]}, headers=JSON).json()["ok"]
    assert member.ssh_keys.get().comment == "hers"
    assert root.ssh_keys.get().comment == "its"


def test_nothing_can_be_added_and_all_is_forgotten(member_client, member, serve):
    found = found_by(member_client, serve, line("laptop").encode())
    answer = member_client.post(found["page"] + "drop/", {"keys": ["1"]}, follow=True)
    assert "Nothing was added." in answer.content.decode()
    assert not KeysFromUrl.objects.exists()
    assert not member.ssh_keys.exists()


def test_what_was_fetched_is_seen_by_who_asked_alone_and_only_for_a_while(
    member_client, member, admin_client, serve
):
    found = found_by(member_client, serve, line("laptop").encode())
    assert admin_client.get(found["page"]).status_code == 404
    assert admin_client.post(found["page"], {"keys": ["1"]}).status_code == 404
    assert admin_client.post(found["page"] + "drop/").status_code == 404
    KeysFromUrl.objects.update(asked_at=KeysFromUrl.objects.get().asked_at - KEEP - timedelta(seconds=1))
    assert member_client.get(found["page"]).status_code == 404
    assert member_client.post(found["page"], {"keys": ["1"]}).status_code == 404
    delete_old()
    assert not KeysFromUrl.objects.exists()
    assert not member.ssh_keys.exists()


def test_an_admin_who_is_none_any_more_adds_nothing_for_others(admin_client, admin, member, serve):
    found = found_by(admin_client, serve, line("hers").encode(), f"/keymanager/people/{member.pk}/keys/")
    User.objects.filter(pk=admin.pk).update(is_admin=False)
    assert admin_client.post(found["page"], {"keys": ["1"]}).status_code == 404
    assert not member.ssh_keys.exists()


def test_a_token_neither_has_an_address_fetched_nor_sees_what_was_found(member_client, member, serve):
    found = found_by(member_client, serve, line("laptop").encode())
    actor = Actor(member, member.username)
    _row, token = create_token(actor, member, name="x", days=None, scopes=["read", "keymanager"])
    asking = Client(headers={"Authorization": f"Bearer {token}"})
    assert asking.post(MINE, {"keys": found["url"]}).status_code == 403
    assert asking.get(found["page"]).status_code == 403
    assert asking.post(found["page"], {"keys": ["1"]}).status_code == 403


def test_one_address_at_a_time_a_person(member_client, admin_client):
    assert member_client.post(MINE, {"keys": "https://git.example.org/a.keys"}, headers=JSON).json()["ok"]
    answer = member_client.post(MINE, {"keys": "https://git.example.org/b.keys"}, headers=JSON)
    assert "still being fetched" in str(answer.json()["errors"]["keys"])
    assert admin_client.post(MINE, {"keys": "https://git.example.org/b.keys"}, headers=JSON).json()["ok"]
    assert Job.objects.count() == 2


@pytest.mark.parametrize(
    ("typed", "said"),
    [
        ("http://github.com/jane.keys", "https:// alone"),
        ("ftp://github.com/jane.keys", "https:// alone"),
        ("file:///etc/passwd", "https:// alone"),
        ("github.com/jane.keys", "Write https://"),
        ("https://jane:secret@github.com/jane.keys", "Leave user name and password out"),
        ("https://token@github.com/jane.keys", "Leave user name and password out"),
        ("https://github.com/jane.keys https://github.com/joe.keys", "one address by itself"),
        (f"https://github.com/jane.keys\n{line('x')}", "one address by itself"),
        ("https://", "not an address"),
        ("https://[::1/jane.keys", "not an address"),
        ("https://github.com:99999/jane.keys", "not an address"),
        ("https://github.com/" + "x" * 600, "not an address"),
    ],
)
def test_what_is_no_address_that_can_be_asked_is_an_error_by_the_field(member_client, typed, said):
    answer = member_client.post(MINE, {"keys": typed}, headers=JSON)
    assert answer.status_code == 422
    assert said in str(answer.json()["errors"]["keys"])
    assert not Job.objects.exists()


def test_an_address_in_a_comment_of_pasted_keys_is_no_address_to_ask(member_client, member):
    body = f"# https://github.com/jane.keys\n{line('x')} https://me.example.org/"
    assert member_client.post(MINE, {"keys": body}, headers=JSON).json()["ok"]
    assert member.ssh_keys.count() == 1


def test_the_field_has_the_address_again_with_what_went_wrong(member_client, serve):
    with serve(plainly(b"Not Found", status=b"404 Not Found")) as port:
        page = member_client.post(MINE, {"keys": at(port)}, headers=JSON).json()["url"]
        (job,) = work_off()
    assert job.state == JobState.DONE  # a name that somebody mistyped is no trouble of the panel's
    said = member_client.get(page, headers=JSON).json()
    assert said["state"] == "failed"
    assert "There is nothing at" in said["errors"]["keys"][0]
    shown = member_client.get(page).content.decode()
    assert at(port) in shown.split("<textarea")[1].split("</textarea>")[0]
    assert "Is the name right?" in shown


def test_while_it_is_fetched_the_page_shows_the_job(member_client, settings):
    page = member_client.post(MINE, {"keys": "https://git.example.org/a.keys"}, headers=JSON).json()["url"]
    assert member_client.get(page, headers=JSON).json()["state"] == "fetching"
    assert "data-job-stream" in member_client.get(page).content.decode()
    answer = member_client.post(page, {"keys": ["1"]}, headers=JSON)
    assert answer.status_code == 409
    job = Job.objects.get()
    member_client.post(f"/jobs/{job.pk}/stop/")
    assert "Try again" in member_client.get(page, headers=JSON).json()["errors"]["keys"][0]


@pytest.mark.parametrize(
    "body",
    [
        b"\xef\xbb\xbf" + line("a").encode() + b"\r\n" + line("b").encode() + b"\r\n",
        b"\n\n# keys of jane\n" + line("a").encode() + b"\n\n" + line("b").encode(),
        (line("a") + "\n" + line("b") + "\n" + line("a") + "\n").encode(),
        (line("a") + "\r\n" + line("b") + "\r\n").encode("utf-16"),
        b"\xfe\xff" + (line("a") + "\r" + line("b")).encode("utf-16-be"),
    ],
    ids=["BOM and CRLF", "comments", "a repeat", "PowerShell", "UTF-16, big-endian"],
)
def test_lists_as_the_world_has_them(member_client, serve, body):
    found = found_by(member_client, serve, body)
    assert [key["comment"] for key in found["keys"]] == ["a", "b"]
    assert not any(key["refused"] for key in found["keys"])


@pytest.mark.parametrize(
    ("body", "said"),
    [
        (b"", "shows none"),
        (b"\n\n", "shows none"),
        (b"\n<!DOCTYPE html><html><body>Sign in</body></html>", "a web page"),
        (b"\n".join(line(str(number)).encode() for number in range(101)), "no more than 100"),
        (b"\n".join(line(str(number)).encode() for number in range(10_000)), "more than 100 KiB"),
        (b"-----BEGIN OPENSSH PRIVATE KEY-----\nc2VjcmV0\n-----END", "private key at this address"),
        (b"---- BEGIN SSH2 PUBLIC KEY ----\nAAAA", "Was it cut?"),
    ],
    ids=["empty", "blank", "HTML", "101 keys", "10,000 keys", "private", "cut"],
)
def test_what_is_no_list_of_keys_is_said_in_a_sentence(member_client, serve, body, said):
    found = found_by(member_client, serve, body)
    assert found["state"] == "failed"
    assert said in found["errors"]["keys"][0]
    assert "c2VjcmV0" not in str(KeysFromUrl.objects.values()) + str(list(Job.objects.values()))


@pytest.mark.parametrize("body", [b"\x00\xff\xfe" * 100, b'[{"id": 1}]', "sk-\u202e".encode(), b"x" * 50_000])
def test_lines_that_are_no_keys_are_shown_as_such(member_client, serve, body):
    found = found_by(member_client, serve, body)
    assert found["keys"]
    assert all(key["refused"] for key in found["keys"])
    assert "There is nothing here that could be added." in member_client.get(found["page"]).content.decode()


@pytest.mark.parametrize("status", [b"401 No", b"403 No", b"429 Slow down", b"500 Oh", b"204 Nothing"])
def test_another_status_is_said(serve, status):
    with (
        serve(plainly(b"", status=status)) as port,
        pytest.raises(FetchFailed, match=status[:3].decode()),
    ):
        fetch(at(port))


@pytest.mark.parametrize(
    "to",
    [
        "https://127.0.0.1:9/x",
        "http://127.0.0.1:%d/x",
        "//evil.example.org/",
        "file:///etc/passwd",
        "https://[::1/",
        "\xff\xfe",
    ],
)
def test_a_redirect_to_another_place_is_not_followed(serve, to):
    def answer(connection: socket.socket) -> None:
        there = to.replace("%d", str(port)).encode("latin-1")
        plainly(b"", b"Location: " + there, status=b"302 Found")(connection)

    with serve(answer) as port, pytest.raises(FetchFailed):
        fetch(at(port))


def test_a_redirect_on_the_same_host_is_followed_and_not_for_ever(serve):
    hops: list[int] = []

    def answer(connection: socket.socket) -> None:
        hops.append(1)
        body = (
            plainly(line("a").encode())
            if len(hops) == 3
            else plainly(b"", b"Location: /Jane.keys", status=b"301 M")
        )
        body(connection)

    with serve(answer) as port:
        assert fetch(at(port)) == line("a")
    with (
        serve(plainly(b"", b"Location: /x", status=b"307 T")) as port,
        pytest.raises(FetchFailed, match="on and on"),
    ):
        fetch(at(port))


@pytest.mark.parametrize(
    "answer", [*TOO_MUCH.values(), *ENDLESS_LINES.values(), BOMB], ids=[*TOO_MUCH, *ENDLESS_LINES, "bomb"]
)
def test_an_endless_answer_ends_soon_and_fills_nothing(serve, answer):
    began = time.monotonic()
    with serve(answer) as port, memory_growth() as grown, pytest.raises(FetchFailed):
        fetch(at(port))
    assert time.monotonic() - began < 0.8 * key_urls.ANSWER_SECONDS
    assert grown() < 32


@pytest.mark.parametrize(
    "answer",
    [dripping(OK + b"\r\n"), dripping(OK + b"X: "), dripping(CHUNKED, b"1\r\nx\r\n")],
    ids=["body", "headers", "chunks"],
)
def test_a_byte_at_a_time_ends_in_time(serve, answer, monkeypatch):
    monkeypatch.setattr(key_urls, "ANSWER_SECONDS", 1.0)
    began = time.monotonic()
    with serve(answer) as port, pytest.raises(FetchFailed, match="within 1 seconds"):
        fetch(at(port))
    assert time.monotonic() - began < PATIENCE_SECONDS  # and not as long as bytes come


@pytest.mark.parametrize(
    "host",
    ["127.0.0.1", "localhost", "127.1", "[::1]", "169.254.169.254", "10.0.0.1", "[::ffff:10.0.0.1]"],
)
def test_addresses_of_our_own_are_not_asked_and_nobody_learns_of_them(host):
    with pytest.raises(FetchFailed, match="KEY_URL_NETWORKS"):
        fetch(f"https://{host}/jane.keys")


def test_networks_of_web_hooks_are_not_those_of_keys(serve, settings):
    settings.WEBHOOK_NETWORKS, settings.KEY_URL_NETWORKS = ["127.0.0.0/8"], []
    with serve(plainly(line("a").encode())) as port, pytest.raises(FetchFailed, match="KEY_URL_NETWORKS"):
        fetch(at(port))


def test_a_name_that_leads_inside_at_its_second_look_is_not_asked_there(serve, settings, monkeypatch):
    settings.KEY_URL_NETWORKS = []
    answers = iter(["203.0.114.1", "127.0.0.1"])

    def resolver(_host: str, port: int, **_more: object) -> list[Any]:
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (next(answers), port))]

    monkeypatch.setattr(key_urls, "TIMEOUT", (0.5, 0.5))
    with serve(endless(b"x")) as port:
        monkeypatch.setattr(socket, "getaddrinfo", resolver)
        with pytest.raises(FetchFailed):
            fetch(f"https://git.example.org:{port}/jane.keys")
    assert next(answers) == "127.0.0.1"


def test_a_certificate_that_nobody_vouches_for_is_said(serve, monkeypatch):
    monkeypatch.delenv("SSL_CERT_FILE")
    with (
        serve(plainly(line("a").encode())) as port,
        pytest.raises(FetchFailed, match="does not prove who it is"),
    ):
        fetch(at(port))


def test_nobody_there_is_said(settings):
    settings.KEY_URL_NETWORKS = ["127.0.0.0/8"]
    with pytest.raises(FetchFailed, match="was not reached"):
        fetch("https://127.0.0.1:9/jane.keys")
    with pytest.raises(FetchFailed, match="was not reached"):
        fetch("https://nobody.invalid/jane.keys")


def test_a_setting_that_cannot_be_read_is_said(settings):
    settings.KEY_URL_NETWORKS = ["10.0.0.0/24", "home"]
    assert [message.id for message in check_key_url_networks()] == ["keymanager.E001"]


def test_a_key_is_added_once_however_often_it_is_chosen(member_client, member, serve):
    found = found_by(member_client, serve, line("a").encode())
    Key.objects.create(
        person=member,
        type="ssh-ed25519",
        blob=ed25519_blob(b"a"),
        bits=256,
        fingerprint=fingerprint_of(ed25519_blob(b"a")),
    )
    answer = member_client.post(found["page"], {"keys": ["1"]}, headers=JSON)
    assert answer.status_code == 422
    assert member.ssh_keys.count() == 1
