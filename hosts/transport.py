"""The SSH connection beneath Fabric: a prompt socket, the algorithms we offer, and host keys."""

import base64
import binascii
import hashlib
import io
import logging
import socket
from collections.abc import Sequence
from contextlib import suppress
from functools import lru_cache

import paramiko

from hosts.errors import HostKeyChanged, HostKeyUnknown

logging.getLogger("paramiko").setLevel(logging.WARNING)

_KEX = ("curve25519-sha256@libssh.org", "ecdh-sha2-nistp256", "diffie-hellman-group16-sha512")
_CIPHERS = ("aes128-gcm@openssh.com", "aes256-gcm@openssh.com", "aes128-ctr", "aes256-ctr")
_MACS = ("hmac-sha2-256-etm@openssh.com", "hmac-sha2-256", "hmac-sha2-512")
_KEYS = (
    "ssh-ed25519",
    "ecdsa-sha2-nistp256",
    "ecdsa-sha2-nistp384",
    "ecdsa-sha2-nistp521",
    "rsa-sha2-512",
    "rsa-sha2-256",
)
_PRIVATE_KEYS = (paramiko.Ed25519Key, paramiko.ECDSAKey, paramiko.RSAKey)


class PromptSocket(socket.socket):
    """A TCP socket without the waits that cost a login 40 ms each, and that notices a dead peer.

    sshd leaves Nagle's algorithm on before the session begins, so its next packet waits for our
    acknowledgement, which the kernel delays; TCP_QUICKACK sends it at once, but has to be asked for again and
    again (tcp(7)).
    """

    def recv(self, size: int, flags: int = 0, /) -> bytes:
        """See socket.recv."""
        self.setsockopt(socket.IPPROTO_TCP, socket.TCP_QUICKACK, 1)
        return super().recv(size, flags)

    def close(self) -> None:
        """Close it, and wake the thread that reads from it."""
        with suppress(OSError):  # the peer was faster
            self.shutdown(socket.SHUT_RDWR)
        super().close()


def open_socket(host: str, port: int, timeout: float, lost_after: float) -> PromptSocket:
    """Connect by TCP within `timeout` seconds for each of the name's addresses; raises OSError.

    The connection ends after `lost_after` seconds in which what was sent is not acknowledged.
    """
    plain = socket.create_connection((host, port), timeout)
    prompt = PromptSocket(plain.family, plain.type, plain.proto, fileno=plain.detach())
    prompt.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    prompt.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, int(lost_after * 1000))
    return prompt


class Transport(paramiko.Transport):
    """Paramiko's connection with the algorithms that we want, and with few wake-ups while it is idle."""

    _active_check_timeout = 1.0  # seconds; paramiko's 0.1 costs a warm connection ten wake-ups a second

    def __init__(self, sock: socket.socket, key_types: Sequence[str] = _KEYS) -> None:
        super().__init__(sock)
        options = self.get_security_options()
        options.kex = _KEX
        options.ciphers = _CIPHERS
        options.digests = _MACS
        options.key_types = tuple(key_types)


def key_types(known_keys: Sequence[str]) -> tuple[str, ...]:
    """Say which host key algorithms to offer, so that a host with several keys shows a pinned one."""
    types = {key.split(" ")[0] for key in known_keys}
    if "ssh-rsa" in types:
        types |= {"rsa-sha2-512", "rsa-sha2-256"}
    return tuple(name for name in _KEYS if name in types) or _KEYS


def fingerprint(key: str) -> str:
    """Give the SHA256 fingerprint of "ssh-ed25519 AAAA…" as ssh-keygen shows it; raises ValueError."""
    try:
        blob = base64.b64decode(key.split()[1], validate=True)
    except (IndexError, binascii.Error):
        raise ValueError(f"{key[:40]!r} is not a public key") from None
    digest = base64.b64encode(hashlib.sha256(blob).digest()).decode()
    return f"SHA256:{digest.rstrip('=')}"


class PinnedKeys(paramiko.MissingHostKeyPolicy):
    """Accept the pinned keys and no other; nothing is sent to another host."""

    def __init__(self, name: str, known_keys: Sequence[str]) -> None:
        self.name = name
        self.known = {_normal(key): key for key in known_keys}

    def missing_host_key(self, client: paramiko.SSHClient, hostname: str, key: paramiko.PKey) -> None:
        """Raise HostKeyUnknown or HostKeyChanged; called for every host, because we load no known_hosts."""
        shown = public_text(key)
        if not self.known:
            raise HostKeyUnknown(self.name, key=shown, fingerprint=fingerprint(shown))
        if _normal(shown) not in self.known:
            raise changed(self.name, tuple(self.known.values()), shown)


def changed(name: str, known_keys: Sequence[str], shown: str) -> HostKeyChanged:
    """Make the error of a host that shows another key."""
    expected = ", ".join(fingerprint(key) for key in known_keys)
    return HostKeyChanged(name, expected=expected, found=fingerprint(shown), key=shown)


def _normal(key: str) -> str:
    """Give the key without its comment."""
    return " ".join(key.split()[:2])


def public_text(key: paramiko.PKey) -> str:
    """Write a public key as in known_hosts."""
    return f"{key.get_name()} {key.get_base64()}"


class BadPrivateKey(ValueError):  # noqa: N818 - named like BadConnection
    """The panel's own private key cannot be read."""


@lru_cache(maxsize=64)
def private_key(text: str) -> paramiko.PKey:
    """Read an OpenSSH private key without a passphrase; raises BadPrivateKey."""
    for kind in _PRIVATE_KEYS:
        try:
            return kind.from_private_key(io.StringIO(text))
        except (paramiko.SSHException, ValueError, IndexError):
            continue
    raise BadPrivateKey("The panel's private key cannot be read.")
