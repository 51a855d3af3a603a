"""The addresses that a running guest has by DHCP or by itself: what its configuration does not say. Pure.

Shapes: a container's are those of GET /nodes/{node}/lxc/{vmid}/interfaces, one address of each family in PVE 8
(`inet`, `inet6`), all of them since 9 (`ip-addresses`); a machine's are those of its guest agent (QEMU's
guest-network-get-interfaces).
"""

import re
from collections.abc import Iterable, Iterator, Mapping
from ipaddress import IPv4Address, IPv6Address, ip_interface
from typing import Any

from proxmox.models.seen import Kind

Address = IPv4Address | IPv6Address
MOST = 32  # addresses of one guest
_CARD = re.compile(r"net(\d{1,2})")
_MAC = re.compile(r"(?:^|[,=])((?:[0-9A-Fa-f]{2}:){5}[0-9A-Fa-f]{2})(?=,|$)")
_FIXED = re.compile(r"(?:^|,)(ip6?)=([^,]+)")
# Cards that a guest makes for itself: Docker, Podman, Kubernetes, libvirt, tunnels.
_OWN = re.compile(
    r"lo|docker.*|podman.*|veth.*|br-.*|virbr.*|vnet.*|cni.*|cali.*|flannel.*|lxc.*|lxd.*|tap.*|tun.*|wg.*|tailscale.*|zt.*"
)


def wanted(kind: str, config: Mapping[str, Any]) -> bool:
    """Whether a card has an address that the configuration does not say; of a machine, and an agent to ask."""
    return has_open(kind, config) and (kind != Kind.MACHINE or _has_agent(config))


def has_open(kind: str, config: Mapping[str, Any]) -> bool:
    """Whether a card has an address that the configuration does not say."""
    where = "ipconfig" if kind == Kind.MACHINE else "net"
    cards = [match[1] for name in config if (match := _CARD.fullmatch(name))]
    return any(_is_open(config.get(f"{where}{card}")) for card in cards)


def _has_agent(config: Mapping[str, Any]) -> bool:
    options = str(config.get("agent", "")).split(",")  # in any order: "type=virtio,enabled=1"
    return any(one.strip().removeprefix("enabled=") in {"1", "yes", "on", "true"} for one in options)


def _is_open(options: Any) -> bool:
    """Whether one family's address is by DHCP or the like, or none is said at all."""
    said = dict(_FIXED.findall(str(options or "")))
    return not said or any("/" not in text and ":" not in text and "." not in text for text in said.values())


def found(config: Mapping[str, Any], interfaces: Iterable[Any]) -> list[str]:
    """The addresses on the guest's own cards, net0's first, IPv4 before IPv6; nothing raises.

    Without those that lead nowhere from outside: of the machine itself, link-local, of Docker's bridges and such; and
    without temporary ones of IPv6 (RFC 8981) where the same card has, in the same network, the one made of its
    hardware address.
    """
    macs = {mac[1].upper(): number for number, mac in sorted(_macs(config))}
    rows: list[tuple[int, int, Address]] = []
    for card in interfaces:
        if not isinstance(card, Mapping) or _OWN.fullmatch(str(card.get("name", ""))):
            continue
        mac = str(card.get("hwaddr") or card.get("hardware-address") or "").upper()
        if macs and mac not in macs:
            continue
        rows += [(macs.get(mac, 0), one.version, one) for one in _lasting(mac, _addresses(card))]
    ordered = [str(address) for _number, _version, address in sorted(rows, key=lambda row: row[:2])]
    return list(dict.fromkeys(ordered))[:MOST]


def _macs(config: Mapping[str, Any]) -> Iterator[tuple[int, re.Match[str]]]:
    for name in config:
        if (card := _CARD.fullmatch(name)) and (mac := _MAC.search(str(config[name]))):
            yield int(card[1]), mac


def _addresses(card: Mapping[str, Any]) -> list[Any]:
    """A card's addresses with their networks."""
    texts = [str(card[name]) for name in ("inet", "inet6") if card.get(name)]
    listed = card.get("ip-addresses")
    more = [one for one in listed if isinstance(one, Mapping)] if isinstance(listed, list) else []
    texts += [f"{one.get('ip-address', '')}/{one.get('prefix', '')}".rstrip("/") for one in more]
    made = []
    for text in texts:
        try:
            one = ip_interface(text)
        except ValueError:
            continue
        if not (one.is_loopback or one.is_link_local or one.is_multicast or one.is_unspecified):
            made.append(one)
    return made


def _lasting(mac: str, interfaces: list[Any]) -> list[Address]:
    """Without the temporary ones, as far as one can tell."""
    tail = _of_mac(mac)
    lasting = {one.network for one in interfaces if one.version == 6 and int(one.ip) & (2**64 - 1) == tail}
    return [one.ip for one in interfaces if one.network not in lasting or int(one.ip) & (2**64 - 1) == tail]


def _of_mac(mac: str) -> int | None:
    """The second half of an IPv6 address that is made of a hardware address (EUI-64, RFC 4291, appendix A)."""
    try:
        first, last = bytes.fromhex(mac.replace(":", ""))[:3], bytes.fromhex(mac.replace(":", ""))[3:]
    except ValueError:
        return None
    return int.from_bytes(bytes((first[0] ^ 2, *first[1:], 0xFF, 0xFE, *last))) if first and last else None
