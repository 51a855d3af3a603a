"""Connections are made side by side in many threads."""

import socket
import sys
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from hosts.address import Address
from hosts.errors import Unreachable
from hosts.ssh import SSHHost
from hosts.target import Target


@pytest.fixture
def no_ssh_server():
    """A port on which every connection is closed at once."""
    listener = socket.create_server(("127.0.0.1", 0), backlog=100)

    def serve() -> None:
        while True:
            try:
                listener.accept()[0].close()
            except OSError:
                return

    threading.Thread(target=serve, daemon=True).start()
    yield listener.getsockname()[1]
    listener.shutdown(socket.SHUT_RDWR)
    listener.close()


def test_many_threads_do_not_disturb_each_other(no_ssh_server: int) -> None:
    target = Target(Address("127.0.0.1", port=no_ssh_server), (), "")

    def connect(_number: int) -> type[BaseException] | None:
        try:
            SSHHost(target).run(["true"])
        except Exception as error:  # noqa: BLE001 - whatever it is, the assertion shows it
            return type(error)
        return None

    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-5)
    try:
        with ThreadPoolExecutor(20) as pool:
            assert set(pool.map(connect, range(200))) == {Unreachable}
    finally:
        sys.setswitchinterval(before)
