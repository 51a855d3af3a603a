"""How a host is reached, and the key by which it is known: plain values, which need none of what connects."""

from dataclasses import dataclass, field

from hosts.address import Address


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
