"""One command on an SSH connection: its input, its output as it comes, its end in time."""

import select
import shlex
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import suppress

import paramiko

from hosts.host import OnOutput

GRACE = 3.0  # seconds that the host's own `timeout` has before we end the command from here
LINGER = (
    1.0  # seconds to wait for output after a command ended, when a process that it left holds its output open
)
NO_CODE = 255  # a signal ended the command; SSH does not tell paramiko which
_INLINE = (
    500_000  # bytes of input that fit an sshd's window (2 MiB), so that sending them cannot wait for reading
)


class Late(Exception):  # noqa: N818 - not an error yet: Host.run makes a TimedOut of it
    """The command did not end in time."""


class Lost(Exception):  # noqa: N818 - Host.run makes an Interrupted of it
    """The connection ended before the command did."""


# Tells its process number, which is also its process group's, and becomes the command
_TELL = 'echo $$; exec "$@"'


def command_line(argv: Sequence[str], timeout: float | None) -> bytes:
    """Write argv for the login shell that sshd hands it to, quoted word by word.

    With a timeout the host ends the command itself, also when the panel is gone; and its first line of output is its
    process number.
    """
    if timeout is None:
        line = f"exec {shlex.join(argv)}"
    else:
        line = f"exec env LC_ALL=C sh -c {shlex.quote(_TELL)} sh timeout -k 2 {timeout:g} {shlex.join(argv)}"
    return line.encode(errors="surrogateescape")


class Running:
    """A command that was started on an open channel. `group` is its process group on the host, once it told it."""

    def __init__(self, channel: paramiko.Channel, on_output: OnOutput | None, *, tells: bool) -> None:
        self.channel = channel
        self.on_output = on_output
        self.group: int | None = None
        self._telling: bytes | None = b"" if tells else None
        self.parts: dict[str, list[bytes]] = {"out": [], "err": []}

    def output(self, stream: str) -> bytes:
        """Give all that came on "out" or "err"."""
        return b"".join(self.parts[stream])

    def feed(self, stdin: bytes) -> None:
        """Send its whole input; it may end without having read it."""
        if len(stdin) > _INLINE:
            threading.Thread(target=self._send, args=(stdin,), daemon=True).start()
        else:
            self._send(stdin)

    def _send(self, stdin: bytes) -> None:
        # the command's end, or the connection's, is seen where we wait for it
        with suppress(OSError, EOFError, paramiko.SSHException):
            if stdin:
                self.channel.sendall(stdin)
            self.channel.shutdown_write()

    def wait(self, seconds: float) -> int:
        """Collect output until its end and give the exit code; raises Late and Lost."""
        end = time.monotonic() + seconds
        poll = select.poll()
        poll.register(self.channel.fileno(), select.POLLIN)
        lingering: float | None = None
        while True:
            self._drain()
            now = time.monotonic()
            if self.channel.status_event.is_set():
                lingering = lingering or now + LINGER
                if self.channel.eof_received or self.channel.closed or now > lingering:
                    break
            if now > end:
                raise Late
            # the end of a channel wakes the poll, its exit code does not
            poll.poll(5 if self.channel.eof_received else min(end - now, 0.5) * 1000 + 1)
        self._drain()
        return self._code()

    def _code(self) -> int:
        if self.channel.exit_status >= 0:
            return self.channel.exit_status
        transport = self.channel.get_transport()
        if not transport.is_active():
            raise Lost
        return NO_CODE

    def _drain(self) -> None:
        while self.channel.recv_ready():
            self._take("out", self.channel.recv)
        while self.channel.recv_stderr_ready():
            self._take("err", self.channel.recv_stderr)

    def _take(self, stream: str, recv: Callable[[int], bytes]) -> None:
        data = recv(65536)
        if stream == "out" and self._telling is not None:
            data = self._told(self._telling + data)
        self.parts[stream].append(data)
        if self.on_output is not None and data:
            self.on_output(stream, data)

    def _told(self, data: bytes) -> bytes:
        """Take the process number from the beginning of the output, and give the rest."""
        number, newline, rest = data.partition(b"\n")
        if not newline:
            self._telling = data
            return b""
        self._telling = None
        if number.isdigit():
            self.group = int(number)
        return rest

    def kill(self) -> None:
        """End it on the host with all that it started; what we cannot reach, the host's own `timeout` ends.

        Not by RFC 4254's signal request: OpenSSH refuses it in sessions of root.
        """
        transport = self.channel.get_transport()
        if self.group is None or not transport.is_active():
            return
        with suppress(OSError, EOFError, paramiko.SSHException):
            session = transport.open_session(timeout=GRACE)
            session.settimeout(GRACE)
            session.exec_command(f"kill -KILL -{self.group}")
            session.status_event.wait(GRACE)
            session.close()
