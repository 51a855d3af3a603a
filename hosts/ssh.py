"""A host by SSH: Fabric connects (paramiko beneath), with pinned host keys and a timeout on everything."""

import secrets
import shlex
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING

import paramiko

from hosts import bounds, connecting, meter
from hosts.address import Address
from hosts.bounds import Allowance
from hosts.channels import CountingChannel, close_channel
from hosts.conversation import END_SECONDS, Conversation
from hosts.errors import AnswerTooLong, CommandFailed, HostError, Interrupted, TimedOut
from hosts.host import OnOutput, Result
from hosts.target import HostKey, Target

if TYPE_CHECKING:
    from fabric import Connection

ENDING_SECONDS = 30.0  # that a busy host gets to end what was begun on it, once it has taken our word
ENDED_IN_TIME = 124  # timeout(1)'s code for what it has ended

# A marked command's `timeout` passes the signal on to all that it started, and kills it if that does not help
_END = """grep -lsF GESTION_RUN={mark} /proc/[0-9]*/environ | while IFS=/ read -r _ _ pid _; do
  read -r name <"/proc/$pid/comm" && [ "$name" = timeout ] && kill "$pid"
done 2>/dev/null"""


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
        channel = self._channel()
        until = time.monotonic() + timeout  # not before: to connect has its own time
        allowance = self._allow(bounds.QUIET_BYTES, timeout + END_SECONDS)
        conversation = Conversation(channel, stdin, on_output, allowance)
        mark = "" if survive else secrets.token_hex(8)
        try:
            with self._interrupted_if_lost(timeout):
                # bytes, because a path need not be UTF-8
                line = command_line(argv, None if survive else timeout, mark)
                channel.exec_command(line.encode(errors="surrogateescape"))
                conversation.hold(until)
                code = self._code(channel)
            if mark and code == ENDED_IN_TIME and time.monotonic() >= until:
                raise TimeoutError  # noqa: TRY301  # the host's own time-out was heard of before ours had its turn
        except TimeoutError:
            self._end(channel, mark)
            words = conversation.err.decode(errors="replace")[-500:] or f"{argv[0]} was still running"
            raise TimedOut(self.name, words, seconds=timeout) from None
        except BaseException:  # also a Stop from on_output: the process on the host must not outlive it
            self._end(channel, mark)
            raise
        finally:
            close_channel(channel)
        self._allow(bounds.QUIET_BYTES, None)
        return Result(code, bytes(conversation.out), bytes(conversation.err), tuple(argv), self.name)

    def _code(self, channel: paramiko.Channel) -> int:
        if not channel.status_event.is_set() or channel.exit_status < 0:
            raise EOFError("the connection was closed before the command's end")
        return int(channel.exit_status)

    def _allow(self, size: int, seconds: float | None) -> Allowance:
        """Let so much come over the connection from now on."""
        allowance = connecting.allowance_of(self._connection) if self._connection else Allowance()
        allowance.renew(size, seconds)
        return allowance

    def _end(self, channel: paramiko.Channel, mark: str) -> None:
        """End what was started with this mark. By a command, because sshd does not pass signals on to root's."""
        close_channel(channel)
        connection = self._connection
        if not mark or connection is None or not connection.is_connected:
            return
        self._allow(bounds.QUIET_BYTES, 2 * END_SECONDS)
        try:
            ending = connection.transport.open_session(timeout=END_SECONDS)
            ending.exec_command(_END.format(mark=mark))
            self._allow(bounds.QUIET_BYTES, ENDING_SECONDS + END_SECONDS)
            ending.settimeout(ENDING_SECONDS)
            ending.recv(1)  # until its end
            ending.close()
            self._allow(bounds.QUIET_BYTES, None)
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
        warm = self._connection
        connection = self._connect()
        with self._interrupted_if_lost(self.target.connect_timeout):
            try:
                return self._open(connection)
            except (paramiko.SSHException, OSError, EOFError):
                if warm is None or connection is not warm or warm.is_connected:
                    raise
            return self._open(self._connect())  # it had died unseen, and nothing was begun on it

    def _open(self, connection: "Connection") -> paramiko.Channel:
        seconds = self.target.connect_timeout
        self._allow(bounds.QUIET_BYTES, seconds + END_SECONDS)
        opened: paramiko.Channel = connection.transport.open_session(timeout=seconds)
        return opened

    def _connect(self) -> "Connection":
        if self._connection is not None and self._connection.is_connected:
            return self._connection
        self.close()
        if self.target.gateway is not None:
            self._gateway = SSHHost(self.target.gateway)
        self._connection = connecting.open_connection(self.target, self.name, self._way_through())
        return self._connection

    def _way_through(self) -> CountingChannel | None:
        if self._gateway is None:
            return None
        return tunnel(self._gateway, self.target.address, self.target.connect_timeout)

    @contextmanager
    def _interrupted_if_lost(self, seconds: float) -> Iterator[None]:
        try:
            yield
        except TimeoutError:
            raise
        except (paramiko.SSHException, OSError, EOFError) as error:
            raise self._lost(error, seconds) from error

    def _lost(self, error: Exception, seconds: float) -> HostError:
        """Close the connection, and say how it was lost."""
        broken = connecting.allowance_of(self._connection).broken if self._connection else None
        self.close()
        if isinstance(broken or error, bounds.TooMuch):
            return AnswerTooLong(self.name, str(broken or error))
        if isinstance(broken, bounds.TooSlow):
            return TimedOut(self.name, "it took nothing, or gave nothing that can be read", seconds=seconds)
        return Interrupted(self.name, str(error) or type(error).__name__)


def command_line(argv: Sequence[str], timeout: float | None, mark: str = "") -> str:
    """The line for the host's login shell that runs argv as it is; with a time-out, the host itself keeps it too.

    Without `exec` the shell stays, and gives the end by a signal as code 128 + n; SSH would not tell it to paramiko.
    """
    words = shlex.join(argv)
    if timeout is None:
        return f"exec env LC_ALL=C {words}"
    marked = f" GESTION_RUN={mark}" if mark else ""
    return f"env LC_ALL=C{marked} timeout -k {END_SECONDS:g} {timeout:g} {words}; exit $?"


def tunnel(gateway: SSHHost, address: Address, timeout: float) -> CountingChannel:
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
