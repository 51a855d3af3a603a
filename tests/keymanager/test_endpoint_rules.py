"""The endpoint's rules, asked as ASGI asks it, in this process; over a real Daphne: test_endpoint.py."""

import asyncio
import base64
import re
import subprocess
import threading
import time
from collections.abc import Iterator, MutableMapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from django.db import connections

from keymanager import endpoint, signing, tokens
from keymanager.endpoint import MOST_ADDRESSES, REFUSALS, KeyEndpoint, is_for_hosts
from keymanager.live import LiveAnswers
from keymanager.protocol import (
    FIRST,
    LAST,
    PATH,
    PROOF_NAMESPACE,
    USER_NAMESPACE,
    proof_message,
    user_message,
)
from keymanager.signing import armoured
from servers.models import Server
from tests.keymanager.fetchers import ACTOR, fetching_server, let_in

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.services]
HOST = (b"host", b"panel.example.org")


@dataclass(frozen=True)
class Asked:
    """One request."""

    path: str = "web1/"
    token: str = ""
    method: str = "GET"
    headers: Sequence[tuple[bytes, bytes]] = ()
    scheme: str = "https"
    client: tuple[str, int] | None = ("192.0.2.7", 4000)
    host: bytes = b"panel.example.org"
    root: str = ""
    at: str = PATH

    @property
    def scope(self) -> dict[str, object]:
        """As an ASGI server gives it."""
        own = [(b"authorization", f"Bearer {self.token}".encode())] if self.token else []
        return {
            "type": "http",
            "method": self.method,
            "path": f"{self.root}{self.at}{self.path}",
            "root_path": self.root,
            "scheme": self.scheme,
            "client": self.client,
            "headers": [(b"host", self.host), *own, *self.headers],
        }


@dataclass
class Reply:
    """What was sent for it."""

    status: int = 0
    headers: dict[str, str] = field(default_factory=dict)
    body: bytes = b""


@dataclass
class Room:
    """One endpoint with all that it knows, asked one request after another."""

    live: LiveAnswers = field(default_factory=LiveAnswers)

    def __post_init__(self) -> None:
        self.endpoint = KeyEndpoint(self.live)

    def ask(self, *asked: Asked) -> list[Reply]:
        """The replies to these."""
        return asyncio.run(self._ask(asked))

    async def _ask(self, asked: Sequence[Asked]) -> list[Reply]:
        replies = [await self._one(one) for one in asked]
        await self.live._in_worker(connections.close_all)
        return replies

    async def _one(self, asked: Asked) -> Reply:
        reply = Reply()

        async def receive() -> dict[str, object]:
            return {"type": "http.request"}

        async def send(event: MutableMapping[str, Any]) -> None:
            if event["type"] == "http.response.start":
                reply.status = event["status"]
                reply.headers = {name.decode().lower(): value.decode() for name, value in event["headers"]}
            else:
                reply.body += event["body"]

        await self.endpoint(asked.scope, receive, send)
        return reply


@pytest.fixture
def room(transactional_db, settings) -> Iterator[Room]:
    settings.ALLOWED_HOSTS = ["panel.example.org"]
    settings.ALLOW_PLAIN_HTTP_KEYS = False
    settings.TRUST_PROXY = False
    one = Room()
    yield one
    one.live.reports.take()  # else they are written when this process ends


@pytest.fixture
def web1() -> tuple[int, str]:
    """The id and the token of a server with a key for root and deploy."""
    server, token = fetching_server("web1", "root", "deploy")
    let_in(server, "ada")
    return server.pk, token


def believed(folder, namespace: str, message: bytes, signature: bytes) -> bool:
    """Whether the real ssh-keygen believes it."""
    (folder / "signers").write_text(signing.allowed_signers())
    (folder / "signature").write_bytes(armoured(signature))
    argv = ["ssh-keygen", "-Y", "verify", "-f", "signers", "-I", "gestion", "-s", "signature", "-n"]
    return (
        subprocess.run(
            [*argv, namespace], cwd=folder, input=message, check=False, capture_output=True
        ).returncode
        == 0
    )


