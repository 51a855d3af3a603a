"""The shipped Caddyfiles in the real Caddy, before two real Daphnes."""

import contextlib
import http.client
import json
import os
import secrets
import shutil
import ssl
import subprocess
import time
from collections.abc import Iterator
from typing import Any

import pytest
import requests

from tests.containers.front import NAME, From, Front, front, is_well
from tests.panel import ROOT, free_port
from tests.waiting import wait_for

pytestmark = pytest.mark.lab
PASSWORD = "correct horse battery"
# What a caller may write to seem to be another, at another name, or to have come by HTTPS.
FORGED = {
    "X-Forwarded-For": "203.0.113.9", "X_Forwarded_For": "203.0.113.9", "Forwarded": "for=203.0.113.9;proto=http",
    "X-Real-IP": "203.0.113.9", "X-Forwarded-Proto": "http", "X_Forwarded_Proto": "http",
    "X-Forwarded-Host": "elsewhere.example.org", "Client-IP": "203.0.113.9", "True-Client-IP": "203.0.113.9",
}  # fmt: skip
SECRETS = ("query-secret", "token-secret", "bearer-secret", "spoken-secret", "hub-secret")
CADDYFILES = ["Caddyfile", "deploy/docker/Caddyfile", "deploy/two-servers/public.Caddyfile",
              "deploy/two-servers/app.Caddyfile"]  # fmt: skip


@pytest.fixture(scope="module", autouse=True)
def caddy() -> None:
    """Debian's Caddy."""
    if not shutil.which("caddy"):
        if os.environ.get("CI") == "true":
            pytest.fail("Caddy is missing: apt install caddy")
        pytest.skip("Caddy is missing: apt install caddy")


@pytest.fixture(scope="module")
def panel(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Front]:
    """Two web processes and a worker, with Caddy before them as on one machine."""
    with front(tmp_path_factory.mktemp("front")) as panel:
        create = f"from accounts.models import User; User.objects.create_superuser('ada', {PASSWORD!r})"
        panel.manage("shell", "-c", create)
        panel.caddy("Caddyfile")
        panel.ready(panel.browser())
        yield panel


@pytest.mark.parametrize("name", CADDYFILES)
def test_caddy_takes_it_and_finds_nothing_to_say(name: str) -> None:
    env = {"PATH": os.environ["PATH"], "HOME": "/nonexistent", "GESTION_HOST": "gestion.example.org",
           "GESTION_APP_SERVERS": "198.18.0.11 198.18.0.12", "GESTION_PRIVATE_ADDRESS": "127.0.0.1",
           "GESTION_PUBLIC_PROXY": "198.18.0.1"}  # fmt: skip
    argv = ["caddy", "validate", "--adapter", "caddyfile", "--config", str(ROOT / name)]
    done = subprocess.run(argv, env=env, capture_output=True, text=True, check=False)
    assert "Valid configuration" in done.stdout + done.stderr, done.stderr
    assert "not formatted" not in done.stderr


def check_plain_http(port: int) -> None:
    """It leads to HTTPS, and tells a script of old, which does not follow, where the new one is."""
    url, headers = f"http://127.0.0.1:{port}", {"Host": NAME}
    page = requests.get(f"{url}/sign-in/?next=/", headers=headers, timeout=20, allow_redirects=False)
    assert (page.status_code, page.headers["Location"]) == (308, f"https://{NAME}/sign-in/?next=/")
    for path in ("web1/root/", "web1/root", ""):
        asked = f"{url}/keymanager/servers/getKeys/{path}"
        keys = requests.get(asked, headers=headers, timeout=20, allow_redirects=False)
        assert (keys.status_code, keys.text[:2], keys.text.count("\n")) == (401, "# ", 1)
        assert f"An admin finds the script at https://{NAME}/keymanager/" in keys.text


def test_plain_http_leads_to_https_and_tells_scripts_of_old_where_the_new_one_is(panel: Front) -> None:
    check_plain_http(panel.http_port)


