"""What one request may cost: every page that is read, with hostile parameters, from the URL configuration itself.

Work is measured by the number and the length of the SQL that a page asks for, never by time.
"""

import re
from pathlib import Path
from urllib.parse import urlencode

import pytest
from asgiref.sync import async_to_sync
from django.conf import settings
from django.db import connection
from django.http import StreamingHttpResponse
from django.test import Client
from django.test.utils import CaptureQueriesContext
from hypothesis import given
from hypothesis import strategies as st

from gestion.asgi import application, utf8_only
from tests.fuzz.examples import tried
from tests.gestion.test_every_url import EVERY_URL, Url, signed_in
from tests.gestion.url_arguments import World, make_world

MOST_QUERIES = 150  # of one page
MOST_SQL = 20_000  # characters of one statement
MOST_JOINS = 40  # of one statement
ENDLESS = ("stream", "events", "live")
READ = [
    url for url in EVERY_URL if not url.name.endswith((*ENDLESS, "health"))
]  # health says 503 for what is ill
# What pages read from the query string, found in their source.
ASKED = re.compile(
    r"""(?:GET\.get\(|\btyped\(request, |\basked_number\(request, |\bFilter\(\s*)["'](\w+)["']"""
)
ROOMS = {path.parent for path in Path(settings.BASE_DIR).glob("*/apps.py")}
PARAMETERS = sorted(
    {"q", "sort", "page", "object", "from", "until"}
    | {name for room in ROOMS for path in room.rglob("*.py") for name in ASKED.findall(path.read_text())}
)
NASTY = [
    "a " * 1500,
    " ".join(f"w{number}" for number in range(400)),
    "a" * 3000,
    "\0",
    "a\0b",
    "\ud800",
    "%",
    "_" * 200,
    "9" * 25,
    "9223372036854775808",
    "9" * 4000,
    "-1",
    "１２",
    "²",
    "1e9",
    "0001-01-01",
    "9999-12-31",
    "2026-02-30",
    "--name",
    "servers.server:" + "9" * 30,
    "a:\0",
    "'\"<script>",
    "\u202e\u200b",
]
VALUES = st.sampled_from(NASTY) | st.text(max_size=50)
QUERIES = st.lists(st.tuples(st.sampled_from(PARAMETERS), VALUES), min_size=1, max_size=8)


JSON = "application/json"


@pytest.fixture
def world(db) -> World:
    return make_world()


def read(client: Client, path: str, query: list[tuple[str, str]], *, as_json: bool = False):
    """The answer to a GET, with all of a file that is sent as it is read. Fails for work without a bound."""
    accept = JSON if as_json else "text/html"
    sent = urlencode(query, errors="surrogatepass")
    with CaptureQueriesContext(connection) as asked:
        answer = client.get(path, QUERY_STRING=sent, headers={"Accept": accept})
        if isinstance(answer, StreamingHttpResponse) and not answer.is_async:
            answer.getvalue()
    told = f"{path}?{sent[:200]}: {answer.status_code}"
    assert answer.status_code < 500, told
    assert len(asked) <= MOST_QUERIES, f"{told}: {len(asked)} queries"
    for statement in asked.captured_queries:
        assert len(statement["sql"]) <= MOST_SQL, f"{told}: {statement['sql'][:2000]}"
        assert statement["sql"].count(" JOIN ") <= MOST_JOINS, f"{told}: {statement['sql'][:2000]}"
    return answer


def is_list(answer) -> bool:
    """Whether this page is a list or a search."""
    return answer.context is not None and ("listing" in answer.context or "words" in answer.context)


def test_the_parameters_of_pages_are_found():
    assert {"q", "sort", "page", "from", "until", "server", "host", "state", "part", "add"} <= set(PARAMETERS)


@pytest.mark.parametrize("number", range(2))
def test_every_page_bears_every_parameter(world, number):
    client = signed_in(world.admin)
    for place, url in enumerate(READ):
        query = [
            (name, NASTY[(at * 7 + place + number * 5) % len(NASTY)]) for at, name in enumerate(PARAMETERS)
        ]
        short = [(name, value) for name, value in query if len(value) < 500]
        assert len(urlencode(short, errors="surrogatepass")) < 8000
        read(client, url.path(world), short, as_json=number == 1)


def test_every_list_bears_every_search(world):
    client = signed_in(world.admin)
    lists = [url for url in READ if is_list(client.get(url.path(world)))]
    assert len(lists) > 15
    for place, url in enumerate(lists):
        for number, value in enumerate(NASTY[:5]):
            query = [
                ("q", value),
                ("sort", NASTY[7 + number]),
                ("page", NASTY[7 + (number * 2 + place) % 16]),
            ]
            read(client, url.path(world), query, as_json=number % 2 == 0)


