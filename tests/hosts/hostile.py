"""Servers that do not play by the rules: an SSH server that lets us in and then misbehaves, and one below SSH."""

import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from io import StringIO
from typing import Any

import paramiko
import psutil

from hosts.address import Address
from hosts.target import Target

KEY = paramiko.ECDSAKey.generate()
FLOOD = b"x" * 32768
Act = Callable[[paramiko.Channel], None]
Serve = Callable[[paramiko.Channel, bytes], None]


class _Server(paramiko.ServerInterface):
    """Lets everybody in, and serves each command; `silent`: never says that it takes one."""

    def __init__(self, serve: Serve, *, silent: bool) -> None:
        self.serve, self.silent = serve, silent

    def check_auth_publickey(self, username: str, key: paramiko.PKey) -> int:
        return int(paramiko.common.AUTH_SUCCESSFUL)

    def get_allowed_auths(self, username: str) -> str:
        return "publickey"

    def check_channel_request(self, kind: str, chanid: int) -> int:
        return int(paramiko.common.OPEN_SUCCEEDED)

    def check_channel_exec_request(self, channel: paramiko.Channel, command: bytes) -> bool:
        threading.Thread(target=self._do, args=(channel, command), daemon=True).start()
        if self.silent:
            time.sleep(60)
        return True

    def _do(self, channel: paramiko.Channel, command: bytes) -> None:
        with suppress(OSError, EOFError, paramiko.SSHException):
            self.serve(channel, command)


def private_key() -> str:
    """A key that logs in there."""
    text = StringIO()
    KEY.write_private_key(text)
    return text.getvalue()


@contextmanager
def listening(serve: Callable[[socket.socket], None]) -> Iterator[int]:
    """A TCP server on loopback that calls `serve` with each connection, in a thread; gives its port."""
    listener = socket.create_server(("127.0.0.1", 0))
    taken: list[socket.socket] = []

    def accept() -> None:
        while True:
            try:
                connection, _ = listener.accept()
            except OSError:
                return
            taken.append(connection)
            threading.Thread(target=_quietly, args=(serve, connection), daemon=True).start()

    threading.Thread(target=accept, daemon=True).start()
    try:
        yield listener.getsockname()[1]
    finally:
        listener.shutdown(socket.SHUT_RDWR)
        listener.close()
        for connection in taken:
            connection.close()


def _quietly(serve: Callable[[socket.socket], None], connection: socket.socket) -> None:
    with suppress(OSError, EOFError, paramiko.SSHException):
        serve(connection)


@contextmanager
def ssh_server(serve: Serve, *, silent: bool = False) -> Iterator[Target]:
    """An SSH server on loopback that serves each command so; gives how to reach it."""

    def talk(connection: socket.socket) -> None:
        transport = paramiko.Transport(connection)
        transport.add_server_key(KEY)
        transport.start_server(server=_Server(serve, silent=silent))
        transport.join(60)

    with listening(talk) as port:
        # It lets everybody in, however long that takes on a busy machine
        yield replace(target_at(port), connect_timeout=20.0)


@contextmanager
def hostile(act: Act, *, silent: bool = False) -> Iterator[Target]:
    """An SSH server that does `act` with each command; gives how to reach it."""
    with ssh_server(lambda channel, _command: act(channel), silent=silent) as target:
        yield target


def target_at(port: int) -> Target:
    """How to reach a hostile server on loopback, which is not waited for for long."""
    line = f"{KEY.get_name()} {KEY.get_base64()}"
    return Target(Address("127.0.0.1", port=port), (line,), private_key(), connect_timeout=2.0)


def send_beyond_the_window(channel: paramiko.Channel, data: bytes = FLOOD) -> None:
    """Send channel data whatever the other side has room for."""
    message = paramiko.Message()
    message.add_byte(paramiko.common.cMSG_CHANNEL_DATA)
    message.add_int(channel.remote_chanid)
    message.add_string(data)
    transport: Any = channel.transport
    transport._send_message(message)


@contextmanager
def memory_growth() -> Iterator[Callable[[], int]]:
    """Gives the most MiB by which this process has grown within the block."""
    process = psutil.Process()
    before = process.memory_info().rss
    most, over = before, threading.Event()

    def watch() -> None:
        nonlocal most
        while not over.wait(0.01):
            most = max(most, process.memory_info().rss)

    watcher = threading.Thread(target=watch, daemon=True)
    watcher.start()
    try:
        yield lambda: (most - before) // 1024**2
    finally:
        over.set()
        watcher.join()
