"""Names and addresses of a lab, planned from its name and its network. Pure: touches nothing."""

import hashlib
import re
from collections.abc import Iterable
from ipaddress import IPv4Interface, IPv4Network, ip_network

from .errors import LabError

# RFC 5737: nobody's network. It looks public, so the panel treats it as such, and is never anyone's. One of
# the three is enough: isolated machines are known to keep their package mirror in another, 203.0.113.0/24.
GUARDED = (IPv4Network("198.51.100.0/24"),)
INSIDE = IPv4Interface("10.0.0.1/24")
"""Address of `vmbr0`, the bridge inside every Proxmox host; seen in that host's namespace alone."""

FIRST_INSIDE = 101
FIRST_SSH_PORT = 2201
DEFAULT_NETWORKS = {"demo": "198.51.100.0/26", "test": "198.51.100.128/26"}


def check_lab_name(name: str) -> str:
    """Return `name` if a lab can be called so: a bridge's name must hold it. Raises LabError."""
    if not re.fullmatch(r"[a-z][a-z0-9-]{0,11}", name):
        raise LabError(
            f"“{name}” cannot be a lab's name: a small letter, then up to 11 small letters, digits, hyphens."
        )
    return name


def check_host_name(name: str) -> str:
    """Return `name` if a host can be called so (an RFC 1123 label of at most 40). Raises LabError."""
    if not re.fullmatch(r"[a-z0-9]([a-z0-9-]{0,38}[a-z0-9])?", name):
        raise LabError(f"“{name}” cannot be a host's name: small letters, digits and hyphens, at most 40.")
    return name


def check_network(text: str) -> IPv4Network:
    """Return the network in `text`. Raises LabError unless it lies within a guarded network and has room."""
    try:
        network = ip_network(text)
    except ValueError as error:
        raise LabError(f"“{text}” is not a network: {error}") from error
    if not isinstance(network, IPv4Network) or not any(network.subnet_of(outer) for outer in GUARDED):
        allowed = " or ".join(str(outer) for outer in GUARDED)
        raise LabError(f"A lab's network must lie within {allowed}, which are nobody's; {text} does not.")
    if network.prefixlen > 29:
        raise LabError(f"{text} is too small for a lab: /29 or larger, please (/27 holds 29 hosts).")
    return network


def panel_address(network: IPv4Network) -> str:
    """Return the machine's own address on the lab's bridge: the network's first."""
    return str(network[1])


def next_address(network: IPv4Network, taken: Iterable[str]) -> str:
    """Return the first address that is neither taken nor the panel's. Raises LabError when all are in use."""
    used = {*taken, panel_address(network)}
    for address in network.hosts():
        if str(address) not in used:
            return str(address)
    raise LabError(f"All addresses of {network} are in use; give the lab a larger network.")


def next_inside(taken: Iterable[str]) -> tuple[str, int]:
    """Return address and forwarded SSH port of the next container behind a Proxmox host. Raises LabError."""
    used = set(taken)
    for number in range(FIRST_INSIDE, 255):
        address = str(INSIDE.network[number])
        if address not in used:
            return address, FIRST_SSH_PORT + number - FIRST_INSIDE
    raise LabError(f"All addresses of {INSIDE.network} are in use.")


def bridge_name(lab: str) -> str:
    """Return the name of the lab's bridge on this machine."""
    return f"gl-{lab}"


def container_name(lab: str, host: str) -> str:
    """Return the name LXC knows a host by; neither part holds a dot, so no two labs share one."""
    return f"{lab}.{host}"


def veth_name(lab: str, host: str) -> str:
    """Return the name of the outer end of a host's network cable, at most 15 characters."""
    return "gv" + _digest(lab, host)[:10]


def mac_address(lab: str, host: str) -> str:
    """Return a host's MAC address: locally administered, and the same after every restart."""
    digest = _digest(lab, host)
    return ":".join(["02", *(digest[i : i + 2] for i in range(0, 10, 2))])


def machine_id(lab: str, host: str, salt: str) -> str:
    """Return a host's machine id (32 hexadecimal digits); without one systemd takes a start for the first."""
    return _digest(lab, host, salt)[:32]


def _digest(*words: str) -> str:
    return hashlib.sha256("\0".join(words).encode()).hexdigest()