def sign_in(url: str, session: requests.Session, **headers: str) -> requests.Response:
    """Sign in as a browser does."""
    session.get(f"{url}/sign-in/", timeout=20)
    data = {"username": "ada", "password": PASSWORD, "csrfmiddlewaretoken": session.cookies["csrftoken"]}
    headers = {"Referer": f"{url}/sign-in/", **headers}
    answer = session.post(f"{url}/sign-in/", data=data, headers=headers, timeout=20)
    assert answer.status_code == 200
    assert "sign-in" not in answer.url
    return answer


def addresses_of_sign_ins(url: str, session: requests.Session) -> set[str]:
    """From where, as the audit trail has it, people signed in."""
    answer = session.get(f"{url}/audit/", headers={"Accept": "application/json"}, timeout=20)
    rows: list[dict[str, Any]] = answer.json()["rows"]
    return {row["address"] for row in rows if row["verb"] == "session.begin"}


def test_static_files_come_from_caddy_compressed_and_with_the_headers(panel: Front) -> None:
    session = panel.browser()
    before = sum(web.served("/static/") for web in panel.webs)
    answer = session.get(f"{panel.url}/static/panel.css", timeout=20)
    assert answer.status_code == 200
    assert answer.headers["Content-Type"].startswith("text/css")
    assert answer.headers["Strict-Transport-Security"] == "max-age=31536000"
    assert answer.headers["X-Content-Type-Options"] == "nosniff"
    assert "Server" not in answer.headers
    assert sum(web.served("/static/") for web in panel.webs) == before
    assert session.get(f"{panel.url}/static/../manage.py", timeout=20).status_code == 404
    assert session.get(f"{panel.url}/static/%2e%2e/data/secret_key", timeout=20).status_code == 404


def test_pages_carry_django_s_own_policy(panel: Front) -> None:
    answer = panel.browser().get(f"{panel.url}/sign-in/", timeout=20)
    (policy,) = answer.headers["Content-Security-Policy"].split("\n")
    assert "default-src 'self'" in policy
    assert "unsafe-inline" not in policy
    assert answer.headers["Strict-Transport-Security"] == "max-age=31536000"
    assert answer.headers["Content-Encoding"] in {"gzip", "zstd"}


def test_a_client_stays_with_its_server_and_clients_spread(panel: Front) -> None:
    wait_for(lambda: both_answer(panel), name="both servers, also one that another test had killed")
    servers = {}
    this_time = secrets.token_hex(4)  # what an earlier round left in the logs is not counted
    for number in range(2, 22):
        session = panel.browser(f"127.0.0.{number}")
        path = f"/sign-in/?client={number}&time={this_time}"
        for _time in range(3):
            session.get(panel.url + path, timeout=20)
        wait_for(lambda: sum(served(panel, path)) >= 3, name="the requests in the logs")  # noqa: B023
        counts = served(panel, path)
        assert sorted(counts) == [0, 3], "one client went to both"
        servers[number] = counts.index(3)
    assert set(servers.values()) == {0, 1}


def both_answer(panel: Front) -> bool:
    """Whether Caddy sends clients to both servers: some now go to the one, some to the other."""
    path = f"/sign-in/?both={secrets.token_hex(4)}"
    for number in range(2, 12):
        panel.browser(f"127.0.0.{number}").get(panel.url + path, timeout=20)
    wait_for(lambda: sum(served(panel, path)) >= 10, name="the requests in the logs")
    return min(served(panel, path)) > 0


def served(panel: Front, path: str) -> list[int]:
    """How many requests for this path each web process has had."""
    return [web.served(path) for web in panel.webs]


def test_the_callers_address_is_right_and_cannot_be_chosen(panel: Front) -> None:
    session = panel.browser("127.0.0.77")
    answer = sign_in(panel.url, session, **FORGED)
    assert answer.url.startswith(panel.url)
    assert "elsewhere" not in answer.text
    seen = addresses_of_sign_ins(panel.url, session)
    assert "127.0.0.77" in seen
    assert "203.0.113.9" not in seen


