"""A host by SSH: Fabric connects (paramiko beneath), with pinned host keys and a timeout on everything."""

import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from functools import cache, partial
from typing import Any, Self, TypeVar

import fabric
import paramiko

from hosts import transport as ssh
from hosts.address import Address
from hosts.channel import GRACE, Late, Lost, Running, command_line
from hosts.errors import (
    HostError,
    HostKeyUnknown,
    Interrupted,
    LoginRefused,
    TimedOut,
    Unreachable,
)
from hosts.host import OnOutput, Result

_T = TypeVar("_T")


@dataclass(frozen=True)
class Target:
    """How to reach a server. `known_keys` are its pinned public keys ("ssh-ed25519 AAAA…"); none:
    HostKeyUnknown.

    `private_key` is the panel's key as OpenSSH PEM text; `gateway` is the server to jump through;
    `connect_timeout` in seconds, for each of: TCP, SSH banner and key exchange, login, the opening of a
    channel.
    """

    address: Address
    known_keys: tuple[str, ...]
    private_key: str = field(repr=False)
    gateway: "Target | None" = None
    password: str | None = field(default=None, repr=False)
    connect_timeout: float = 10.0
    lost_after: float = 15.0


@dataclass(frozen=True)
class HostKey:
    """A host's public key as in known_hosts ("ssh-ed25519 AAAA…") and its fingerprint as ssh-keygen shows
    it.
    """

    key: str
    fingerprint: str


class SSHHost:
    """A host reached by SSH. Connects at first use, and again when the connection was lost between two
    uses.
    """

    def __init__(self, target: Target, name: str = "") -> None:
        self.target = target
        self.name = name or target.address.host
        self._connection: fabric.Connection | None = None

    def run(
        self,
        argv: Sequence[str],
        *,
        stdin: bytes = b"",
        timeout: float = 60.0,
        on_output: OnOutput | None = None,
        survive: bool = False,
    ) -> Result:
        """See Host.run. Also raises Unreachable, HostKeyUnknown, HostKeyChanged and LoginRefused."""
        line = command_line(argv, None if survive else timeout)
        begun = time.monotonic()
        running = Running(self._start(line), on_output, tells=not survive)
        try:
            running.feed(stdin)
            code = running.wait(timeout if survive else timeout + GRACE)
        except Late:
            self._end(running, survive=survive)
            raise TimedOut(self.name, argv[0], seconds=timeout) from None
        except Lost:
            self.close()
            raise Interrupted(self.name, "the connection ended") from None
        except BaseException:
            # whatever on_output raised (Stop, for one) passes on, but ends the command first
            self._end(running, survive=survive)
            raise
        running.channel.close()
        if not survive and code in {124, 137} and time.monotonic() - begun >= timeout:
            raise TimedOut(self.name, argv[0], seconds=timeout)
        return Result(code, running.output("out"), running.output("err"), tuple(argv), self.name)

    def _end(self, running: Running, *, survive: bool) -> None:
        if not survive:
            running.kill()
        running.channel.close()

    def _start(self, line: bytes) -> paramiko.Channel:
        """Open a channel and start line on it; a connection that died since its last use is made anew,
        once.
        """
        warm = self.connected
        try:
            return self._execute(line)
        except (paramiko.SSHException, EOFError, OSError) as error:
            self.close()
            if not warm:
                raise Unreachable(self.name, _words(error)) from error
        try:
            return self._execute(line)
        except (paramiko.SSHException, EOFError, OSError) as error:
            self.close()
            raise Unreachable(self.name, _words(error)) from error

    def _execute(self, line: bytes) -> paramiko.Channel:
        channel = self.transport.open_session(timeout=self.target.connect_timeout)
        channel.settimeout(self.target.connect_timeout)
        channel.exec_command(line)
        return channel

    @property
    def transport(self) -> paramiko.Transport:
        """The SSH connection, made if there is none; raises what connecting raises."""
        connection = self._connection
        if connection is None or not self.connected:
            self.close()
            connection = self._connection = connect(self.target, self.name)
        live: paramiko.Transport = connection.transport
        return live

    @property
    def connected(self) -> bool:
        """Whether there is a connection that is not known to be dead."""
        connection = self._connection
        return connection is not None and connection.transport is not None and connection.transport.active

    def alive(self) -> bool:
        """Ask the host for a sign of life over the connection that is there."""
        if self.connected:
            with suppress(paramiko.SSHException, EOFError, OSError):
                self.transport.global_request("keepalive@openssh.com", wait=True)
        return self.connected

    def read(self, path: str) -> bytes | None:
        """See Host.read."""
        result = self.run(["cat", "--", path])
        if result.code != 0 and b"No such file or directory" in result.err:
            return None
        return result.check().out

    def close(self) -> None:
        """See Host.close."""
        connection, self._connection = self._connection, None
        _close(connection)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *args: object) -> None:
        self.close()


