"""Rows of this room, by noun."""

from proxmox.models.access import ProxmoxAccess, default_address
from proxmox.models.addresses import AddressClaim, InternalNetwork
from proxmox.models.asked import AskedTask
from proxmox.models.creations import OPEN, Creation, CreationState, Offer

__all__ = [
    "OPEN",
    "AddressClaim",
    "AskedTask",
    "Creation",
    "CreationState",
    "InternalNetwork",
    "Offer",
    "ProxmoxAccess",
    "default_address",
]
