"""The certificate that an API shows, before anything is sent to it."""

import hashlib
import socket
import ssl
from dataclasses import dataclass
from datetime import datetime

from cryptography import x509
from cryptography.x509.oid import NameOID


@dataclass(frozen=True)
class Shown:
    """A certificate in words."""

    fingerprint: str
    """SHA-256, as Proxmox shows it: "AB:CD:…"."""
    subject: str
    issuer: str
    names: tuple[str, ...]
    not_after: datetime


def fetch_certificate(address: str, port: int, seconds: float) -> str:
    """The certificate in PEM that is shown there now, trusted or not. Raises OSError."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE  # only looked at: nothing is sent over this connection
    with (
        socket.create_connection((address, port), timeout=seconds) as plain,
        context.wrap_socket(plain, server_hostname=address) as secure,
    ):
        return ssl.DER_cert_to_PEM_cert(secure.getpeercert(binary_form=True) or b"")


def fingerprint_of(pem: str) -> str:
    """SHA-256 of the certificate, as Proxmox shows it: "AB:CD:…"."""
    return hashlib.sha256(ssl.PEM_cert_to_DER_cert(pem)).digest().hex(":").upper()


def read_certificate(pem: str) -> Shown:
    """What the certificate says. Raises ValueError if it is none."""
    certificate = x509.load_pem_x509_certificate(pem.encode())
    try:
        alternative = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
        names = tuple(str(name.value) for name in alternative)
    except x509.ExtensionNotFound:
        names = ()
    return Shown(
        fingerprint=fingerprint_of(pem),
        subject=_common_name(certificate.subject),
        issuer=_common_name(certificate.issuer),
        names=names,
        not_after=certificate.not_valid_after_utc,
    )


def _common_name(name: x509.Name) -> str:
    found = name.get_attributes_for_oid(NameOID.COMMON_NAME)
    return str(found[0].value) if found else name.rfc4514_string()
