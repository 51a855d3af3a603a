"""How the panel reaches Proxmox, what it has asked there, and what it has seen of hosts and guests."""

from proxmox.models.access import ProxmoxAccess, default_address
from proxmox.models.asked import AskedTask, GuestReading
from proxmox.models.numbers import Numbers
from proxmox.models.seen import GuestSeen, Kind, Matched, NodeSeen, NodeState

__all__ = [
    "AskedTask",
    "GuestReading",
    "GuestSeen",
    "Kind",
    "Matched",
    "NodeSeen",
    "NodeState",
    "Numbers",
    "ProxmoxAccess",
    "default_address",
]
