"""Certificates for tests, made on the spot: a small CA, and pairs that it or nobody signed."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from functools import cache

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID
from django.utils import timezone

PKCS8 = serialization.PrivateFormat.PKCS8
DAY = timedelta(days=1)


def pem_of(key, form=PKCS8, password: bytes = b"") -> str:
    """A private key as text."""
    hidden = serialization.BestAvailableEncryption(password) if password else serialization.NoEncryption()
    return key.private_bytes(serialization.Encoding.PEM, form, hidden).decode()


def text_of(*certificates: x509.Certificate) -> str:
    """Certificates as text, in this order."""
    return "".join(one.public_bytes(serialization.Encoding.PEM).decode() for one in certificates)


def _name(words: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, words)])


def certificate(
    key,
    names: Sequence[str] | x509.SubjectAlternativeName = (),
    *,
    subject: str = "",
    issuer: x509.Certificate | None = None,
    issuer_key=None,
    begins: datetime | None = None,
    ends: datetime | None = None,
    usage=ExtendedKeyUsageOID.SERVER_AUTH,
) -> x509.Certificate:
    """One certificate; signed by itself where no issuer is given."""
    now = timezone.now()
    if not isinstance(names, x509.SubjectAlternativeName):
        names = x509.SubjectAlternativeName([x509.DNSName(name) for name in names])
    own = _name(subject or "a server")
    made = (
        x509.CertificateBuilder()
        .subject_name(own)
        .issuer_name(issuer.subject if issuer else own)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(begins or now - DAY)
        .not_valid_after(ends or now + 90 * DAY)
    )
    if list(names):
        made = made.add_extension(names, critical=False)
        made = made.add_extension(x509.ExtendedKeyUsage([usage]), critical=False)
    else:
        made = made.add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
    return made.sign(issuer_key or key, hashes.SHA256())


@cache
def new_key(number: int = 0) -> ec.EllipticCurvePrivateKey:
    """A key; the same for the same number."""
    return ec.generate_private_key(ec.SECP256R1())


@cache
def authority() -> tuple[x509.Certificate, x509.Certificate]:
    """The root and the intermediate of the small CA."""
    root = certificate(new_key(100), subject="Test Root")
    return root, certificate(new_key(101), subject="Test Intermediate", issuer=root, issuer_key=new_key(100))


def pair(*names: str, key=None, **options) -> tuple[str, str]:
    """The chain (certificate and intermediate) and the key for these names, as texts."""
    key = key or new_key()
    intermediate = authority()[1]
    leaf = certificate(key, names, issuer=intermediate, issuer_key=new_key(101), **options)
    return text_of(leaf, intermediate), pem_of(key)
