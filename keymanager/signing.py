"""The panel's signature under its answers: OpenSSH's PROTOCOL.sshsig, so that a host needs only
ssh-keygen.
"""

import base64
import hashlib
import struct
from dataclasses import dataclass

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    load_ssh_private_key,
)
from django.db import IntegrityError, transaction
from django.utils import timezone

from accounts.actors import Actor
from accounts.audit import record
from keymanager.models import KeySetRevision, SigningKey
from keymanager.protocol import NAMESPACES, PRINCIPAL
from keymanager.revisions import touch

_MAGIC = b"SSHSIG"


def rfc4251_string(value: bytes) -> bytes:
    """A string as in RFC 4251, section 5."""
    return struct.pack(">I", len(value)) + value


class AlreadyPrepared(Exception):  # noqa: N818  # a refusal
    """There is a next signing key already: somebody else was quicker."""


@dataclass(frozen=True)
class Signer:
    """One Ed25519 key, ready to sign."""

    private: Ed25519PrivateKey
    public_blob: bytes

    @classmethod
    def of(cls, key: SigningKey) -> "Signer":
        """The signer of a stored key."""
        private = load_ssh_private_key(key.private_key.encode(), password=None)
        if not isinstance(private, Ed25519PrivateKey):
            raise TypeError("the signing key is not an Ed25519 key")
        return cls(private, base64.b64decode(key.public_key.split()[1]))

    def sign(self, message: bytes, namespace: str) -> bytes:
        """The signature as raw bytes (PROTOCOL.sshsig, sections 2 and 3)."""
        common = rfc4251_string(namespace.encode()) + rfc4251_string(b"") + rfc4251_string(b"sha512")
        signed = _MAGIC + common + rfc4251_string(hashlib.sha512(message).digest())
        signature = rfc4251_string(b"ssh-ed25519") + rfc4251_string(self.private.sign(signed))
        version = struct.pack(">I", 1)
        return _MAGIC + version + rfc4251_string(self.public_blob) + common + rfc4251_string(signature)


def armoured(signature: bytes) -> bytes:
    """A raw signature as ssh-keygen reads it from a file."""
    text = base64.b64encode(signature)
    lines = [text[at : at + 70] for at in range(0, len(text), 70)]
    return b"\n".join((b"-----BEGIN SSH SIGNATURE-----", *lines, b"-----END SSH SIGNATURE-----", b""))


def fresh_key() -> SigningKey:
    """A new key, not saved, that does not sign yet."""
    private = Ed25519PrivateKey.generate()
    public = private.public_key().public_bytes(Encoding.OpenSSH, PublicFormat.OpenSSH).decode()
    text = private.private_bytes(Encoding.PEM, PrivateFormat.OpenSSH, NoEncryption()).decode()
    return SigningKey(private_key=text, public_key=public)


def current_key() -> SigningKey:
    """The key that signs, made on first use; of several processes at once, one makes it."""
    found = SigningKey.objects.filter(signs=True).first()
    if found:
        return found
    fresh = fresh_key()
    fresh.signs = True
    try:
        with transaction.atomic():
            fresh.save()
            touch([KeySetRevision.SIGNING])
    except IntegrityError:  # another process was first
        return SigningKey.objects.get(signs=True)
    return fresh


def allowed_signers() -> str:
    """The hosts' allowed_signers file (ssh-keygen(1)): every key that is not retired, for our namespaces
    only.
    """
    current_key()
    keys = SigningKey.objects.filter(retired_at__isnull=True).values_list("public_key", flat=True)
    return "".join(f'{PRINCIPAL} namespaces="{NAMESPACES}" {key}\n' for key in keys)


def prepare_next_key(actor: Actor) -> SigningKey:
    """First half of a rotation: a second key that hosts learn to believe. Ask for the rollouts after it.

    Raises AlreadyPrepared.
    """
    with transaction.atomic():
        SigningKey.objects.select_for_update().get(pk=current_key().pk)  # one at a time
        if SigningKey.objects.filter(signs=False, retired_at__isnull=True).exists():
            raise AlreadyPrepared
        fresh = fresh_key()
        fresh.save()
        record(actor, "signing_key.prepare", fresh, after={"public_key": fresh.public_key})
    return fresh


def use_next_key(actor: Actor) -> SigningKey:
    """Second half, once every host believes it: the prepared key signs and the old one is retired."""
    with transaction.atomic():
        following = SigningKey.objects.select_for_update().get(signs=False, retired_at__isnull=True)
        SigningKey.objects.filter(signs=True).update(signs=False, retired_at=timezone.now())
        following.signs = True
        following.save(update_fields=["signs"])
        record(actor, "signing_key.use", following, after={"public_key": following.public_key})
        touch([KeySetRevision.SIGNING])
    return following
