"""A host by SSH: Fabric connects (paramiko beneath), with pinned host keys and a timeout on everything."""

import secrets
import select
import shlex
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import paramiko

from hosts import connecting, meter
from hosts.address import Address
from hosts.errors import CommandFailed, Interrupted, TimedOut
from hosts.host import OnOutput, Result

if TYPE_CHECKING:
    from fabric import Connection

SLICE = 32768  # bytes to read or write at once, what one SSH packet carries
PULSE = 0.5  # seconds between looks at a silent connection's health
LINGER_SECONDS = 1.0  # for the last words of a command that has ended but left a process with its output open
END_SECONDS = 5.0  # after this, what was told to end is killed
# A marked command's `timeout` passes the signal on to all that it started, and kills it if that does not help
_END = """grep -lsF GESTION_RUN={mark} /proc/[0-9]*/environ | while IFS=/ read -r _ _ pid _; do
  read -r name <"/proc/$pid/comm" && [ "$name" = timeout ] && kill "$pid"
done 2>/dev/null"""


@dataclass(frozen=True)
class Target:
    """How to reach a server. `known_keys` are its pinned public keys ("ssh-ed25519 AAAA…"); none: HostKeyUnknown.

    `private_key` is the panel's key as OpenSSH PEM text; `gateway` is the server to jump through; `connect_timeout`
    in seconds, for each of: TCP, SSH banner and key exchange, login.
    """

    address: Address
    known_keys: tuple[str, ...]
    private_key: str = field(repr=False)
    gateway: "Target | None" = None
    password: str | None = field(default=None, repr=False)
    connect_timeout: float = 10.0


@dataclass(frozen=True)
class HostKey:
    """A host's public key as in known_hosts ("ssh-ed25519 AAAA…") and its SHA256 fingerprint as ssh-keygen shows it."""

    key: str
    fingerprint: str


class SSHHost:
    """A host reached by SSH. Connects at first use; one thread at a time uses it."""

    def __init__(self, target: Target, name: str = "") -> None:
        self.target = target
        self.name = name or target.address.host
        self._connection: Connection | None = None
        self._gateway: SSHHost | None = None
        self._ready: paramiko.Channel | None = None

    def run(
        self,
        argv: Sequence[str],
        *,
        stdin: bytes = b"",
        timeout: float = 60.0,
        on_output: OnOutput | None = None,
        survive: bool = False,
    ) -> Result:
        """See Host.run."""
        with meter.outside():
            return self._run(argv, stdin, timeout, on_output, survive)

    def _run(
        self, argv: Sequence[str], stdin: bytes, timeout: float, on_output: OnOutput | None, survive: bool
    ) -> Result:
        until = time.monotonic() + timeout
        channel = self._channel()
        conversation = _Conversation(channel, stdin, on_output)
        mark = "" if survive else secrets.token_hex(8)
        try:
            with self._interrupted_if_lost():
                # bytes, because a path need not be UTF-8
                line = command_line(argv, None if survive else timeout, mark)
                channel.exec_command(line.encode(errors="surrogateescape"))
                conversation.hold(until)
        except TimeoutError:
            self._end(channel, mark)
            words = conversation.err.decode(errors="replace")[-500:] or f"{argv[0]} was still running"
            raise TimedOut(self.name, words, seconds=timeout) from None
        except BaseException:  # also a Stop from on_output: the process on the host must not outlive it
            self._end(channel, mark)
            raise
        finally:
            channel.close()
        code = self._code(channel)
        return Result(code, bytes(conversation.out), bytes(conversation.err), tuple(argv), self.name)

    def _code(self, channel: paramiko.Channel) -> int:
        if not channel.status_event.is_set() or channel.exit_status < 0:
            self.close()
            raise Interrupted(self.name, "the connection was closed before the command's end")
        return int(channel.exit_status)

    def _end(self, channel: paramiko.Channel, mark: str) -> None:
        """End what was started with this mark. By a command, because sshd does not pass signals on to root's."""
        channel.close()
        connection = self._connection
        if not mark or connection is None or not connection.is_connected:
            return
        try:
            ending = connection.transport.open_session(timeout=END_SECONDS)
            ending.settimeout(END_SECONDS)
            ending.exec_command(_END.format(mark=mark))
            ending.recv(1)  # until its end
            ending.close()
        except (paramiko.SSHException, OSError, EOFError):
            self.close()  # the host's own time-out remains

    def read(self, path: str) -> bytes | None:
        """See Host.read."""
        script = 'if [ -e "$1" ] || [ -L "$1" ]; then exec cat -- "$1"; else exit 44; fi'
        result = self.run(["sh", "-c", script, "sh", path])
        if result.code == 44 and not result.err:
            return None
        if result.code != 0:
            words = result.err.decode(errors="replace")[-4000:]
            raise CommandFailed(self.name, words, command=f"cat {shlex.quote(path)}", code=result.code)
        return result.out

    def close(self) -> None:
        """See Host.close."""
        connection, gateway = self._connection, self._gateway
        self._connection = self._gateway = self._ready = None
        if connection is not None:
            connection.close()
        if gateway is not None:
            gateway.close()

    def alive(self, timeout: float = 3.0) -> bool:
        """Whether the connection is open and the host answers on it; what it opens for that, the next run uses."""
        connection = self._connection
        if connection is None or not connection.is_connected:
            return False
        if self._ready is None:
            try:
                self._ready = connection.transport.open_session(timeout=timeout)
            except (paramiko.SSHException, OSError, EOFError):
                return False
        return not self._ready.closed

    def _channel(self) -> paramiko.Channel:
        ready, self._ready = self._ready, None
        if ready is not None and not ready.closed:
            return ready
        connection = self._connect()
        with self._interrupted_if_lost():
            opened: paramiko.Channel = connection.transport.open_session(timeout=self.target.connect_timeout)
            return opened

    def _connect(self) -> "Connection":
        if self._connection is not None and self._connection.is_connected:
            return self._connection
        self.close()
        if self.target.gateway is not None:
            self._gateway = SSHHost(self.target.gateway)
        self._connection = connecting.open_connection(self.target, self.name, self._way_through())
        return self._connection

    def _way_through(self) -> paramiko.Channel | None:
        if self._gateway is None:
            return None
        return tunnel(self._gateway, self.target.address, self.target.connect_timeout)

    @contextmanager
    def _interrupted_if_lost(self) -> Iterator[None]:
        try:
            yield
        except TimeoutError:
            raise
        except (paramiko.SSHException, OSError, EOFError) as error:
            self.close()
            raise Interrupted(self.name, str(error) or type(error).__name__) from error