@tried(60)
@given(url=st.sampled_from(READ), query=QUERIES, as_json=st.booleans())
def test_no_query_breaks_a_page(world, url: Url, query, as_json):
    read(signed_in(world.admin), url.path(world), query, as_json=as_json)


@pytest.mark.parametrize(
    "day", ["9999-12-31", "0001-01-01", "1969-12-31", "3000-01-01", "2026-02-30", "9" * 300]
)
@pytest.mark.parametrize("name", ["from", "until"])
def test_a_day_that_no_calendar_of_ours_has_is_refused(world, name, day):
    world.admin.time_zone = "Pacific/Kiritimati"
    world.admin.save()
    client = signed_in(world.admin)
    for path in ("/audit/", "/audit/download/"):
        answer = read(client, path, [(name, day)])
        assert answer.status_code == 400
        assert "is no day" in answer.content.decode()


def test_a_search_of_many_words_says_what_counts(world):
    client = signed_in(world.admin)
    words = " ".join(f"w{number}" for number in range(40))
    assert (
        b'id="list-cut">Only the beginning of this search counts'
        in client.get("/servers/", {"q": words}).content
    )
    assert b'id="list-cut" hidden>' in client.get("/servers/", {"q": "web1 example"}).content


@pytest.mark.parametrize(
    "query", ["q=" + "a" * 9000, "&".join(f"a{number}=1" for number in range(200)), "&" * 5000]
)
def test_an_address_that_asks_for_too_much_is_refused_before_anybody_is_looked_up(world, query):
    client = signed_in(world.admin)
    with CaptureQueriesContext(connection) as asked:
        answer = client.get("/servers/", QUERY_STRING=query)
    assert answer.status_code == 400
    assert len(asked) == 0
    assert b"asks for too much" in answer.content


@pytest.mark.parametrize("path", ["/servers/%00/", "/a%0Ab", "/static/%00.css", "/git/%00/", "/%ED%A0%80/"])
def test_a_path_with_control_characters_is_refused(db, path):
    assert Client().get(path).status_code == 404


def test_a_quoted_cookie_brings_no_control_character(db):
    cookie = 'sessionid="\\000aaaaaaaaaaaaaaaa"; theme="da\\012rk"; csrftoken="\\000"'
    answer = Client().get("/sign-in/", HTTP_COOKIE=cookie)
    assert answer.status_code in {200, 302}
    assert not answer.wsgi_request.COOKIES


NUL = b'{"username": "a\\u0000", "password": "x", "email": "a\\u0000@example.org", "next": "/\\u0000"}'
FORM = "application/x-www-form-urlencoded"
PARTS = "multipart/form-data; boundary=x"
PART = b'--x\r\nContent-Disposition: form-data; name="username"\r\n\r\n%s\r\n--x--\r\n'
BODIES = [
    (JSON, b"[" * 100_000),
    (JSON, b'{"username":' * 20_000),
    (JSON, b'{"username": "\\ud800", "password": "x", "email": "\\udfff@example.org"}'),
    (JSON, b'{"user\\u0000name": "a", "password": "x"}'),
    (JSON, b"{" + b",".join(b'"k%d":1' % number for number in range(230_000)) + b"}"),
    (JSON, b'{"a": [' + b",".join([b"1"] * 100_000) + b"]}"),
    (JSON, b'{"username": "a", "username": "b", "password": "x"}'),
    (JSON, b'{"username": NaN, "password": Infinity}'),
    (JSON, b'{"username": ' + b"9" * 5000 + b', "password": 1e999}'),
    (JSON, b'{"username": {"a": {"b": 1}}, "password": [[]]}'),
    (JSON, '{"username": "a"}'.encode("utf-16")),
    (JSON, b'{"username": "' + b'\\"' * 1_000_000),
    (JSON, b'{"username": "\xff"}'),
    (JSON, b'"' + b"a" * 3_000_000),
    (FORM, b"username=a%00&password=x&email=a%00@example.org"),
    (FORM, b"username=%ED%A0%80&password=x&email=%ED%A0%80@example.org"),
    (FORM, b"%00=1&username=%FF&password=%zz"),
    (FORM, b"&".join(b"k%d=1" % number for number in range(5000))),
    (FORM, b"username=" + b"a" * 3_000_000),
    (PARTS, PART % b"a\0b"),
    (PARTS, PART % b"\xed\xa0\x80"),
    (PARTS, b"--x\r\nContent-Disposition: form-data; name\r\n\r\n"),
    (PARTS, b"--y--"),
    ("multipart/form-data", b"x"),
]