def _close(connection: fabric.Connection | None) -> None:
    while connection is not None:
        with suppress(paramiko.SSHException, EOFError, OSError):
            connection.close()
        connection = connection.gateway


@cache
def _fabric_config() -> fabric.Config:
    """Give a configuration that looks at no file of ours or of the user, nor at ~/.ssh/config."""
    return fabric.Config(lazy=True, overrides={"load_ssh_configs": False})


def connect(target: Target, name: str) -> fabric.Connection:
    """Log in to a target, through its gateway; raises Unreachable, HostKeyUnknown, HostKeyChanged,
    LoginRefused.
    """
    if not target.known_keys:
        shown = read_host_key(target.address, target.gateway, target.connect_timeout)
        raise HostKeyUnknown(name, key=shown.key, fingerprint=shown.fingerprint)
    gateway = connect(target.gateway, target.gateway.address.host) if target.gateway else None
    connection = _connection(target, name, gateway)
    try:
        _guarded(connection.open, name)
        connection.transport.set_keepalive(max(int(target.lost_after / 3), 1))
    except _NoSuchKey as error:
        _close(connection)
        shown = read_host_key(target.address, target.gateway, target.connect_timeout)
        raise ssh.changed(name, target.known_keys, shown.key) from error
    except BaseException:
        # also what is no error of ours: no connection stays open behind an exception
        _close(connection)
        raise
    return connection


def _connection(target: Target, name: str, gateway: fabric.Connection | None) -> fabric.Connection:
    seconds = target.connect_timeout
    types = ssh.key_types(target.known_keys)
    settings: dict[str, Any] = {
        "pkey": ssh.private_key(target.private_key) if target.private_key else None,
        "password": target.password,
        "allow_agent": False,
        "look_for_keys": False,
        "compress": False,
        "timeout": seconds,
        "banner_timeout": seconds,
        "auth_timeout": seconds,
        "channel_timeout": seconds,
        "transport_factory": lambda sock, **_: ssh.Transport(sock, types),
    }
    address = target.address
    if gateway is None:
        opening = partial(ssh.open_socket, address.host, address.port, seconds, target.lost_after)
        settings["sock"] = _guarded(opening, name)
    made = fabric.Connection(
        address.host,
        address.user,
        address.port,
        config=_fabric_config(),
        gateway=gateway,
        forward_agent=False,
        connect_kwargs=settings,
    )
    made.client.set_missing_host_key_policy(ssh.PinnedKeys(name, target.known_keys))
    return made


class _NoSuchKey(Exception):  # noqa: N818 - turned into HostKeyChanged
    """The host has no key of the pinned ones' types any more."""


def _guarded(step: Callable[[], _T], name: str) -> _T:
    """Do a step of connecting, and raise its failure as one of our errors."""
    try:
        return step()
    except HostError:
        raise
    except paramiko.AuthenticationException as error:
        # paramiko's word for "no answer while logging in" is a refusal too
        kind = Unreachable if "timeout" in str(error).lower() else LoginRefused
        raise kind(name, _words(error)) from error
    except paramiko.SSHException as error:
        if "no acceptable host key" in str(error).lower():
            raise _NoSuchKey from error
        raise Unreachable(name, _words(error)) from error
    except (OSError, EOFError) as error:
        raise Unreachable(name, _words(error)) from error


def _words(error: BaseException) -> str:
    return str(error) or type(error).__name__


def read_host_key(address: Address, gateway: Target | None = None, timeout: float = 10.0) -> HostKey:
    """Give the key that the host shows at first contact; nothing is sent to it beyond the key exchange.

    Raises Unreachable, and for the gateway what connecting to it raises.
    """
    through = connect(gateway, gateway.address.host) if gateway else None
    try:
        shown = _guarded(partial(_shown_key, address, through, timeout), address.host)
    finally:
        _close(through)
    text = ssh.public_text(shown)
    return HostKey(text, ssh.fingerprint(text))


def _shown_key(address: Address, through: fabric.Connection | None, timeout: float) -> paramiko.PKey:
    if through is None:
        sock: Any = ssh.open_socket(address.host, address.port, timeout, timeout)
    else:
        place = (address.host, address.port)
        sock = through.transport.open_channel("direct-tcpip", place, ("", 0), timeout=timeout)
    contact = ssh.Transport(sock)
    contact.banner_timeout = timeout
    try:
        contact.start_client(timeout=timeout)
        return contact.get_remote_server_key()
    finally:
        contact.close()
