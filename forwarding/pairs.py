"""Certificates and their keys as text: read, checked as a pair, and brought into one form."""

import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime

from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID
from django.utils.formats import date_format
from django.utils.translation import gettext as _

CHAIN_BYTES, KEY_BYTES = 100_000, 20_000
MOST_CERTIFICATES = 10
# Shorter RSA keys and older hashes are refused by the OpenSSL of nginx itself (security level 2 of Debian).
RSA_BITS = 2048
OLD_HASHES = (hashes.MD5, hashes.SHA1)
CURVES = (ec.SECP256R1, ec.SECP384R1, ec.SECP521R1)
# Checking an RSA key takes the time of its length to the fourth: 16 s for 8192 bits, and nginx gains nothing by it.
LONGEST_KEY = 5_000  # characters of PEM: some 6000 bits
# A block never reaches past the next "-----": else a text full of beginnings would be read to its end from each.
_CERTIFICATE = re.compile(r"-----BEGIN CERTIFICATE-----(?:(?!-----).)+-----END CERTIFICATE-----", re.DOTALL)
_KEY = re.compile(
    r"-----BEGIN ((?:RSA |EC |ENCRYPTED )?PRIVATE KEY)-----(?:(?!-----).)+-----END \1-----",
    re.DOTALL | re.ASCII,
)

PublicBytes = bytes  # a public key as DER, to compare


class BadPair(Exception):  # noqa: N818 - what a person sent, told by field
    """The certificate or key cannot be used; `errors` says why, by field ("chain", "key"). Never holds a key."""

    def __init__(self, errors: dict[str, list[str]]) -> None:
        super().__init__(" ".join(text for texts in errors.values() for text in texts))
        self.errors = errors


@dataclass(frozen=True)
class Facts:
    """What a certificate says of itself."""

    names: tuple[str, ...]
    issuer: str
    not_before: datetime
    not_after: datetime
    fingerprint: str  # SHA-256 of the certificate, in hexadecimal
    public_key: PublicBytes = field(repr=False)


@dataclass(frozen=True)
class Pair:
    """What nginx gets: the chain, the certificate itself first, and its key; both as PEM."""

    chain: bytes = field(repr=False)
    key: bytes = field(repr=False)


@dataclass(frozen=True)
class CheckedPair:
    """A pair that fits together, and what its certificate says."""

    pair: Pair
    facts: Facts


def read_chain(text: str) -> list[x509.Certificate]:
    """Every certificate of a text, in its order; whatever stands between them is left out. Raises BadPair."""
    if len(text) > CHAIN_BYTES:
        raise _bad("chain", _("This is too long to be a certificate and its chain."))
    if _KEY.search(text):
        raise _bad(
            "chain", _("There is a private key among the certificates. It belongs into its own field.")
        )
    blocks = _CERTIFICATE.findall(text)
    if not blocks:
        raise _bad("chain", _("There is no certificate in it: no -----BEGIN CERTIFICATE-----."))
    if len(blocks) > MOST_CERTIFICATES:
        raise _bad("chain", _("There are more than %d certificates in it.") % MOST_CERTIFICATES)
    found = []
    for number, block in enumerate(blocks, 1):
        try:
            found.append(x509.load_pem_x509_certificate(block.encode()))
        except (ValueError, UnsupportedAlgorithm, x509.InvalidVersion) as error:
            raise _bad("chain", _("Certificate %d in it is damaged.") % number) from error
    return found


def facts_of(certificate: x509.Certificate) -> Facts:
    """What a certificate says of itself; raises BadPair where it cannot be understood."""
    try:
        return Facts(
            names=_names(certificate),
            issuer=_shown(certificate.issuer),
            not_before=certificate.not_valid_before_utc,
            not_after=certificate.not_valid_after_utc,
            fingerprint=certificate.fingerprint(hashes.SHA256()).hex(),
            public_key=public_bytes(certificate.public_key()),
        )
    except (ValueError, UnsupportedAlgorithm, x509.DuplicateExtension) as error:
        raise _bad("chain", _("The certificate is damaged, or of a kind that is not known.")) from error


def _names(certificate: x509.Certificate) -> tuple[str, ...]:
    """The domains it is for. The common name does not count: browsers have not read it for years."""
    try:
        found = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName)
    except x509.ExtensionNotFound:
        return ()
    names = found.value.get_values_for_type(x509.DNSName)
    return tuple(name.lower() for name in names if name.isprintable() and name.isascii() and len(name) <= 253)


def _shown(name: x509.Name) -> str:
    """Who issued it, in a few words: organisation and common name."""
    parts = []
    for oid in (NameOID.ORGANIZATION_NAME, NameOID.COMMON_NAME):
        parts += [str(one.value) for one in name.get_attributes_for_oid(oid)[:1]]
    text = " · ".join(dict.fromkeys(parts))[:200] or name.rfc4514_string()[:200]
    return "".join(sign if sign.isprintable() else "�" for sign in text)


def public_bytes(key: object) -> PublicBytes:
    """A public key as DER, to compare it with another."""
    form = serialization.PublicFormat.SubjectPublicKeyInfo
    return key.public_bytes(serialization.Encoding.DER, form)  # type: ignore[attr-defined]


