"""The endpoint over a real Daphne: what it gives to whom, and every refusal."""

import base64
import subprocess
import time

import pytest
from django.db import connection

from accounts.models import User
from keymanager import signing, tokens
from keymanager.models import FetchReport, FetchToken, KeySetRevision
from keymanager.protocol import (
    FIRST,
    LAST,
    NAMESPACE,
    PROOF_NAMESPACE,
    USER_NAMESPACE,
    proof_message,
    user_message,
)
from keymanager.revisions import touch
from keymanager.signing import armoured
from servers.models import Server
from tests.keymanager.fetchers import ACTOR, fetching_server, let_in, shut_out
from tests.keymanager.fleets import make_key
from tests.keymanager.panel import running_panel, wait_until
from tests.waiting import PATIENCE_SECONDS

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.services]


@pytest.fixture
def panel(transactional_db):
    with running_panel() as one:
        yield one


def verify(folder, namespace: str, message: bytes, signature: bytes) -> bool:
    """Whether the real ssh-keygen believes it."""
    (folder / "signers").write_text(signing.allowed_signers())
    (folder / "signature").write_bytes(signature)
    argv = [
        "ssh-keygen",
        "-Y",
        "verify",
        "-f",
        "signers",
        "-I",
        "gestion",
        "-n",
        namespace,
        "-s",
        "signature",
    ]
    return subprocess.run(argv, cwd=folder, input=message, capture_output=True, check=False).returncode == 0


def test_a_server_gets_all_its_unix_users_in_one_signed_answer(panel, tmp_path) -> None:
    server, token = fetching_server("web1", "root", "deploy")
    let_in(server, "ada", "ada@laptop")
    reply = panel.keys("web1", token)
    message, mark, signature = reply.body.partition(LAST)
    lines = (message + mark).decode().splitlines()
    assert reply.status == 200
    assert reply.headers["content-type"] == "text/plain; charset=utf-8"
    assert reply.headers["cache-control"] == "private, no-cache"
    assert lines[0] + "\n" == FIRST.decode()
    revision = KeySetRevision.objects.get(name="web1").revision
    etag = reply.headers["etag"].strip('"')
    assert lines[1] == f"# gestion-keys 1 web1 {revision} {etag}"
    assert lines[2] == "# users deploy,root 1"
    assert lines[3].startswith("ssh-ed25519 AAAA")
    assert lines[3].endswith(" ada@laptop")
    assert lines[4] + "\n" == LAST.decode()
    assert verify(tmp_path, NAMESPACE, message + mark, signature)
    assert not verify(tmp_path, NAMESPACE, message + b"ssh-ed25519 AAAA evil\n" + mark, signature)
    assert not verify(tmp_path, USER_NAMESPACE, message + mark, signature)


def test_one_unix_users_lines_stand_alone_between_the_markers(panel, tmp_path) -> None:
    server, token = fetching_server("web1", "root", "deploy")
    person = let_in(server, "ada")
    reply = panel.keys("web1", token, "deploy")
    assert reply.status == 200
    assert reply.body == FIRST + person.ssh_keys.get().line.encode() + b"\n" + LAST
    revision = int(reply.headers["gestion-keys-revision"])
    signature = armoured(base64.b64decode(reply.headers["gestion-keys-signature"]))
    assert verify(tmp_path, USER_NAMESPACE, user_message("web1", "deploy", revision, reply.body), signature)
    assert panel.keys("web1", token, "deploy", If_None_Match=reply.headers["etag"]).status == 304
    assert panel.keys("web1", token, "nobody").status == 404


def proved(folder, reply, name: str, user: str, nonce: str) -> int:
    """The time that a reply proves; 0 when its proof is not one for this nonce."""
    form, revision, at, signature = reply.headers["gestion-keys-proof"].split()
    etag = reply.headers["etag"].strip('"')
    message = proof_message(name, user, int(revision), etag, at=int(at), nonce=nonce)
    raw = base64.b64decode(signature)
    return int(at) if form == "1" and verify(folder, PROOF_NAMESPACE, message, armoured(raw)) else 0


