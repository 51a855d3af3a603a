"""What the OpenSSH of the panel's own machine makes of a public key, where there is one.

`openssh.py` knows the rules; this asks `ssh-keygen -l`, so that no key is stored that OpenSSH does not read. Where it
is not there, does not end or breaks, the rules count alone.
"""

import base64
import os

from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from django.utils.translation import gettext as _

from hosts.bounds import KIB, MIB, Exceeded
from hosts.programs import run_program
from keymanager.bad_key import BadKey
from keymanager.openssh import PublicKey
from keymanager.signing import rfc4251_string

SECONDS = 5.0
MEMORY_BYTES = 256 * MIB
LIMITS = ("prlimit", f"--data={MEMORY_BYTES}", "--fsize=0", "--core=0", "--")
CURVES = {"nistp256": ec.SECP256R1(), "nistp384": ec.SECP384R1(), "nistp521": ec.SECP521R1()}


def check_by_openssh(key: PublicKey) -> None:
    """Raise BadKey when OpenSSH here does not read this key, though it reads others of its type."""
    said = _print_of(key.type, key.blob)
    if said in {None, key.fingerprint}:
        return
    if said:
        words = _("OpenSSH reads another key from this line: %(said)s, not %(ours)s.")
        raise BadKey(words % {"said": said, "ours": key.fingerprint})
    if _print_of(key.type, _good_blob(key.type)):  # else it is too old for this type, and servers may not be
        words = _("OpenSSH does not read this key (%s). Make a new one: ssh-keygen -t ed25519")
        raise BadKey(words % key.fingerprint)


def _print_of(kind: str, blob: str) -> str | None:
    """The fingerprint that ssh-keygen says; "": it is no key to it; None: it has nothing to say."""
    argv = (*LIMITS, "ssh-keygen", "-l", "-f", "-")
    env = {"PATH": os.environ.get("PATH", os.defpath), "LC_ALL": "C"}
    try:
        done = run_program(argv, env=env, seconds=SECONDS, most=64 * KIB, stdin=f"{kind} {blob}\n".encode())
    except (OSError, Exceeded):
        return None
    if done.returncode == 0:
        words = done.stdout.decode(errors="replace").split()
        return words[1] if len(words) > 1 and words[1].startswith("SHA256:") else None
    return "" if b"is not a public key file" in done.stderr else None


def _good_blob(kind: str) -> str:
    """A key of this type that is good for certain, in base64."""
    name = kind.removeprefix("sk-").removesuffix("@openssh.com")
    private: Ed25519PrivateKey | rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey
    if name == "ssh-ed25519":
        private = Ed25519PrivateKey.generate()
    elif name == "ssh-rsa":
        private = rsa.generate_private_key(65537, 3072)
    else:
        private = ec.generate_private_key(CURVES[name.rpartition("-")[2]])
    made = private.public_key().public_bytes(Encoding.OpenSSH, PublicFormat.OpenSSH).split()[1]
    if kind == name:
        return made.decode()
    # On a security key: the same parts under the type's own name, then the application (PROTOCOL.u2f).
    inside = base64.b64decode(made).removeprefix(rfc4251_string(name.encode()))
    return base64.b64encode(rfc4251_string(kind.encode()) + inside + rfc4251_string(b"ssh:")).decode()
