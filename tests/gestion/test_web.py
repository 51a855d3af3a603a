"""How a web process ends: who stands before its door is served, and who comes later goes elsewhere."""

import socket

import pytest

from gestion.web import _turn_away


def test_a_door_that_is_about_to_close_keeps_who_stands_before_it_and_takes_nobody_more():
    with (
        socket.create_server(("127.0.0.1", 0)) as door,
        socket.create_connection(door.getsockname()) as early,
    ):
        _turn_away(door)
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
