"""Public keys as other programs write them, brought into lines of authorized_keys.

Sources: RFC 4716 (what PuTTYgen saves as a public key), RFC 7468 and PKCS #1 (PEM), and editors that begin a file with
a byte-order mark.
"""

import base64
import re

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat, load_pem_public_key
from django.utils.translation import gettext as _

from keymanager.bad_key import BadKey

_MARK = re.compile("^\ufeff", re.MULTILINE)
_RFC4716 = re.compile(
    r"^---- BEGIN SSH2 PUBLIC KEY ----[ \t]*\n(.*?)^---- END SSH2 PUBLIC KEY ----[ \t]*$",
    re.DOTALL | re.MULTILINE,
)
_PEM = re.compile(
    r"^-----BEGIN ((?:RSA )?PUBLIC KEY)-----[ \t]*\n.*?^-----END \1-----[ \t]*$", re.DOTALL | re.MULTILINE
)
_HEADER = re.compile(r"^([A-Za-z0-9-]{1,64}):[ \t]*((?:.*\\\n)*.*)$", re.MULTILINE)


def without_marks(text: str) -> str:
    """The text without an editor's marks, which begin a file: also each of several that were put together."""
    return _MARK.sub("", text)


def as_lines(text: str) -> str:
    """The text with its keys as lines. Raises BadKey for one that begins and does not end as it should."""
    text = without_marks(text).replace("\r\n", "\n")
    text = _RFC4716.sub(lambda found: _of_rfc4716(found[1]), text)
    text = _PEM.sub(lambda found: _of_pem(found[0]), text)
    if "BEGIN SSH2 PUBLIC KEY" in text or "PUBLIC KEY-----" in text:
        raise BadKey(_("The key is damaged: it has a beginning and no end. Was it cut?"))
    return text


def _of_rfc4716(inside: str) -> str:
    headers = {found[1].lower(): found[2].replace("\\\n", "").strip() for found in _HEADER.finditer(inside)}
    blob = "".join(_HEADER.sub("", inside).split())
    try:
        raw = base64.b64decode(blob, validate=True)
        kind = raw[4 : 4 + int.from_bytes(raw[:4], "big")].decode("ascii")
    except ValueError as error:
        raise BadKey(_("The key is damaged: its long word is not valid base64. Was it cut?")) from error
    comment = headers.get("comment", "")
    if len(comment) > 1 and comment[0] == comment[-1] == '"':
        comment = comment[1:-1]
    return f"{kind} {blob} {comment}".strip()


def _of_pem(block: str) -> str:
    try:
        key = load_pem_public_key(block.encode())
        return key.public_bytes(Encoding.OpenSSH, PublicFormat.OpenSSH).decode()
    except (ValueError, UnsupportedAlgorithm) as error:
        raise BadKey(_("The key is damaged, or of a type that is not taken. Make an Ed25519 key.")) from error
