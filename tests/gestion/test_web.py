"""How a web process ends: who stands before its door is served, and who comes later goes elsewhere."""

import ctypes
import socket
import struct

import pytest

from gestion.web import ATTACH_FILTER, DROP, LOAD_TCP_FLAGS, PASS, SKIP_UNLESS_SYN, _turn_newcomers_away


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
