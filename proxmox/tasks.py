"""Registers the works of this room, which lie beside their noun."""

from proxmox import works_create

__all__ = ["works_create"]
