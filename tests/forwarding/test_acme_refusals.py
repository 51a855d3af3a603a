"""What pebble never says: rate limits, faults and nonsense, from a small server that speaks just enough ACME."""

import http.server
import json
import threading
from collections.abc import Iterator
from contextlib import suppress
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from forwarding.acme_client import Authority, new_key
from forwarding.acme_troubles import AcmeTrouble, AuthorityAway
from tests.panel import free_port

LIMITED = "urn:ietf:params:acme:error:rateLimited"


class Refusing:
    """A directory whose newAccount answers as `answer` says: status, headers, body."""

    def __init__(self) -> None:
        self.answer: tuple[int, dict[str, str], bytes] = (500, {}, b"")
        self.port = free_port()
        outer = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                urls = {name: f"{outer.url}/{name}" for name in ("newNonce", "newAccount", "newOrder")}
                self._say(200, {"Content-Type": "application/json"}, json.dumps(urls).encode())

            def do_HEAD(self) -> None:
                self._say(200, {}, b"")

            def do_POST(self) -> None:
                self.rfile.read(int(self.headers["Content-Length"]))
                self._say(*outer.answer)

            def _say(self, status: int, headers: dict[str, str], body: bytes) -> None:
                self.send_response(status)
                for name, value in {
                    "Replay-Nonce": "AAAA",
                    "Content-Length": str(len(body)),
                    **headers,
                }.items():
                    self.send_header(name, value)
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_args: object) -> None:
                pass

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", self.port), Handler)
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def refuses(self, type_: str, detail: str, status: int = 429, **headers: str) -> AcmeTrouble:
        """How signing in ends when it refuses so."""
        body = json.dumps({"type": type_, "detail": detail}).encode()
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        self.answer = (status, {"Content-Type": "application/problem+json", **named}, body)
        return self.trouble()

    def trouble(self) -> AcmeTrouble:
        with pytest.raises(AcmeTrouble) as caught:
            Authority(f"{self.url}/dir", KEY).sign_in()
        return caught.value


KEY = new_key()


@pytest.fixture(scope="module")
def server() -> Iterator[Refusing]:
    made = Refusing()
    yield made
    made.server.shutdown()
    made.server.server_close()


def about(wait: timedelta, hours: float) -> bool:
    return abs(wait - timedelta(hours=hours)) < timedelta(minutes=1)


def test_a_rate_limit_says_how_long_to_wait(server):
    found = server.refuses(LIMITED, "too many new orders", Retry_After="7200")
    assert "too many new orders" in str(found)
    assert about(found.wait, 2)
    until = (datetime.now(UTC) + timedelta(hours=5)).strftime("%Y-%m-%d %H:%M:%S UTC")
    assert about(server.refuses(LIMITED, f"too many certificates, retry after {until}: see …").wait, 5)
    assert about(server.refuses(LIMITED, "enough").wait, 3)
    assert about(server.refuses(LIMITED, "retry after 2026-99-99 99:99:99").wait, 3)
    assert about(server.refuses(LIMITED, "enough", Retry_After="999999999").wait, 7 * 24)
    assert isinstance(server.refuses(LIMITED, "enough", Retry_After="9" * 30), AuthorityAway)


def test_a_fault_of_the_authority_is_no_refusal(server):
    found = server.refuses("urn:ietf:params:acme:error:serverInternal", "oh", 500, Retry_After="60")
    assert isinstance(found, AuthorityAway)
    server.answer = (
        503,
        {"Content-Type": "text/html", "Retry-After": "3600"},
        b"<h1>Service unavailable</h1>",
    )
    found = server.trouble()
    assert isinstance(found, AuthorityAway)
    assert "HTTP 503" in str(found)
    assert about(found.wait, 1)


def test_a_refusal_is_told_in_its_own_words_on_one_line(server):
    found = server.refuses("urn:ietf:params:acme:error:unauthorized", "account is\r\n deactivated", 403)
    assert not isinstance(found, AuthorityAway)
    assert str(found).endswith("refuses: account is deactivated")
    assert len(str(server.refuses("urn:ietf:params:acme:error:malformed", "x" * 5000, 400))) < 700


def test_an_endless_supply_of_refused_nonces_ends(server):
    assert isinstance(server.refuses("urn:ietf:params:acme:error:badNonce", "no", 400), AuthorityAway)


@settings(max_examples=80, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(
    status=st.sampled_from([200, 201, 204, 400, 403, 404, 409, 429, 500, 503]),
    body=st.binary(max_size=60) | st.recursive(
        st.none() | st.booleans() | st.integers() | st.text(max_size=9),
        lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=9), inner, max_size=3),
        max_leaves=5,
    ).map(lambda value: json.dumps(value).encode()),
    kind=st.sampled_from(["application/json", "application/problem+json", "text/html"]),
)  # fmt: skip
def test_whatever_it_answers_is_no_fault_of_the_panel(server, status, body, kind):
    server.answer = (status, {"Content-Type": kind}, b"" if status == 204 else body)
    with suppress(AcmeTrouble):
        Authority(f"{server.url}/dir", KEY).sign_in()
