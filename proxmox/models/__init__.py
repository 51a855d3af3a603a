"""How the panel reaches Proxmox, what it has asked there, what it has seen of hosts and guests, and addresses."""

from proxmox.models.access import ProxmoxAccess, default_address
from proxmox.models.addresses import AddressClaim, InternalNetwork
from proxmox.models.asked import AskedTask, GuestReading
from proxmox.models.creations import OPEN, Creation, CreationState, Offer
from proxmox.models.numbers import Numbers
from proxmox.models.seen import GuestSeen, Kind, Matched, NodeSeen, NodeState

__all__ = [
    "OPEN",
    "AddressClaim",
    "AskedTask",
    "Creation",
    "CreationState",
    "GuestReading",
    "GuestSeen",
    "InternalNetwork",
    "Kind",
    "Matched",
    "NodeSeen",
    "NodeState",
    "Numbers",
    "Offer",
    "ProxmoxAccess",
    "default_address",
]
