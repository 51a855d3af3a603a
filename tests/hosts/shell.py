"""An SSH server in this process that runs commands on this machine, for what needs a shell and no host."""

import subprocess
import threading
from collections.abc import Callable
from contextlib import suppress
from typing import IO, Any

import paramiko

from tests.hosts.hostile import FLOOD


def by_shell(channel: paramiko.Channel, command: bytes) -> None:
    """Serve a command as sshd does: a shell runs it, its streams stay apart, its code comes at the end."""
    transport: Any = channel.transport
    transport.global_request("ping", wait=True)  # answered once the client knows that its command was taken
    with subprocess.Popen(
        ["sh", "-c", command], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    ) as process:
        assert process.stdin is not None
        threading.Thread(target=_feed, args=(channel, process.stdin), daemon=True).start()
        streams = [
            threading.Thread(target=_copy, args=(process.stdout, channel.sendall)),
            threading.Thread(target=_copy, args=(process.stderr, channel.sendall_stderr)),
        ]
        for stream in streams:
            stream.start()
        for stream in streams:
            stream.join()
        code = process.wait()
        channel.send_exit_status(code if code >= 0 else 128 - code)  # 128 + n: by signal n
    channel.close()


def _feed(channel: paramiko.Channel, into: IO[bytes]) -> None:
    with into:
        while data := channel.recv(len(FLOOD)):
            into.write(data)
            into.flush()


def _copy(stream: Any, send: Callable[[bytes], None]) -> None:
    with suppress(OSError, EOFError):  # nobody listens any more
        while data := stream.read1(len(FLOOD)):
            send(data)
