"""What is forwarded: ports of Proxmox hosts, and hostnames of their nginx servers."""

from forwarding.models.hostnames import (
    Balancing,
    CertificateKind,
    HostnameClaim,
    HostnameDestination,
    HostnameForward,
)
from forwarding.models.ports import PortClaim, PortForward, PortReading, Protocol

__all__ = [
    "Balancing",
    "CertificateKind",
    "HostnameClaim",
    "HostnameDestination",
    "HostnameForward",
    "PortClaim",
    "PortForward",
    "PortReading",
    "Protocol",
]
