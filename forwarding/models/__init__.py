"""What is forwarded: ports of Proxmox hosts, and hostnames of their nginx servers."""

from forwarding.models.certificates import (
    AcmeAccount,
    AcmeChallenge,
    CertificateOrder,
    CertificateReading,
    Source,
    StoredCertificate,
    with_certificates,
    with_last_day,
)
from forwarding.models.hostnames import (
    Balancing,
    CertificateKind,
    HostnameClaim,
    HostnameDestination,
    HostnameForward,
)
from forwarding.models.ports import PortClaim, PortForward, PortReading, Protocol

__all__ = [
    "AcmeAccount",
    "AcmeChallenge",
    "Balancing",
    "CertificateKind",
    "CertificateOrder",
    "CertificateReading",
    "HostnameClaim",
    "HostnameDestination",
    "HostnameForward",
    "PortClaim",
    "PortForward",
    "PortReading",
    "Protocol",
    "Source",
    "StoredCertificate",
    "with_certificates",
    "with_last_day",
]