@pytest.mark.parametrize("user", ["", "root"])
def test_every_answer_proves_when_and_to_whom_it_was_given_also_when_nothing_is_new(
    panel, tmp_path, user
) -> None:
    server, token = fetching_server("web1")
    let_in(server, "ada")
    before = int(time.time())
    whole = panel.keys("web1", token, user, Gestion_Keys_Nonce="a" * 32)
    nothing = panel.keys(
        "web1", token, user, Gestion_Keys_Nonce="b" * 32, If_None_Match=whole.headers["etag"]
    )
    assert (whole.status, nothing.status) == (200, 304)
    assert before <= proved(tmp_path, whole, "web1", user, "a" * 32) <= time.time()
    assert before <= proved(tmp_path, nothing, "web1", user, "b" * 32) <= time.time()
    assert not proved(tmp_path, nothing, "web1", user, "a" * 32)
    assert not proved(tmp_path, nothing, "web2", user, "b" * 32)
    assert not proved(tmp_path, nothing, "web1", "deploy", "b" * 32)


def test_a_server_with_underscores_in_its_name_gets_its_keys(panel, tmp_path) -> None:
    server, token = fetching_server("web_1.demo.example")
    let_in(server, "ada")
    reply = panel.keys("web_1.demo.example", token)
    assert reply.status == 200
    assert proved(tmp_path, reply, "web_1.demo.example", "", "-")


def test_a_request_of_the_older_kind_is_answered_as_ever(panel, tmp_path) -> None:
    server, token = fetching_server("web1")
    let_in(server, "ada")
    reply = panel.keys("web1", token)
    message, mark, signature = reply.body.partition(LAST)
    assert verify(tmp_path, NAMESPACE, message + mark, signature)
    assert proved(tmp_path, reply, "web1", "", "-")
    for odd in ("short", "x" * 65, "a b" * 10, "a" * 20 + "\u00e9"):
        assert proved(tmp_path, panel.keys("web1", token, Gestion_Keys_Nonce=odd), "web1", "", "-"), odd


def test_a_row_that_no_host_would_take_costs_nobody_else_a_key(panel) -> None:
    server, token = fetching_server("web1", "root", "Bad Name")
    let_in(server, "ada")
    for number, options in enumerate(['command="a\tb"', 'command="open', "x\ny"]):
        make_key(User.objects.get(username="ada"), f"bad{number}", options=options)
    touch(["web1"])
    reply = panel.keys("web1", token)
    assert reply.status == 200
    assert reply.body.splitlines()[2] == b"# users root 1"
    assert reply.body.count(b"ssh-ed25519") == 1


def test_what_is_held_already_is_not_sent_again(panel) -> None:
    server, token = fetching_server("web1")
    etag = panel.keys("web1", token).headers["etag"]
    for asked in (etag, f'"other", {etag}', f"W/{etag}", "*"):
        reply = panel.keys("web1", token, If_None_Match=asked)
        assert (reply.status, reply.body) == (304, b""), asked
    let_in(server, "ada")
    time.sleep(1)
    assert panel.keys("web1", token, If_None_Match=etag).status == 200


def test_a_touch_that_changes_no_key_changes_no_etag(panel) -> None:
    _server, token = fetching_server("web1")
    etag = panel.keys("web1", token).headers["etag"]
    touch(["web1"])
    time.sleep(1)
    assert panel.keys("web1", token, If_None_Match=etag).status == 304


