"""One command on a host: what goes to it and what comes from it, within the bounds of both bytes and time."""

import select
import time

import paramiko

from hosts import bounds
from hosts.bounds import Allowance
from hosts.host import OnOutput

SLICE = 32768  # bytes to read or write at once, what one SSH packet carries
PULSE = 0.5  # seconds between looks at a silent connection's health
LINGER_SECONDS = 1.0  # for the last words of a command that has ended but left a process with its output open
END_SECONDS = 5.0  # after this, what was told to end is killed


class Conversation:
    """What goes to a command and what comes from it, both at once, so that neither waits for the other.

    What is handed on by `on_output` may be as long as its time allows, and only its end is kept.
    """

    def __init__(
        self, channel: paramiko.Channel, stdin: bytes, on_output: OnOutput | None, allowance: Allowance
    ) -> None:
        self.channel = channel
        self.allowance = allowance
        self.left = memoryview(stdin)
        self.on_output = on_output
        self.out = bytearray()
        self.err = bytearray()
        self.told_end = False
        self.ended: float | None = None

    def hold(self, until: float) -> None:
        """Go on until the command has ended. Raises TimeoutError, TooMuch, or what a lost connection raises."""
        self.allowance.renew(bounds.WIRE_BYTES, max(until - time.monotonic(), 0) + END_SECONDS)
        poll = select.poll()  # select cannot watch the high file numbers of a busy process
        poll.register(self.channel.fileno(), select.POLLIN)
        while True:
            moved = self._write() | self._read()
            if not moved and self._over():
                return
            left = until - time.monotonic()
            if left <= 0:
                raise TimeoutError
            if moved:
                self._hand_on(left)
                continue
            pause = min(left, PULSE if self.told_end else 0.01)
            poll.poll(pause * 1000)

    def _over(self) -> bool:
        channel = self.channel
        if channel.closed or not _active(channel):
            # What came together with the end is read first.
            return not (channel.recv_ready() or channel.recv_stderr_ready())
        if not channel.exit_status_ready():
            return False
        if self.ended is None:
            self.ended = time.monotonic()
        return bool(channel.eof_received) or time.monotonic() - self.ended > LINGER_SECONDS

    def _write(self) -> bool:
        if self.told_end or self.channel.closed:
            return False
        if len(self.left) and self.channel.send_ready():
            try:
                sent = self.channel.send(self.left[:SLICE].tobytes())
            except OSError:  # the command closed its input: as with a pipe, what it says itself counts
                sent = len(self.left)
            self.left = self.left[sent:]
            return True
        if not len(self.left):
            self.told_end = True
            self.channel.shutdown_write()
        return False

    def _read(self) -> bool:
        moved = False
        if self.channel.recv_ready():
            moved = self._take("out", self.out, self.channel.recv(SLICE))
        if self.channel.recv_stderr_ready():
            moved = self._take("err", self.err, self.channel.recv_stderr(SLICE)) or moved
        return moved

    def _take(self, stream: str, into: bytearray, data: bytes) -> bool:
        into += data
        if data and self.on_output is not None:
            self.on_output(stream, data)
            del into[: -bounds.LAST_BYTES]
        elif len(self.out) + len(self.err) > bounds.ANSWER_BYTES:
            raise bounds.TooMuch(f"more than {bounds.shown(bounds.ANSWER_BYTES)}")
        return bool(data)

    def _hand_on(self, left: float) -> None:
        """As much as was handed on may come again: a host that is faster waits for us."""
        if self.on_output is not None:
            self.allowance.renew(bounds.WIRE_BYTES, left + END_SECONDS)


def _active(channel: paramiko.Channel) -> bool:
    return channel.transport is not None and channel.transport.is_active()
