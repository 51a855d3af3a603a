"""Registers the works of this room, which lie beside their noun."""

from proxmox import works_access, works_guests

__all__ = ["works_access", "works_guests"]
