"""Certificates that lie on an nginx server, under paths that an admin gave: read, never brought here."""

from dataclasses import dataclass
from datetime import datetime

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import serialization
from django.utils.translation import gettext as _

from forwarding.pairs import CHAIN_BYTES, BadPair, Facts, facts_of, out_of_place, public_bytes, read_chain
from hosts.host import Host

SECONDS = 15.0


@dataclass(frozen=True)
class Found:
    """What the certificate says of itself, and why nginx could not serve the domain with it ("" if it can)."""

    facts: Facts | None
    trouble: str


def read(host: Host, certificate_path: str, key_path: str, domain: str, now: datetime) -> Found:
    """Read the certificate; of the key only its public half, which openssl on the host makes. Raises HostError."""
    got = host.run(["head", "-c", str(CHAIN_BYTES + 1), "--", certificate_path], timeout=SECONDS)
    if got.code:
        return Found(None, _("The certificate cannot be read: %s") % _last_line(got.err))
    try:
        facts = facts_of(read_chain(got.text)[0])
    except BadPair as bad:
        return Found(None, f"{certificate_path}: {bad}")
    troubles = [*out_of_place(facts, domain, now), *_key_troubles(host, key_path, facts)]
    return Found(facts, " ".join(troubles))


def _key_troubles(host: Host, path: str, facts: Facts) -> list[str]:
    got = host.run(["openssl", "pkey", "-in", path, "-pubout", "-passin", "pass:"], timeout=SECONDS)
    if got.code == 127:  # no openssl there: nginx itself will tell
        return []
    if got.code:
        return [_("The key cannot be read: %s") % _last_line(got.err)]
    try:
        public = public_bytes(serialization.load_pem_public_key(got.out))
    except (ValueError, UnsupportedAlgorithm):
        return [_("The key is of a kind that is not known.")]
    return [] if public == facts.public_key else [_("The key is not the key of the certificate.")]


def _last_line(said: bytes) -> str:
    return (said.decode(errors="replace").strip().splitlines() or ["?"])[0][:200]