def test_a_whole_answer_and_one_users(room, web1, tmp_path):
    _server, token = web1
    nonce = (b"gestion-keys-nonce", b"n" * 32)
    whole, one, head, nobody = room.ask(
        Asked(token=token, headers=[nonce]),
        Asked("web1/deploy/", token),
        Asked(token=token, method="HEAD"),
        Asked("web1/nobody/", token),
    )
    assert (whole.status, one.status, head.status, nobody.status) == (200, 200, 200, 404)
    assert whole.body.startswith(FIRST + b"# gestion-keys 1 web1 ")
    assert whole.body.count(b"ssh-ed25519 ") == one.body.count(b"ssh-ed25519 ") == 1
    assert int(whole.headers["content-length"]) == len(whole.body)
    assert int(one.headers["content-length"]) == len(one.body)
    assert (head.body, head.headers["content-length"]) == (b"", whole.headers["content-length"])
    assert one.body.startswith(FIRST)
    assert one.body.endswith(LAST)
    revision = int(one.headers["gestion-keys-revision"])
    signature = base64.b64decode(one.headers["gestion-keys-signature"])
    assert believed(tmp_path, USER_NAMESPACE, user_message("web1", "deploy", revision, one.body), signature)
    form, said, at, proof = whole.headers["gestion-keys-proof"].split()
    assert (form, int(said)) == ("1", revision)
    assert abs(time.time() - int(at)) < 60
    message = proof_message(
        "web1", "", revision, whole.headers["etag"].strip('"'), at=int(at), nonce="n" * 32
    )
    assert believed(tmp_path, PROOF_NAMESPACE, message, base64.b64decode(proof))


def test_a_look_that_took_long_is_not_enough_for_who_asks_a_second_after_a_change(room, web1):
    server, token = web1

    def change() -> None:
        let_in(Server.objects.get(pk=server), "bob")
        connections.close_all()

    async def asked() -> list[Reply]:
        await room._one(Asked(token=token))  # makes the signing key, which is a change as well
        await room.live.refresh()
        before = await room._one(Asked(token=token))
        room.live._looking = asyncio.create_task(room.live._look())
        await asyncio.sleep(0)
        time.sleep(1)  # noqa: ASYNC251 - a busy machine: it has read, and its word comes late
        changing = threading.Thread(target=change)
        changing.start()
        changing.join()
        time.sleep(1)  # noqa: ASYNC251 - from now on nothing from before counts
        after = await room._one(Asked(token=token))
        await room.live._in_worker(connections.close_all)
        return [before, after]

    before, after = asyncio.run(asked())
    assert (before.body.count(b"ssh-ed25519 "), after.body.count(b"ssh-ed25519 ")) == (1, 2)


@pytest.mark.parametrize("asked", ['"{etag}"', '"x", "{etag}"', 'W/"{etag}"', "*", '"x" , W/"{etag}"'])
def test_what_is_held_is_not_sent_again(room, web1, asked):
    _server, token = web1
    (first,) = room.ask(Asked(token=token))
    held = asked.replace("{etag}", first.headers["etag"].strip('"')).encode()
    (second,) = room.ask(Asked(token=token, headers=[(b"if-none-match", held)]))
    assert (second.status, second.body) == (304, b"")
    assert "gestion-keys-proof" in second.headers


def test_what_is_not_held_is_sent(room, web1):
    _server, token = web1
    (reply,) = room.ask(Asked(token=token, headers=[(b"if-none-match", b'"other"')]))
    assert reply.status == 200


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "OPTIONS", "get"])
def test_only_reading_is_allowed(room, web1, method):
    (reply,) = room.ask(Asked(token=web1[1], method=method))
    assert (reply.status, reply.headers["allow"]) == (405, "GET, HEAD")
    assert int(reply.headers["content-length"]) == len(reply.body)
    assert reply.headers["x-content-type-options"] == "nosniff"


@pytest.mark.parametrize("host", [b"", b"evil.example.org", b"panel.example.org.evil.org", b"a b"])
def test_the_panel_goes_by_its_own_name_alone_however_often_it_is_asked(room, web1, host):
    good, *bad = room.ask(
        Asked(token=web1[1]), Asked(token=web1[1], host=host), Asked(token=web1[1], host=host)
    )
    assert good.status == 200
    assert [reply.status for reply in bad] == [400, 400]