class _Conversation:
    """What goes to a command and what comes from it, both at once, so that neither waits for the other."""

    def __init__(self, channel: paramiko.Channel, stdin: bytes, on_output: OnOutput | None) -> None:
        self.channel = channel
        self.left = memoryview(stdin)
        self.on_output = on_output
        self.out = bytearray()
        self.err = bytearray()
        self.told_end = False
        self.ended: float | None = None

    def hold(self, until: float) -> None:
        """Go on until the command has ended. Raises TimeoutError, or what a lost connection raises."""
        poll = select.poll()  # select cannot watch the high file numbers of a busy process
        poll.register(self.channel.fileno(), select.POLLIN)
        while True:
            moved = self._write() | self._read()
            if moved:
                continue
            if self._over():
                return
            left = until - time.monotonic()
            if left <= 0:
                raise TimeoutError
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
        return bool(data)


def command_line(argv: Sequence[str], timeout: float | None, mark: str = "") -> str:
    """The line for the host's login shell that runs argv as it is; with a time-out, the host itself keeps it too.

    Without `exec` the shell stays, and gives the end by a signal as code 128 + n; SSH would not tell it to paramiko.
    """
    words = shlex.join(argv)
    if timeout is None:
        return f"exec env LC_ALL=C {words}"
    marked = f" GESTION_RUN={mark}" if mark else ""
    return f"env LC_ALL=C{marked} timeout -k {END_SECONDS:g} {timeout:g} {words}; exit $?"


def _active(channel: paramiko.Channel) -> bool:
    return channel.transport is not None and channel.transport.is_active()


def tunnel(gateway: SSHHost, address: Address, timeout: float) -> paramiko.Channel:
    """A way to `address` through a gateway. Raises Unreachable, or what connecting to the gateway raises."""
    transport = gateway._connect().transport
    return connecting.open_tunnel(transport, gateway.name, address, timeout)


def read_host_key(address: Address, gateway: Target | None = None, timeout: float = 10.0) -> HostKey:
    """Give the key that the host shows at first contact; nothing is sent to it beyond the key exchange."""
    jump = SSHHost(gateway) if gateway else None
    try:
        sock = tunnel(jump, address, timeout) if jump else None
        key = connecting.shown_key(address, sock, timeout)
    finally:
        if jump:
            jump.close()
    return HostKey(connecting.line_of(key), connecting.fingerprint_of(key))
