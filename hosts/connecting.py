"""Opening SSH connections: the socket, the pinned host key, the login; each failure as its own error."""

import base64
import logging
import socket
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from functools import lru_cache
from io import StringIO
from typing import Any, NoReturn

import fabric
import paramiko
from paramiko.packet import Packetizer

from hosts import bounds
from hosts.address import Address
from hosts.bounds import Allowance
from hosts.channels import CountingChannel
from hosts.errors import HostKeyChanged, HostKeyUnknown, LoginRefused, Unreachable
from hosts.target import Target

logging.getLogger("paramiko").setLevel(logging.CRITICAL)  # what fails reaches us as an exception

KEEPALIVE_SECONDS = 10
LOGIN_STEPS = 4  # that may each take the time that is allowed to connect: key exchange, and ways to log in
DEAD_SECONDS = 25  # unanswered for this long, a connection counts as lost
_NOT_FROM_FILES = {"load_ssh_configs": False}  # what ~/.ssh or fabric.yml say is not ours to follow


class PromptSocket(bounds.CountingSocket):
    """A TCP socket that acknowledges at once, which saves 40 ms of each login.

    sshd leaves Nagle's algorithm on until the session begins: its next packet waits for our acknowledgement, which
    the kernel delays. TCP_QUICKACK sends it, but has to be asked for again and again (tcp(7)).
    """

    def recv(self, *words: int) -> bytes:
        """See socket.recv."""
        self.setsockopt(socket.IPPROTO_TCP, socket.TCP_QUICKACK, 1)
        return super().recv(*words)

    def close(self) -> None:
        """Close it, and wake the thread that waits for something to read."""
        with suppress(OSError):  # the peer was faster
            self.shutdown(socket.SHUT_RDWR)
        super().close()


Way = PromptSocket | CountingChannel


class BoundedPackets(Packetizer):
    """SSH packets of bounded length; paramiko would wait for the 4 GiB that a header may promise."""

    def read_all(self, n: int, check_rekey: bool = False) -> bytes:
        """See Packetizer.read_all. Raises SSHException."""
        if n > bounds.PACKET_BYTES:
            raise paramiko.SSHException("it sent a packet that is too long")
        data: bytes = super().read_all(n, check_rekey)
        return data


class FastTransport(paramiko.Transport):
    """curve25519 first: the post-quantum exchange costs the host seven times the processor time (measured)."""

    _active_check_timeout = 1.0  # seconds; paramiko's 0.1 wakes every warm connection ten times a second
    _preferred_kex = (
        "curve25519-sha256@libssh.org",
        "mlkem768x25519-sha256",
        "ecdh-sha2-nistp256",
        "ecdh-sha2-nistp384",
        "ecdh-sha2-nistp521",
        "diffie-hellman-group16-sha512",
        "diffie-hellman-group14-sha256",
    )
    _preferred_ciphers = (
        "aes128-gcm@openssh.com",
        "aes256-gcm@openssh.com",
        "aes128-ctr",
        "aes192-ctr",
        "aes256-ctr",
    )

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **{**options, "packetizer_class": BoundedPackets})


def open_connection(target: Target, name: str, through: Way | None = None) -> fabric.Connection:
    """Connect and log in. Raises Unreachable, HostKeyUnknown, HostKeyChanged or LoginRefused.

    What may come over it from then on is little: `allowance_of` is renewed by whoever asks for more.
    """
    address, seconds = target.address, target.connect_timeout
    sock = through or open_socket(address, name, seconds)
    allowance = Allowance(bounds.LOGIN_BYTES, LOGIN_STEPS * seconds)
    sock.allowance = allowance
    connection = fabric.Connection(
        address.host,
        user=address.user,
        port=address.port,
        config=_config(),
        connect_kwargs={
            "sock": sock,
            "pkey": private_key(target.private_key) if target.private_key else None,
            "password": target.password,
            "timeout": seconds,
            "banner_timeout": seconds,
            "auth_timeout": seconds,
            "channel_timeout": seconds,
            "allow_agent": False,
            "look_for_keys": False,
            "transport_factory": FastTransport,
        },
    )
    connection.client.set_missing_host_key_policy(_OnlyPinned(name, target.known_keys))
    _pin(connection.client, address, target.known_keys)
    try:
        with _errors(name, target.known_keys, allowance):
            connection.open()
    except BaseException:
        connection.close()
        sock.close()
        raise
    allowance.renew(bounds.QUIET_BYTES, None)
    connection.transport.set_keepalive(KEEPALIVE_SECONDS)
    return connection


def allowance_of(connection: fabric.Connection) -> Allowance:
    """What may come over this open connection."""
    found: Allowance = connection.transport.sock.allowance
    return found