def test_without_allowed_hosts_only_a_panel_under_development_answers_and_on_this_machine(
    room, web1, settings
):
    settings.ALLOWED_HOSTS = []
    asked = [Asked(token=web1[1], host=host) for host in (b"localhost", b"127.0.0.1:8000", b"[::1]", HOST[1])]
    settings.DEBUG = False
    assert [reply.status for reply in room.ask(*asked)] == [400] * 4
    settings.DEBUG = True
    assert [reply.status for reply in room.ask(*asked)] == [200, 200, 200, 400]


@pytest.mark.parametrize(
    ("trusted", "said", "status"),
    [
        (False, b"https", 403),
        (True, b"", 403),
        (True, b"http", 403),
        (True, b"https", 200),
        (True, b" HTTPS ", 200),
    ],
)
def test_keys_never_travel_in_the_open(room, web1, settings, *, trusted, said, status):
    settings.TRUST_PROXY = trusted
    headers = [(b"x-forwarded-proto", said)] if said else []
    (reply,) = room.ask(Asked(token=web1[1], scheme="http", headers=headers))
    assert reply.status == status


@pytest.mark.parametrize("trusted", [False, True])
def test_a_script_of_old_that_asks_in_the_open_is_told_where_the_new_one_is(room, web1, settings, trusted):
    settings.TRUST_PROXY = trusted
    (reply,) = room.ask(Asked(scheme="http"))
    assert reply.status == 401
    assert b"An admin finds the script at" in reply.body
    page = (Path(__file__).parents[2] / "templates/keymanager/_fetching.html").read_text()
    buttons = re.findall(r"[ (]'([^']+)'", reply.body.decode())
    assert buttons
    for button in buttons:
        assert f'translate "{button}"' in page


def test_where_plain_http_is_allowed_it_is_answered(room, web1, settings):
    settings.ALLOW_PLAIN_HTTP_KEYS = True
    assert [reply.status for reply in room.ask(Asked(token=web1[1], scheme="http"))] == [200]


def test_a_token_is_given_as_a_bearers_and_whole(room, web1):
    token = web1[1].encode()
    given = [b"", b"Bearer", b"Basic " + token, token, b"Bearer " + token[:-1], b"Bearer x" + token]
    asked = [Asked(headers=[(b"authorization", one)]) for one in given]
    for reply in room.ask(*asked):
        assert (reply.status, reply.headers["www-authenticate"]) == (401, 'Bearer realm="gestion-keys"')
    good = [b"bearer " + token, b"BEARER  " + token + b" "]
    asked = [Asked(headers=[(b"authorization", one)]) for one in good]
    assert [reply.status for reply in room.ask(*asked)] == [200, 200]


def test_a_token_opens_its_own_servers_keys_alone(room, web1):
    _other, token = fetching_server("web2")
    own, others, none = room.ask(Asked("web2/", token), Asked("web1/", token), Asked("none/", token))
    assert own.status == 200
    assert (others.status, none.status) == (404, 404)
    assert others.body == none.body, "nobody learns which servers there are"


@pytest.mark.parametrize("path", ["", "web1", "web1//", "web1/root", "web1/root/x/", "/", "web1/root/x"])
def test_no_other_path_leads_anywhere(room, web1, path):
    assert [reply.status for reply in room.ask(Asked(path, web1[1]))] == [404]


def test_under_a_prefix_the_same_paths_count(room, web1):
    assert [reply.status for reply in room.ask(Asked(token=web1[1], root="/panel"))] == [200]
    assert is_for_hosts(Asked(root="/panel").scope)
    assert is_for_hosts(Asked().scope)
    assert not is_for_hosts({**Asked().scope, "type": "websocket"})
    assert not is_for_hosts({**Asked().scope, "path": "/servers/"})
    assert not is_for_hosts({**Asked().scope, "path": f"/panel{PATH}web1/"})


@pytest.mark.parametrize(
    ("at", "path"),
    [(f"/{PATH}", "web1/"), (PATH.replace("/", "//"), "web1/"), (PATH.lower(), "web1/"), (PATH[:-1], "")],
)
def test_a_path_that_is_nearly_ours_is_refused_as_text(room, web1, at, path):
    assert is_for_hosts(Asked(path, at=at).scope)
    assert not is_for_hosts(Asked(at="/keymanager/servers/getKeysToo/").scope)
    none, own = room.ask(Asked(path, at=at), Asked(path, web1[1], at=at))
    assert (none.status, own.status) == (401, 404)
    assert none.headers["content-type"].startswith("text/plain")


