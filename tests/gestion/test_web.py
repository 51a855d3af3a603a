"""How a web process ends: who stands before its door is served, and who comes later goes elsewhere."""

import asyncio
import ctypes
import socket
import struct

import pytest

from gestion.web import (
    ATTACH_FILTER,
    DROP,
    LOAD_TCP_FLAGS,
    PASS,
    SKIP_UNLESS_SYN,
    Counted,
    _turn_newcomers_away,
)


async def panel(_scope, _receive, send) -> None:
    """An application that serves everything."""
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": b"a page"})


def status(counted: Counted, path: str) -> int:
    """What somebody is answered who asks for this path."""
    sent = []

    async def send(message) -> None:
        sent.append(message)

    async def receive() -> None:
        """Nothing comes."""

    asyncio.run(counted({"type": "http", "path": path, "client": ["192.0.2.1", 4711]}, receive, send))
    return sent[0]["status"]


def test_one_that_leaves_says_so_to_who_asks_how_it_is_and_serves_on():
    counted = Counted(panel)
    assert (status(counted, "/health/"), status(counted, "/")) == (200, 200)
    counted.leaving = True
    assert (status(counted, "/health/"), status(counted, "/")) == (503, 200)
    assert counted.open == 0


def test_it_is_known_whether_somebody_asks_how_it_is():
    counted = Counted(panel)
    status(counted, "/")
    assert counted.asked == float("-inf")
    status(counted, "/health/")
    assert counted.asked > 0


def test_a_door_that_is_about_to_close_keeps_who_stands_before_it_and_takes_nobody_more():
    with (
        socket.create_server(("127.0.0.1", 0)) as door,
        socket.create_connection(door.getsockname()) as early,
    ):
        _turn_newcomers_away(door)
        with pytest.raises(
            TimeoutError
        ):  # and not "refused", which would be told at once, or a connection that is reset
            socket.create_connection(door.getsockname(), timeout=0.3)
        inside, _address = door.accept()
        with inside:
            early.sendall(b"a form")
            assert inside.recv(100) == b"a form"
            inside.sendall(b"thanks")
            assert early.recv(100) == b"thanks"


def let_in_only_the_first_packet(door: socket.socket) -> None:
    """As if all that follows a connection's first packet were still on its way."""
    steps = struct.pack("HBBI" * 4, *LOAD_TCP_FLAGS, *SKIP_UNLESS_SYN, *PASS, *DROP)
    program = ctypes.create_string_buffer(steps, len(steps))
    door.setsockopt(socket.SOL_SOCKET, ATTACH_FILTER, struct.pack("HP", 4, ctypes.addressof(program)))


def test_who_was_answered_and_takes_himself_to_be_in_is_let_in():
    with socket.create_server(("127.0.0.1", 0)) as door:
        door.settimeout(30)
        let_in_only_the_first_packet(door)
        with socket.create_connection(door.getsockname()) as early:
            early.sendall(b"a form")
            _turn_newcomers_away(door)
            inside, _address = door.accept()
            with inside:
                assert inside.recv(100) == b"a form"