def open_socket(address: Address, name: str, timeout: float) -> PromptSocket:
    """A TCP connection, whose allowance is still to be given. Raises Unreachable."""
    try:
        plain = socket.create_connection((address.host, address.port), timeout)
    except (OSError, UnicodeError) as error:
        raise Unreachable(name, _words(error, timeout)) from error
    sock = PromptSocket(plain.family, plain.type, plain.proto, fileno=plain.detach())
    sock.settimeout(timeout)
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, DEAD_SECONDS * 1000)
    return sock


def open_tunnel(
    transport: paramiko.Transport, name: str, address: Address, timeout: float
) -> CountingChannel:
    """A TCP connection to `address` made by the server `name` that we are logged in to. Raises Unreachable."""
    try:
        channel = transport.open_channel(
            "direct-tcpip", (address.host, address.port), ("127.0.0.1", 0), timeout=timeout
        )
    except (paramiko.SSHException, OSError, EOFError) as error:
        raise Unreachable(address.host, f"through {name}: {_words(error, timeout)}") from error
    channel.set_combine_stderr(True)  # "errors" on a way through would else pile up where nobody reads
    beneath: Any = transport.sock
    return CountingChannel(channel, beneath.allowance)


def shown_key(address: Address, sock: Way | None, timeout: float) -> paramiko.PKey:
    """The host key that the server shows; the connection ends before any login. Raises Unreachable."""
    way = sock or open_socket(address, address.host, timeout)
    way.allowance = allowance = Allowance(bounds.LOGIN_BYTES, LOGIN_STEPS * timeout)
    transport = FastTransport(way)
    try:
        with _errors(address.host, (), allowance):
            transport.banner_timeout = timeout
            transport.start_client(timeout=timeout)
            return transport.get_remote_server_key()
    finally:
        transport.close()


def line_of(key: paramiko.PKey) -> str:
    """A key as in known_hosts."""
    return f"{key.get_name()} {key.get_base64()}"


def fingerprint_of(key: paramiko.PKey) -> str:
    """A key's SHA256 fingerprint as ssh-keygen shows it."""
    return str(key.fingerprint)


def fingerprint_of_line(line: str) -> str:
    """The fingerprint of a public key as in known_hosts or a .pub file."""
    return fingerprint_of(_public_key(line))


@lru_cache(maxsize=8)
def private_key(text: str) -> paramiko.PKey:
    """The key in an OpenSSH PEM text. Raises LoginRefused if it is none that can be used."""
    for kind in (paramiko.Ed25519Key, paramiko.ECDSAKey, paramiko.RSAKey):
        try:
            return kind.from_private_key(StringIO(text))
        except (paramiko.SSHException, ValueError):
            continue
    raise LoginRefused("", "the panel's own private key cannot be read")


def _config() -> fabric.Config:
    # One for each connection: making one changes its Config for a moment, and other threads would see that
    config = fabric.Config(overrides=_NOT_FROM_FILES, lazy=True)
    config.merge()
    return config


def _public_key(line: str) -> paramiko.PKey:
    kind, blob = line.split()[:2]
    return paramiko.PKey.from_type_string(kind, base64.b64decode(blob))


def _pin(client: paramiko.SSHClient, address: Address, lines: tuple[str, ...]) -> None:
    """Tell paramiko what we know, so that it asks the host for a key of a type that is pinned."""
    name = address.host if address.port == 22 else f"[{address.host}]:{address.port}"
    for line in lines:
        key = _public_key(line)
        client.get_host_keys().add(name, key.get_name(), key)


class _OnlyPinned(paramiko.MissingHostKeyPolicy):
    """Nothing is known of this host: say what it showed, and go no further."""

    def __init__(self, name: str, known: tuple[str, ...]) -> None:
        self.name = name
        self.known = known

    def missing_host_key(self, _client: paramiko.SSHClient, _hostname: str, key: paramiko.PKey) -> NoReturn:
        raise HostKeyUnknown(self.name, key=line_of(key), fingerprint=fingerprint_of(key))


@contextmanager
def _errors(name: str, known: tuple[str, ...], allowance: Allowance) -> Iterator[None]:
    try:
        yield
    except paramiko.BadHostKeyException as error:
        expected = ", ".join(fingerprint_of(_public_key(line)) for line in known)
        found = error.key
        raise HostKeyChanged(
            name, expected=expected, found=fingerprint_of(found), key=line_of(found)
        ) from error
    except paramiko.BadAuthenticationType as error:
        raise LoginRefused(name, str(error), methods=error.allowed_types) from error
    except paramiko.AuthenticationException as error:
        raise LoginRefused(name, str(error)) from error
    except (paramiko.SSHException, OSError, EOFError) as error:
        raise Unreachable(name, _words(allowance.broken or error)) from error


def _words(error: BaseException, seconds: float = 0) -> str:
    if isinstance(error, TimeoutError):
        return f"no answer in {seconds:g} seconds" if seconds else "no answer in time"
    if isinstance(error, OSError) and error.strerror and not isinstance(error, bounds.Exceeded):
        return error.strerror.lower()
    return str(error) or type(error).__name__
