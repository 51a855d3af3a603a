"""Probes from the panel, against servers on loopback."""

import socket
import threading
import time
from collections.abc import Iterator
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, HTTPServer, ThreadingHTTPServer

import pytest

from hosts.probes import failing
from hosts.state import HttpProbe, TcpProbe
from tests.hostile_http import ENDLESS_LINES, TOO_MUCH, TOO_SLOW, Answer, answering
from tests.hosts.hostile import listening, memory_growth
from tests.own_certificate import own_certificate


class _Pages(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        code = 302 if self.path == "/away" else 200
        self.send_response(code)
        self.send_header("Location", "/")
        self.end_headers()
        self.wfile.write(f"page of {self.headers['Host'].split(':')[0]}".encode())

    def log_message(self, *args: object) -> None:
        """Say nothing."""


@pytest.fixture(scope="module")
def port() -> Iterator[int]:
    server = HTTPServer(("127.0.0.1", 0), _Pages)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield server.server_port
    server.shutdown()
    server.server_close()


@pytest.fixture(scope="module")
def secure_port(tmp_path_factory: pytest.TempPathFactory) -> Iterator[int]:
    """A web server whose certificate nobody vouches for."""
    context = own_certificate(tmp_path_factory.mktemp("tls"), "DNS:www.example.org")
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Pages)
    server.socket = context.wrap_socket(server.socket, server_side=True, do_handshake_on_connect=False)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield server.server_port
    server.shutdown()
    server.server_close()


def test_a_certificate_that_nobody_vouches_for_is_no_proof_unless_the_probe_says_so(secure_port: int) -> None:
    url = f"https://www.example.org:{secure_port}/"
    probe = HttpProbe(url, connect_to="127.0.0.1", timeout=2)
    assert "certificate" in failing((probe,), 5)
    assert failing((replace(probe, verify=False, timeout=30),), 30) == ""


def test_a_certificate_of_another_name_is_taken_where_any_certificate_is(secure_port: int) -> None:
    url = f"https://other.example.org:{secure_port}/"
    assert failing((HttpProbe(url, connect_to="127.0.0.1", verify=False, timeout=30),), 30) == ""


@pytest.mark.parametrize("url", ["ftp://127.0.0.1/", "http:///", "file:///etc/passwd"])
def test_only_web_pages_are_asked_for(url: str) -> None:
    assert "not an http(s) URL" in failing((HttpProbe(url, timeout=0.1),), 5)


def test_the_first_probe_that_fails_is_told_and_each_must_hold(port: int) -> None:
    good, bad = TcpProbe("127.0.0.1", port), TcpProbe("127.0.0.1", 1, timeout=0.1)
    assert "port 1" in failing((good, bad), 5)
    assert "port 1" in failing((bad, good), 5)
    assert failing((), 5) == ""


def test_a_port_that_answers_is_proof(port: int) -> None:
    assert failing((TcpProbe("127.0.0.1", port),), 5) == ""


def test_a_port_that_opens_late_is_waited_for() -> None:
    with socket.socket() as late:
        late.bind(("127.0.0.1", 0))
        threading.Timer(0.5, late.listen).start()
        assert failing((TcpProbe("127.0.0.1", late.getsockname()[1], timeout=30),), 30) == ""


def test_a_closed_port_fails_in_its_time_and_says_where() -> None:
    words = failing((TcpProbe("127.0.0.1", 1, timeout=0.3),), 5)
    assert "127.0.0.1 port 1" in words


def test_a_page_must_have_the_status_and_the_words(port: int) -> None:
    url = f"http://127.0.0.1:{port}/"
    assert failing((HttpProbe(url, expect_body=b"page of"),), 5) == ""
    assert "another one" in failing((HttpProbe(url, expect_body=b"nothing", timeout=2),), 5)
    assert "answered 302, not 200" in failing((HttpProbe(f"{url}away", timeout=2),), 5)
    assert failing((HttpProbe(f"{url}away", expect_status=302),), 5) == ""


def test_a_last_try_that_the_end_cut_short_does_not_hide_what_was_met_before() -> None:
    asked: list[socket.socket] = []

    def serve(connection: socket.socket) -> None:
        asked.append(connection)
        connection.recv(65536)
        if len(asked) == 1:
            connection.sendall(b"HTTP/1.1 503 Busy\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
        else:
            time.sleep(60)

    with listening(serve) as port:
        words = failing((HttpProbe(f"http://127.0.0.1:{port}/", timeout=2),), 5)
    assert len(asked) > 1
    assert "answered 503, not 200" in words


def test_a_page_can_be_asked_of_another_address_under_its_own_name(port: int) -> None:
    probe = HttpProbe(
        f"http://www.example.org:{port}/", expect_body=b"www.example.org", connect_to="127.0.0.1"
    )
    assert failing((probe,), 5) == ""


@pytest.mark.parametrize("answer", [*TOO_MUCH.values(), *ENDLESS_LINES.values()])
def test_a_page_without_end_is_looked_at_in_part(answer: Answer) -> None:
    with answering(answer) as hostile, memory_growth() as grown:
        probe = HttpProbe(f"http://127.0.0.1:{hostile}/", expect_body=b"nothing", timeout=1)
        assert failing((probe,), 2)
    assert grown() < 32


@pytest.mark.parametrize("answer", TOO_SLOW.values(), ids=TOO_SLOW.keys())
def test_a_page_that_drips_fails_in_its_time(answer: Answer) -> None:
    began = time.monotonic()
    with answering(answer) as hostile:  # for ever
        assert failing((HttpProbe(f"http://127.0.0.1:{hostile}/", timeout=1),), 2)
    assert time.monotonic() - began < 30