def test_every_refusal(panel) -> None:
    _server, token = fetching_server("web1")
    _other, other = fetching_server("web2")
    path = "/keymanager/servers/getKeys/web1/"
    assert panel.ask(path).status == 401
    assert panel.ask(path).headers["www-authenticate"].startswith("Bearer")
    said = panel.ask(path).body.decode()  # a script of old may write it where keys should be
    assert said.startswith("# ")
    assert said.count("\n") == 1
    assert "/keymanager/, on this server's page" in said
    assert panel.ask(path, "wrong").status == 401
    assert panel.ask(path, token[:-1]).status == 401
    assert panel.ask(path, Authorization=f"Basic {token}").status == 401
    assert panel.ask(path, other).status == 404
    assert panel.ask(path, other).body == panel.ask("/keymanager/servers/getKeys/none/", other).body
    for odd in (
        "",
        "web1",
        "web1//",
        "web1/root",
        "web1/root/x/",
        "web1%2Froot%2Fx/",
        "../web1/",
        "web1/%00/",
    ):
        reply = panel.ask(f"/keymanager/servers/getKeys/{odd}", token)
        assert (odd, reply.status) in {(odd, 404), (odd, 400)}
    assert panel.ask(path, token, Host="evil.example").status == 400
    for method in ("POST", "PUT", "DELETE", "PATCH", "OPTIONS", "TRACE", "PROPFIND"):
        reply = panel.ask(path, token, method)
        assert (method, reply.status, reply.headers["allow"]) == (method, 405, "GET, HEAD")
    head = panel.ask(path, token, "HEAD")
    assert (head.status, head.body) == (200, b"")
    assert int(head.headers["content-length"]) == len(panel.ask(path, token).body)


def test_an_address_with_too_many_refusals_waits_but_good_tokens_are_answered(panel) -> None:
    _server, token = fetching_server("web1")
    codes = [panel.keys("web1", "wrong").status for _ in range(35)]
    assert codes[0] == 401
    assert codes[-1] == 429
    assert panel.keys("web1", token).status == 200


def test_plain_http_is_refused_unless_a_trusted_proxy_says_https(transactional_db) -> None:
    _server, token = fetching_server("web1")
    with running_panel(ALLOW_PLAIN_HTTP_KEYS="0") as panel:
        refused = panel.keys("web1", token)
        assert refused.status == 403
        assert b"https" in refused.body
        assert panel.keys("web1", token, X_Forwarded_Proto="https").status == 403
    with running_panel(ALLOW_PLAIN_HTTP_KEYS="0", TRUST_PROXY="1") as panel:
        assert panel.keys("web1", token).status == 403
        assert panel.keys("web1", token, X_Forwarded_Proto="http").status == 403
        assert panel.keys("web1", token, X_Forwarded_Proto="https").status == 200


def test_a_change_shows_within_a_second_in_two_processes(panel) -> None:
    server, token = fetching_server("web1")
    with running_panel() as second:
        for one in (panel, second):
            assert one.keys("web1", token).body.count(b"ssh-ed25519") == 0
        person = let_in(server, "ada")
        time.sleep(1)
        for one in (panel, second):
            assert one.keys("web1", token).body.count(b"ssh-ed25519") == 1
        shut_out(server, person)
        time.sleep(1)
        for one in (panel, second):
            assert one.keys("web1", token).body.count(b"ssh-ed25519") == 0


def test_renamed_deleted_and_new_servers_count_within_a_second(panel) -> None:
    server, token = fetching_server("web1")
    assert panel.keys("web1", token).status == 200
    Server.objects.filter(pk=server.pk).update(keymanager_name="web9")
    touch(["web1", "web9", KeySetRevision.TOKENS])
    time.sleep(1)
    assert panel.keys("web1", token).status == 404
    assert panel.keys("web9", token).status == 200
    _new, fresh = fetching_server("web2")
    time.sleep(1)
    assert panel.keys("web2", fresh).status == 200
    server.delete()
    touch([KeySetRevision.TOKENS])
    time.sleep(1)
    assert panel.keys("web9", token).status == 401


def test_servers_that_share_a_keymanager_name_share_the_answer(panel) -> None:
    one, first = fetching_server("a1", "root", km="shared")
    _two, second = fetching_server("a2", "root", "deploy", km="shared")
    let_in(one, "ada")
    assert panel.keys("shared", first).body == panel.keys("shared", second).body
    assert panel.keys("a1", first).status == 404


