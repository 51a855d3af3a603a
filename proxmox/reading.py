"""From what a node's API answers to values for rows: bounded, whatever a host sends. Pure, and nothing raises."""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from ipaddress import ip_address
from typing import Any

from proxmox.client.answers import GuestNow, NodeStatus, Storage
from proxmox.models.seen import Kind

Json = Mapping[str, Any]
MOST = 2**63 - 1
ADDRESS = re.compile(r"(?:^|,)ip6?=([0-9A-Fa-f:.]+)(?:/\d+)?(?=,|$)")
MAC = re.compile(r"(?:^|[,=])((?:[0-9A-Fa-f]{2}:){5}[0-9A-Fa-f]{2})(?=,|$)")
NETWORK = re.compile(r"(?:net|ipconfig)(\d{1,2})")
BRIDGE = re.compile(r"(?:^|,)bridge=([^,]+)")
VLAN = re.compile(r"(?:^|,)tag=(\d+)")


@dataclass(frozen=True)
class Card:
    """A network card of a guest, as net1; where it is plugged in. `vlan` is empty without one."""

    name: str
    bridge: str
    vlan: str


def node(status: NodeStatus) -> dict[str, Any]:
    """A node's figures, as its row has them."""
    return {
        "version": text(status.version, 40),
        "uptime": whole(status.uptime),
        "cpu": share(status.cpu),
        "cores": share(status.cpus),
        "memory_used": whole(status.memory_used),
        "memory": whole(status.memory),
        "swap_used": whole(status.swap_used),
        "swap": whole(status.swap),
        "disk_used": whole(status.disk_used),
        "disk": whole(status.disk),
    }


def guest(now: GuestNow) -> dict[str, Any]:
    """A guest's figures, as its row has them. What Proxmox cannot know is None."""
    machine = now.kind == Kind.MACHINE
    return {
        "vmid": now.vmid,
        "kind": now.kind,
        "name": text(now.name, 255),
        "status": text(now.status, 20) or "unknown",
        "uptime": whole(now.uptime) or 0,
        "cpu": share(now.cpu),
        "cores": share(now.cpus),
        "memory_used": whole(now.memory_used),
        "memory": whole(now.memory),
        "swap_used": None if machine else whole(now.swap_used),
        "swap": None if machine else whole(now.swap),
        "disk_used": None if machine and not now.disk_used else whole(now.disk_used),
        "disk": whole(now.disk),
        "tags": text(";".join(now.tags), 1000),
        "lock": text(now.lock, 40),
        "template": now.is_template,
    }


def storages(found: Iterable[Storage]) -> list[dict[str, Any]]:
    """A node's storages, as its row has them; by name."""
    rows = [
        {
            "storage": text(storage.name, 100),
            "type": text(storage.type, 40),
            "content": text(",".join(storage.content), 200),
            "used": whole(storage.used),
            "total": whole(storage.total),
            "active": storage.is_active,
        }
        for storage in found
    ]
    return sorted(rows, key=lambda row: str(row["storage"]))


def config(answer: Any) -> dict[str, Any]:
    """GET /nodes/{node}/lxc/{vmid}/config, without its digest; values are text, numbers, or lists of text."""
    found: dict[str, Any] = {}
    for name, value in _table(answer).items():
        if name == "digest":
            continue
        if isinstance(value, list):  # "lxc": [["lxc.apparmor.profile", "unconfined"]]
            found[text(name, 100)] = [" = ".join(text(part, 500) for part in _list(line)) for line in value]
        else:
            found[text(name, 100)] = value if isinstance(value, int | float) else text(value, 8192)
    return found


def addresses(config: Json) -> list[str]:
    """The fixed addresses of a guest's interfaces, without the prefix: net0 first."""
    return list(cards(config))


def cards(config: Json) -> dict[str, Card]:
    """The fixed addresses of a guest with the card that has each: net0 first."""
    found: dict[str, Card] = {}
    numbers = {match[0]: int(match[1]) for name in config if (match := NETWORK.fullmatch(name))}
    for name, number in sorted(numbers.items(), key=lambda item: (item[1], item[0])):
        plug = str(config.get(f"net{number}", ""))
        bridge, vlan = BRIDGE.search(plug), VLAN.search(plug)
        card = Card(f"net{number}", bridge[1] if bridge else "", vlan[1] if vlan else "")
        for word in ADDRESS.findall(str(config[name])):
            try:
                found.setdefault(str(ip_address(word)), card)
            except ValueError:
                continue  # "dhcp", "manual" and "auto" are no addresses
    return found


def mac(config: Json) -> str:
    """The hardware address of net0, which no two guests share: "BC:24:11:…", or ""."""
    match = MAC.search(str(config.get("net0", "")))
    return match[1].upper() if match else ""


def text(value: Any, most: int) -> str:
    """Text without control characters, of at most so many characters."""
    plain = "" if value is None or isinstance(value, dict | list) else str(value)
    plain = plain.encode("utf-8", "ignore").decode()  # halves of a surrogate pair fit into no database
    return "".join(sign for sign in plain[:most] if sign >= " " or sign in "\t\n").strip()


def whole(value: Any) -> int | None:
    """A whole number of 0 or more; None if it is none."""
    number = share(value)
    return None if number is None or number > MOST else int(number)


def share(value: Any) -> float | None:
    """A number of 0 or more; None if it is none."""
    if not isinstance(value, int | float | str):
        return None
    try:
        number = float(value)
    except (ValueError, OverflowError):
        return None
    return number if 0 <= number < float("inf") else None


def _table(value: Any) -> Json:
    return value if isinstance(value, Mapping) else {}


def _list(value: Any) -> Iterable[Any]:
    return value if isinstance(value, list) else [value]
