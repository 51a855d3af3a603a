"""Probes from the panel, against servers on loopback."""

import socket
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest

from hosts.probes import failing
from hosts.state import HttpProbe, TcpProbe


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


def test_a_port_that_answers_is_proof(port: int) -> None:
    assert failing((TcpProbe("127.0.0.1", port),), 5) == ""


def test_a_port_that_opens_late_is_waited_for() -> None:
    with socket.socket() as late:
        late.bind(("127.0.0.1", 0))
        threading.Timer(0.5, late.listen).start()
        assert failing((TcpProbe("127.0.0.1", late.getsockname()[1], timeout=5),), 5) == ""


def test_a_closed_port_fails_in_its_time_and_says_where() -> None:
    words = failing((TcpProbe("127.0.0.1", 1, timeout=0.3),), 5)
    assert "127.0.0.1 port 1" in words


def test_a_page_must_have_the_status_and_the_words(port: int) -> None:
    url = f"http://127.0.0.1:{port}/"
    assert failing((HttpProbe(url, expect_body=b"page of"),), 5) == ""
    assert "another one" in failing((HttpProbe(url, expect_body=b"nothing", timeout=0.2),), 5)
    assert "answered 302, not 200" in failing((HttpProbe(f"{url}away", timeout=0.2),), 5)
    assert failing((HttpProbe(f"{url}away", expect_status=302),), 5) == ""


def test_a_page_can_be_asked_of_another_address_under_its_own_name(port: int) -> None:
    probe = HttpProbe(
        f"http://www.example.org:{port}/", expect_body=b"www.example.org", connect_to="127.0.0.1"
    )
    assert failing((probe,), 5) == ""
