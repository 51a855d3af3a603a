"""A host by SSH: Fabric connects (paramiko beneath), with pinned host keys and a timeout on everything."""

from collections.abc import Sequence
from dataclasses import dataclass, field

from hosts.address import Address
from hosts.host import OnOutput, Result


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
    """A host reached by SSH. Connects at first use."""

    def __init__(self, target: Target, name: str = "") -> None:
        self.target = target
        self.name = name or target.address.host

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
        raise NotImplementedError

    def read(self, path: str) -> bytes | None:
        """See Host.read."""
        raise NotImplementedError

    def close(self) -> None:
        """See Host.close."""
        raise NotImplementedError


def read_host_key(address: Address, gateway: Target | None = None, timeout: float = 10.0) -> HostKey:
    """Give the key that the host shows at first contact; nothing is sent to it beyond the key exchange."""
    raise NotImplementedError