def guess(url: str, session: requests.Session, username: str, number: int) -> requests.Response:
    """A wrong password, each time with another address in every header that could carry one."""
    token = session.cookies["csrftoken"]
    data = {"username": username, "password": f"wrong {number}", "csrfmiddlewaretoken": token}
    claimed = {name: value.replace("203.0.113.9", f"203.0.113.{number}") for name, value in FORGED.items()}
    headers = {**claimed, "Referer": f"{url}/sign-in/"}
    return session.post(f"{url}/sign-in/", data=data, headers=headers, timeout=20)


def check_guesses_are_counted(url: str, session: requests.Session, username: str) -> None:
    """That wrong passwords are those of the address they come from, whatever they claim."""
    session.get(f"{url}/sign-in/", timeout=20)
    codes = [guess(url, session, username, number).status_code for number in range(1, 13)]
    assert codes[0] == 422, codes
    assert codes[-1] == 429, codes


def test_guesses_are_counted_whatever_address_they_claim(panel: Front) -> None:
    check_guesses_are_counted(panel.url, panel.browser("127.80.0.80"), "nobody")


def test_a_stream_arrives_line_by_line(panel: Front) -> None:
    session = panel.browser()
    sign_in(panel.url, session)
    headers = {
        "X-CSRFToken": session.cookies["csrftoken"] or "",
        "Referer": panel.url,
        "Accept": "application/json",
    }
    job = session.post(f"{panel.url}/jobs/test/", headers=headers, timeout=20).json()["id"]
    arrived = []
    with session.get(f"{panel.url}/jobs/{job}/stream", stream=True, timeout=30) as answer:
        assert answer.headers["Content-Type"] == "text/event-stream"
        assert "Content-Encoding" not in answer.headers
        for line in answer.iter_lines(chunk_size=1):
            if line.startswith(b"event: "):
                arrived.append((time.monotonic(), line[7:]))
            if line == b"event: end":
                break
    assert [name for _at, name in arrived].count(b"lines") >= 2
    assert arrived[-1][0] - arrived[0][0] > 1, "it all came at once, when it was over"


def test_a_request_that_is_too_large_is_refused_before_it_is_sent(panel: Front) -> None:
    context = ssl.create_default_context(cafile=str(panel.browser().verify))
    for path, length, status in (
        ("/sign-in/", 10_000_000, 413),
        ("/sign-in/", 9_999_999, 403),  # Django's, for want of a CSRF token
        ("/git_hook/x/", 30_000_000, 413),
        ("/git_hook/x/", 25_000_000, 404),
    ):
        connection = http.client.HTTPSConnection(NAME, panel.https_port, context=context, timeout=30)
        connection.putrequest("POST", path)
        connection.putheader("Content-Length", str(length))
        connection.endheaders(b"" if status == 413 else b"x" * length)
        assert connection.getresponse().status == status
        connection.close()


def test_a_body_of_unknown_length_is_cut(panel: Front) -> None:
    session = panel.browser("127.0.0.79")
    with contextlib.suppress(requests.RequestException):
        answer = session.post(f"{panel.url}/sign-in/", data=iter([b"x" * 1_000_000] * 11), timeout=30)
        assert answer.status_code >= 400
    assert panel.browser("127.0.0.79").get(f"{panel.url}/sign-in/", timeout=20).status_code == 200


def test_the_log_tells_of_requests_and_gives_nothing_away(panel: Front) -> None:
    session = panel.browser()
    sign_in(panel.url, session)
    cookies = [str(value) for value in session.cookies.values()]
    long = "cs5f3z-0123456789abcdef0123456789abcdef"
    session.get(
        f"{panel.url}/servers/?q=query-secret&token=token-secret",
        headers={
            "Authorization": "Bearer bearer-secret",
            "X-Gestion-Token": "spoken-secret",
            "X-Hub-Signature-256": "hub-secret",
            "Referer": f"{panel.url}/?token=token-secret",
        },
        timeout=20,
    )
    session.get(f"{panel.url}/password/{long}/", timeout=20)
    log = panel.folder / "caddy" / "log"
    wait_for(lambda: "/password/" in log.read_text(), log=log, name="the log line")
    text = log.read_text()
    for secret in (*SECRETS, *cookies, long, PASSWORD):
        assert secret not in text, secret
    lines = [json.loads(line) for line in text.splitlines()]
    (entry,) = [line for line in lines if line.get("request", {}).get("uri") == "/servers/?q=…&token=…"]
    assert entry["request"]["remote_ip"] == "127.0.0.1"
    assert entry["status"]


