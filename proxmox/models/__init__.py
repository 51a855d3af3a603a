"""How the panel reaches Proxmox, and what it has asked there."""

from proxmox.models.access import ProxmoxAccess, default_address
from proxmox.models.asked import AskedTask

__all__ = ["AskedTask", "ProxmoxAccess", "default_address"]
