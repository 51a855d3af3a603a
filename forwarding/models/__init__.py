"""What is forwarded: ports of Proxmox hosts."""

from forwarding.models.ports import PortClaim, PortForward, PortReading, Protocol

__all__ = ["PortClaim", "PortForward", "PortReading", "Protocol"]