def test_when_one_server_dies_the_other_answers(panel: Front) -> None:
    session = panel.browser()
    for web in panel.webs:
        web.kill()
        for _time in range(5):
            assert session.get(f"{panel.url}/sign-in/", timeout=20).status_code == 200
        web.start()
        panel.ready(session)
    for web in panel.webs:
        web.kill()
    answer = session.get(f"{panel.url}/sign-in/", timeout=30)
    assert answer.status_code in {502, 503}
    assert "try again" in answer.text
    for web in panel.webs:
        web.start()
    panel.ready(session)


def test_a_public_caddy_before_two_application_servers(panel: Front) -> None:
    inside, outside, plain = str(free_port()), str(free_port()), free_port()
    servers = dict(zip(("127.0.0.5", "127.0.0.6"), panel.webs, strict=True))
    for address, web in servers.items():
        panel.caddy(
            "deploy/two-servers/app.Caddyfile",
            f"app-{address}",
            GESTION_HTTP_PORT=inside,
            GESTION_PRIVATE_ADDRESS=address,
            GESTION_PUBLIC_PROXY="127.0.0.1",
            GESTION_UPSTREAMS=f"127.0.0.1:{web.port}",
        )
    panel.caddy(
        "deploy/two-servers/public.Caddyfile",
        "public",
        GESTION_HTTP_PORT=str(plain),
        GESTION_HTTPS_PORT=outside,
        GESTION_APP_SERVERS=" ".join(f"{address}:{inside}" for address in servers),
    )
    url = f"https://{NAME}:{outside}"
    session = panel.browser("127.0.0.78", "public")
    wait_for(lambda: is_well(f"{url}/health/", session), name="the public Caddy")

    check_plain_http(plain)
    sign_in(url, session, **FORGED)
    assert "127.0.0.78" in addresses_of_sign_ins(url, session)
    assert "203.0.113.9" not in addresses_of_sign_ins(url, session)
    check_guesses_are_counted(url, panel.browser("127.81.0.81", "public"), "somebody")
    assert session.get(f"{url}/static/panel.css", timeout=20).status_code == 200

    # What the public proxy got without TLS is not called HTTPS behind it: no keys, no form, only the way to HTTPS.
    inner = f"http://127.0.0.5:{inside}"
    for told in ({"X-Forwarded-For": "203.0.113.9", "X-Forwarded-Proto": "http"}, {}):
        headers = {"Host": NAME, **told}
        page = requests.get(f"{inner}/sign-in/", headers=headers, timeout=20, allow_redirects=False)
        assert (page.status_code, page.headers["Location"][:8]) == (301, "https://")
        asking = {**headers, "Authorization": "Bearer gsk_of-a-server"}
        keys = requests.get(f"{inner}/keymanager/servers/getKeys/web1/", headers=asking, timeout=20)
        assert keys.status_code == 403

    # Who is in the private network, but is not the public proxy, gets no word.
    stranger = requests.Session()
    stranger.mount("http://", From("127.0.0.9"))
    for address in servers:
        with pytest.raises(requests.ConnectionError):
            stranger.get(f"http://{address}:{inside}/sign-in/", headers={"Host": NAME}, timeout=20)

    for web in panel.webs:
        web.kill()
        wait_for(lambda: is_well(f"{url}/sign-in/", session), name="the other application server")
        web.start()
        panel.ready(panel.browser())
