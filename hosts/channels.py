"""Channels of an SSH connection: one that is a way through another server, and how each is closed."""

from contextlib import suppress
from typing import Any

import paramiko

from hosts import bounds


class CountingChannel:
    """A way through another server: a paramiko channel that keeps an allowance of its own.

    The connection beneath carries what comes through it, and is allowed as much.
    """

    def __init__(self, channel: Any, beneath: bounds.Allowance) -> None:
        self.channel = channel
        self.beneath = beneath
        self.allowance = bounds.Allowance()

    def __getattr__(self, name: str) -> Any:
        return getattr(self.channel, name)

    def recv(self, size: int) -> bytes:
        """See socket.recv. Raises Exceeded."""
        self.allowance.check()
        self.beneath.renew(bounds.QUIET_BYTES, None)
        data: bytes = self.channel.recv(size)
        self.allowance.took(len(data))
        return data

    def send(self, data: bytes) -> int:
        """See socket.send. Raises Exceeded."""
        self.allowance.check()
        return int(self.channel.send(data))

    def close(self) -> None:
        """See socket.close."""
        close_channel(self.channel)


def close_channel(channel: Any) -> None:
    """Close a paramiko channel, which tells the peer: one that takes nothing any more is no error."""
    with suppress(paramiko.SSHException, OSError, EOFError):
        channel.close()