@pytest.mark.parametrize(
    "path", ["/sign-in/", "/sign-in/code/", "/forgotten/", "/setup/", "/theme/", "/users/"]
)
@pytest.mark.parametrize("set_up", [True, False])
def test_no_body_of_a_stranger_breaks_the_panel_or_costs_it_much(db, path, set_up):
    if set_up:
        make_world()
    for kind, body in [*BODIES, (JSON, NUL)]:
        with CaptureQueriesContext(connection) as asked:
            answer = Client().post(path, body, content_type=kind)
        told = f"{path} {kind} {body[:60]!r}: {answer.status_code}"
        assert answer.status_code < 500, told
        assert len(asked) <= 20, told  # a wrong password is counted in several ways


BIG_NUMBER = b'{"username": 999'  # a number is taken as it is written, so it is only a strange name


@pytest.mark.parametrize(
    "body", [body for kind, body in BODIES if kind == JSON and not body.startswith(BIG_NUMBER)]
)
def test_json_above_a_limit_is_refused_with_400_before_anything_is_looked_up(world, body):
    with CaptureQueriesContext(connection) as asked:
        answer = Client().post("/sign-in/", body, content_type=JSON, headers={"Accept": JSON})
    assert answer.status_code == 400
    assert len(asked) <= 1  # whether there is an account at all


HEADERS = ["Accept", "Accept-Language", "Authorization", "Content-Type", "Cookie", "Host", "If-None-Match", "Range",
           "If-Modified-Since", "Last-Event-ID", "Origin", "Referer", "User-Agent", "X-Forwarded-For", "X-CSRFToken",
           "X-Gestion-Token", "X-Hub-Signature-256", "HX-Request", "Content-Length"]  # fmt: skip
HEADER = st.text(st.characters(min_codepoint=32, max_codepoint=255), max_size=60) | st.sampled_from(
    [
        "9" * 5000,
        "Bearer \xff",
        "Bearer " + "a" * 5000,
        'sessionid="\\000"',
        "a" * 8000,
        "bytes=9-1",
        "[::1",
        "*/*;q=" + "9" * 400,
    ]
)


@tried(80)
@given(
    headers=st.dictionaries(st.sampled_from(HEADERS), HEADER, min_size=1, max_size=4),
    path=st.sampled_from(
        ["/", "/sign-in/", "/health/", "/servers/", "/nothing", "/jobs/1/events/", "/static/no.css"]
    ),
    method=st.sampled_from(["GET", "HEAD", "POST", "OPTIONS", "TRACE"]),
)
def test_no_header_of_a_stranger_breaks_the_panel(world, headers, path, method):
    extra = {f"HTTP_{name.upper().replace('-', '_')}": value for name, value in headers.items()}
    if "Content-Type" in headers:
        extra["CONTENT_TYPE"] = headers["Content-Type"]
    answer = Client().generic(method, path, b"a=1" if method == "POST" else b"", **extra)
    assert answer.status_code < 500


def said_to(**scope) -> list[dict]:
    """What the application itself answers, before Django sees anything."""
    said = []

    async def receive():
        return {"type": "websocket.connect"}

    async def send(message):
        said.append(message)

    given = {"type": "http", "path": "/", "headers": [], "query_string": b"", "method": "GET", **scope}
    async_to_sync(application)(given, receive, send)
    return said


def test_a_web_socket_is_turned_away_without_a_fault():
    assert said_to(type="websocket") == [{"type": "websocket.close"}]


CHARSETS = [
    "zlib",
    "undefined",
    "idna",
    "punycode",
    "utf-7",
    "utf-16",
    "unicode_escape",
    "rot13",
    "base64",
    "cp037",
]


@pytest.mark.parametrize(
    "header", ["text/html; charset=%s", 'A/B;x=1; CHARSET="%s"', "a/b; charset*=utf-8''%s", "charset=%s"]
)
@pytest.mark.parametrize("charset", CHARSETS)
def test_no_charset_of_a_stranger_is_a_codec_of_ours(charset, header):
    said = said_to(headers=[(b"content-type", (header % charset).encode())])
    assert said[0]["status"] == 400


@pytest.mark.parametrize(
    "header", ["application/json; charset=UTF-8", 'text/x; charset="utf-8"; a=b', "text/x;charset=utf8"]
)
def test_utf8_may_be_named_and_is_what_there_is_anyway(header):
    scope = {"headers": [(b"accept", b"*/*"), (b"content-type", header.encode())]}
    kept = utf8_only(scope)
    assert kept is not None
    assert b"charset" not in dict(kept["headers"])[b"content-type"]
    assert dict(kept["headers"])[b"accept"] == b"*/*"
