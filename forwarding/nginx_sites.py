"""The hostnames of one nginx server as frozen data, and the text of their files. Pure."""

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from ipaddress import IPv6Address, ip_address

from forwarding.configs import configured

FOLDER = "/etc/nginx/gestion"
CERTIFICATES = f"{FOLDER}/certificates"
# Not below /var/lib/gestion, which is root's alone: nginx's workers read the challenges.
ACME_ROOT = "/var/lib/gestion-acme"
BALANCING = ("round_robin", "least_conn", "ip_hash")

_LABEL = r"[a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9_])?"
_NAME = re.compile(rf"{_LABEL}(\.{_LABEL})*", re.ASCII)


def _name(text: str) -> str:
    if len(text) > 253 or not _NAME.fullmatch(text):
        raise ValueError(f"{text!r} is no domain name")
    return text


def _in(low: int, number: int, high: int) -> None:
    if not low <= number <= high:
        raise ValueError(f"{number} is not between {low} and {high}")


@dataclass(frozen=True)
class Upstream:
    """A server that a hostname leads to: an IP address, or a name that nginx looks up when it starts."""

    address: str
    weight: int = 1
    backup: bool = False

    def __post_init__(self) -> None:
        if self.is_name:
            _name(self.address)
        _in(1, self.weight, 65535)

    @property
    def is_name(self) -> bool:
        """Whether the address must be looked up."""
        return _ip(self.address) is None

    @property
    def place(self) -> str:
        """The address as nginx reads it before a port."""
        found = _ip(self.address)
        return f"[{found}]" if isinstance(found, IPv6Address) else str(found or self.address)


def _ip(text: str) -> object:
    try:
        found = ip_address(text)
    except ValueError:
        return None
    if getattr(found, "scope_id", None):
        raise ValueError(f"{text!r} holds on one machine only")
    return found


@dataclass(frozen=True)
class Certificate:
    """Where the nginx server has chain and key; `pem` are their bytes where Gestion brings them."""

    chain_path: str
    key_path: str
    pem: tuple[bytes, bytes] | None = field(default=None, repr=False)


@dataclass(frozen=True)
class Site:
    """A hostname as nginx serves it; by TLS as well if it has a certificate."""

    pk: int
    domain: str
    upstreams: tuple[Upstream, ...]
    port: int = 80
    https_port: int = 443
    destination_port: int = 80
    balancing: str = "round_robin"
    max_fails: int = 1
    fail_timeout: int = 10
    websockets: bool = True
    body_size: int = 64
    force_https: bool = False
    is_default: bool = False
    certificate: Certificate | None = None

    def __post_init__(self) -> None:
        _name(self.domain.removeprefix("*."))
        for port in (self.port, self.https_port, self.destination_port):
            _in(1, port, 65535)
        _in(0, self.max_fails, 10**6)
        _in(1, self.fail_timeout, 10**6)
        _in(0, self.body_size, 10**9)
        if self.balancing not in BALANCING:
            raise ValueError(f"{self.balancing!r} is no way of balancing")
        if all(upstream.backup for upstream in self.upstreams):
            raise ValueError("it leads to no server, or to spare ones only")
        if self.balancing == "ip_hash" and any(upstream.backup for upstream in self.upstreams):
            raise ValueError("ip_hash knows no spare servers")
        if self.certificate and self.port == self.https_port:
            raise ValueError("a port is either plain or TLS")

    @property
    def several(self) -> bool:
        """Whether there is something to balance."""
        return len(self.upstreams) > 1

    @property
    def forces_https(self) -> bool:
        """Whether plain HTTP is only sent on; never to where nothing is served."""
        return self.force_https and self.certificate is not None

    def words_for(self, upstream: Upstream) -> str:
        """What follows the address of one of its servers."""
        words = f" weight={upstream.weight:d}" if upstream.weight != 1 else ""
        if self.several:
            words += f" max_fails={self.max_fails:d} fail_timeout={self.fail_timeout:d}s"
        return words + (" backup" if upstream.backup else "")

    def url(self, *, tls: bool) -> str:
        """Where it is reached, without a slash at the end."""
        scheme, port = ("https", self.https_port) if tls else ("http", self.port)
        usual = port == (443 if tls else 80)
        return f"{scheme}://{self.domain}" + ("" if usual else f":{port:d}")


def ngnix_conf() -> str:
    """The file that sites-enabled has; the seed's spelling."""
    return configured("ngnix.conf.j2", folder=FOLDER)


def site_conf(site: Site) -> str:
    """The file of one hostname."""
    return configured("site.conf.j2", site=site, acme=ACME_ROOT)


def port_conf(port: int, *, tls: bool, default: Site | None) -> str:
    """What answers on a port where no hostname matches."""
    if default and default.domain.startswith("*."):
        raise ValueError("a default redirect needs one name")
    if tls and default and not default.certificate:
        raise ValueError("a default redirect by TLS needs a certificate")
    return configured("port.conf.j2", port=port, tls=tls, default=default, acme=ACME_ROOT)


def confs(sites: Iterable[Site]) -> Iterator[tuple[str, str]]:
    """The name (in FOLDER/sites, without .conf) and text of each file; in byte order they are tried."""
    ports: dict[tuple[int, bool], Site | None] = {}
    yield "0-names", configured("names.conf")
    for site in sorted(sites, key=lambda site: site.pk):
        yield f"{site.pk:d}", site_conf(site)
        for key in [(site.port, False)] + [(site.https_port, True)] * bool(site.certificate):
            ports[key] = ports.get(key) or (site if site.is_default else None)
    plain = {port for port, tls in ports if not tls}
    for (port, tls), default in sorted(ports.items(), key=lambda item: item[0]):
        if not (tls and port in plain):
            yield f"0-port-{port:d}", port_conf(port, tls=tls, default=default)
