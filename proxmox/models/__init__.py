"""Rows of this room, by noun."""

from proxmox.models.addresses import AddressClaim, InternalNetwork
from proxmox.models.creations import OPEN, Creation, CreationState, Offer

__all__ = ["OPEN", "AddressClaim", "Creation", "CreationState", "InternalNetwork", "Offer"]