def test_an_older_database_put_back_shows_within_a_second(panel) -> None:
    server, token = fetching_server("web1")
    person = let_in(server, "ada")
    assert b"ssh-ed25519" in panel.keys("web1", token).body
    person.ssh_keys.all().delete()
    KeySetRevision.objects.update(revision=5)
    time.sleep(1)
    assert b"ssh-ed25519" not in panel.keys("web1", token).body


def test_a_replaced_token_counts_until_the_new_one_was_used(panel) -> None:
    server, old = fetching_server("web1")
    assert panel.keys("web1", old).status == 200
    new = tokens.replace_token(ACTOR, server).secret
    time.sleep(1)
    assert panel.keys("web1", old).status == 200
    assert panel.keys("web1", new).status == 200
    assert wait_until(lambda: not FetchToken.objects.get(server=server).previous_digest)
    time.sleep(1)
    assert panel.keys("web1", old).status == 401
    newest = tokens.replace_token(ACTOR, server, at_once=True).secret
    time.sleep(1)
    assert panel.keys("web1", new).status == 401
    assert panel.keys("web1", newest).status == 200


def test_reports_are_kept_also_when_the_process_ends(panel) -> None:
    server, token = fetching_server("web1")
    etag = panel.keys("web1", token, Gestion_Keys_Holds="none").headers["etag"]
    assert wait_until(lambda: FetchReport.objects.filter(server=server, holds="none", status=200).exists())
    panel.keys("web1", token, Gestion_Keys_Holds=etag, Gestion_Keys_Problem="bad\x01 <b>", If_None_Match=etag)
    panel.process.terminate()
    panel.process.wait(PATIENCE_SECONDS)
    report = FetchReport.objects.get(server=server)
    assert (report.holds, report.status, report.address) == (etag.strip('"'), 304, "127.0.0.1")
    assert report.fetched_at is not None


def test_signing_keys_can_be_changed_without_a_moment_of_disbelief(panel, tmp_path) -> None:
    server, token = fetching_server("web1")
    let_in(server, "ada")
    first = panel.keys("web1", token)
    signing.prepare_next_key(ACTOR)
    assert signing.allowed_signers().count("\n") == 2
    signing.use_next_key(ACTOR)
    time.sleep(1)
    second = panel.keys("web1", token)
    assert second.headers["etag"] == first.headers["etag"]
    message, mark, signature = second.body.partition(LAST)
    assert signing.allowed_signers().count("\n") == 1
    assert verify(tmp_path, NAMESPACE, message + mark, signature)
    message, mark, signature = first.body.partition(LAST)
    assert not verify(tmp_path, NAMESPACE, message + mark, signature)


def test_while_the_database_is_in_trouble_nothing_is_answered_and_then_all_is_well(panel) -> None:
    server, token = fetching_server("web1")
    let_in(server, "ada")
    good = panel.keys("web1", token)
    with connection.cursor() as cursor:
        cursor.execute("ALTER TABLE keymanager_keysetrevision RENAME TO away")
    try:
        time.sleep(1)
        for etag in ("", good.headers["etag"]):
            reply = panel.keys("web1", token, If_None_Match=etag)
            assert (reply.status, reply.headers["retry-after"]) == (503, "10")
            assert panel.keys("web1", "wrong").status == 503
    finally:
        with connection.cursor() as cursor:
            cursor.execute("ALTER TABLE away RENAME TO keymanager_keysetrevision")
    # A look that began in the trouble may end a moment after it.
    assert wait_until(lambda: panel.keys("web1", token).status == 200)
    assert panel.keys("web1", token).body == good.body


def test_a_panel_whose_database_cannot_be_opened_says_503(transactional_db, tmp_path) -> None:
    (tmp_path / "db.sqlite3").mkdir()
    with running_panel(DATABASE_URL=f"sqlite:///{tmp_path}/db.sqlite3") as panel:
        assert panel.keys("web1", "any").status == 503