def test_an_address_with_too_many_refusals_waits_and_no_other_does(room, web1, caplog):
    replies = room.ask(*[Asked(token="wrong")] * (REFUSALS + 2))
    assert [reply.status for reply in replies] == [401] * REFUSALS + [429, 429]
    assert 1 < int(replies[-1].headers["retry-after"]) <= 60
    assert b"finds the script at" in replies[-1].body
    assert len([one for one in caplog.records if "192.0.2.7" in one.getMessage()]) == 1
    other, good = room.ask(Asked(token="wrong", client=("192.0.2.8", 1)), Asked(token=web1[1]))
    assert (other.status, good.status) == (401, 200)


def test_an_address_that_waited_is_told_why_again(room, monkeypatch):
    monkeypatch.setattr(endpoint, "WINDOW", 0.0)
    replies = room.ask(*[Asked(token="wrong")] * (REFUSALS + 2))
    assert {reply.status for reply in replies} == {401}


def test_a_name_that_is_not_the_tokens_counts_as_a_refusal(room, web1):
    replies = room.ask(*[Asked("web2/", web1[1])] * (REFUSALS + 1))
    assert [reply.status for reply in replies] == [404] * REFUSALS + [429]


def test_only_so_many_addresses_are_remembered(room, monkeypatch):
    monkeypatch.setattr(endpoint, "MOST_ADDRESSES", 3)
    room.ask(*[Asked(token="wrong", client=(f"192.0.2.{number}", 1)) for number in range(9)])
    assert len(room.endpoint._refusals) == 3
    assert MOST_ADDRESSES >= 1000


@pytest.mark.parametrize(("trusted", "address"), [(True, "203.0.113.9"), (False, "192.0.2.7")])
def test_the_address_is_the_last_one_that_a_trusted_proxy_names(room, web1, settings, trusted, address):
    settings.TRUST_PROXY = trusted
    server, token = web1
    room.live.reports.waiting.clear()

    async def asked() -> tuple:
        forwarded = (b"x-forwarded-for", b"198.51.100.1, 203.0.113.9")
        held = (b"gestion-keys-holds", b"abc")
        problem = (b"gestion-keys-problem", b"trouble")
        proved = (b"gestion-keys-proved", b"123")
        await room._one(Asked(token=token, headers=[forwarded, held, problem, proved]))
        noted = room.live.reports.waiting[server]
        await room.live._in_worker(connections.close_all)
        return noted

    assert asyncio.run(asked()) == (200, b"abc", b"trouble", address, b"123")


def test_of_an_address_only_as_much_is_kept_as_an_address_may_be_long(room, settings, caplog):
    settings.TRUST_PROXY = True
    longest = "0000:0000:0000:0000:0000:ffff:255.255.255.255"
    said = [(b"x-forwarded-for", f"{longest}and more".encode())]
    room.ask(*[Asked(token="wrong", headers=said)] * (REFUSALS + 1))
    assert list(room.endpoint._refusals) == [longest]


def test_a_request_from_nowhere_is_answered(room, web1):
    assert [reply.status for reply in room.ask(Asked(token=web1[1], client=None))] == [200]


def test_a_new_tokens_first_use_is_noted_and_the_old_ones_is_not(room, web1):
    server, old = web1
    new = tokens.replace_token(ACTOR, Server.objects.get(pk=server)).secret

    async def used(token: str) -> set[int]:
        await room._one(Asked(token=token))
        noted = set(room.live.reports.used_new_token)
        await room.live._in_worker(connections.close_all)
        return noted

    assert asyncio.run(used(old)) == set()
    assert asyncio.run(used(new)) == {server}


def test_hosts_that_used_their_new_tokens_lose_the_old_ones_and_no_others(web1):
    from keymanager.models import FetchToken

    server = Server.objects.get(pk=web1[0])
    other, _token = fetching_server("web2")
    for one in (server, other):
        tokens.replace_token(ACTOR, one)
    tokens.retire_previous([server.pk])
    assert not FetchToken.objects.get(server=server).previous_digest
    assert FetchToken.objects.get(server=other).previous_digest
    table = tokens.load_table()
    assert tokens.digest_of(web1[1]) not in table
    assert sorted((holder.name, holder.replaces) for holder in table.values()) == [
        ("web1", False),
        ("web2", False),
        ("web2", True),
    ]