def covers(names: Iterable[str], domain: str) -> bool:
    """Whether a certificate for these names is one for this domain (RFC 6125: a star is one whole label)."""
    parent = domain.partition(".")[2]
    return any(name == domain or (parent and name == f"*.{parent}") for name in names)


def checked_pair(chain_text: str, key_text: str, domain: str, now: datetime) -> CheckedPair:
    """The pair, if nginx can serve this domain with it now; raises BadPair with every reason why not."""
    errors: dict[str, list[str]] = {}
    try:
        key_pem, public = _read_key(key_text)
    except BadPair as bad:
        errors |= bad.errors
        key_pem, public = b"", b""
    try:
        chain = _in_order(read_chain(chain_text), public)
        facts = facts_of(chain[0])
    except BadPair as bad:
        raise BadPair({**bad.errors, **errors}) from bad
    found = [*_unusable(chain[0]), *out_of_place(facts, domain, now)]
    if found:
        errors["chain"] = found
    if public and public != facts.public_key:
        errors["key"] = [_("This is not the key of the certificate.")]
    if errors:
        raise BadPair(errors)
    pem = b"".join(one.public_bytes(serialization.Encoding.PEM) for one in chain)
    return CheckedPair(Pair(pem, key_pem), facts)


def _read_key(text: str) -> tuple[bytes, PublicBytes]:
    """The key as PKCS #8 and its public half; raises BadPair, whose words hold nothing of it."""
    found = _KEY.search(text) if len(text) <= KEY_BYTES else None
    if found is None:
        raise _bad("key", _("There is no private key in it: no -----BEGIN PRIVATE KEY-----."))
    encrypted = _("The key has a passphrase. Take it off first: openssl pkey -in old.key -out new.key")
    if found[1].startswith("ENCRYPTED") or "Proc-Type: 4,ENCRYPTED" in found[0]:
        raise _bad("key", encrypted)
    if len(found[0]) > LONGEST_KEY:
        raise _bad("key", _("The key is too long. RSA keys of 2048 to 4096 bits are what browsers expect."))
    try:
        key = serialization.load_pem_private_key(found[0].encode(), None)
    except (ValueError, TypeError, UnsupportedAlgorithm):
        raise _bad("key", _("The key is damaged.")) from None  # no cause: it might quote the key
    if isinstance(key, rsa.RSAPrivateKey):
        if key.key_size < RSA_BITS:
            raise _bad("key", _("An RSA key needs at least %d bits.") % RSA_BITS)
    elif not (isinstance(key, ec.EllipticCurvePrivateKey) and isinstance(key.curve, CURVES)):
        raise _bad("key", _("Browsers know RSA and ECDSA keys (P-256, P-384, P-521) only."))
    pem = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    return pem, public_bytes(key.public_key())


def _in_order(found: list[x509.Certificate], public: PublicBytes) -> list[x509.Certificate]:
    """The certificate of this key first, then each one's issuer; raises BadPair for what belongs to none."""
    leaf = next((one for one in found if public and facts_of(one).public_key == public), found[0])
    chain, rest = [leaf], [one for one in found if one != leaf]
    while issuer := next((one for one in rest if _issued(chain[-1], one)), None):
        chain.append(issuer)
        rest.remove(issuer)
    if rest:
        names = ", ".join(_shown(one.subject) for one in rest[:3])
        raise _bad("chain", _("These certificates do not belong to the chain of the first: %s") % names)
    return chain


def _issued(certificate: x509.Certificate, issuer: x509.Certificate) -> bool:
    try:
        certificate.verify_directly_issued_by(issuer)
    except (ValueError, TypeError, InvalidSignature, UnsupportedAlgorithm):
        return False
    return True


def _unusable(certificate: x509.Certificate) -> list[str]:
    """Why no server could use it for TLS."""
    found = []
    try:
        signed_with = certificate.signature_hash_algorithm
    except UnsupportedAlgorithm:
        return [_("It is signed in a way that is not known.")]
    if isinstance(signed_with, OLD_HASHES):
        found.append(_("It is signed with a hash that is broken (MD5 or SHA-1). nginx would refuse it."))
    try:
        usage = certificate.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value
    except (x509.ExtensionNotFound, ValueError):
        return found
    if not {ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.ANY_EXTENDED_KEY_USAGE} & set(usage):
        found.append(_("It is not made for servers (no “TLS web server authentication” in its key usage)."))
    return found


def out_of_place(facts: Facts, domain: str, now: datetime) -> list[str]:
    """Why it does not serve this domain now."""
    found = []
    if not covers(facts.names, domain):
        names = ", ".join(facts.names[:5]) or _("no domain at all")
        found.append(_("It is not for %(domain)s, but for %(names)s.") % {"domain": domain, "names": names})
    if facts.not_after <= now:
        found.append(_("It ended on %s.") % date_format(facts.not_after, "Y-m-d"))
    if facts.not_before > now:
        found.append(_("It begins only on %s.") % date_format(facts.not_before, "Y-m-d H:i e"))
    return found


def _bad(field_name: str, text: str) -> BadPair:
    return BadPair({field_name: [text]})
