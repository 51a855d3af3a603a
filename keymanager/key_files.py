"""Public keys as other programs write them, brought into lines of authorized_keys.

Sources: RFC 4716 (what PuTTYgen saves as a public key), RFC 7468 and PKCS #1 (PEM), and editors that begin a file with
a byte-order mark. What becomes of each line keeps its place, so that the number of a line is the one of the text.
"""

import base64
import re
from collections.abc import Callable

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.dsa import DSAPublicKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat, load_pem_public_key
from django.utils.translation import gettext as _

from keymanager.bad_key import BadKey
from keymanager.whole import unwrapped

# Of no width; and a byte-order mark as Western Windows and its command prompt show it (code pages 1252, 850 and 437).
_MARK = re.compile(
    "^(?:[\ufeff\u200b\u2060]|ï»¿|´╗┐|∩╗┐)+|(?<![\ufeff\u200b\u2060])[\ufeff\u200b\u2060]+$", re.MULTILINE
)
_ENDS = re.compile("(?<!\r)\r*\n|\r")
# A block ends before another begins, so that nothing is read twice however many begin.
_INSIDE = r"(?:(?![ \t]*----).*\n)*"
_RFC4716 = re.compile(
    r"^[ \t]*---- BEGIN SSH2 PUBLIC KEY ----[ \t]*\n"
    rf"({_INSIDE})[ \t]*---- END SSH2 PUBLIC KEY ----[ \t]*$",
    re.MULTILINE,
)
_PEM = re.compile(
    r"^[ \t]*(-----BEGIN ((?:[A-Z]+ )?PUBLIC KEY)-----[ \t]*\n" rf"{_INSIDE}[ \t]*-----END \2-----)[ \t]*$",
    re.MULTILINE,
)
_OTHER = re.compile(r"^[ \t]*-----BEGIN ([A-Z0-9 ]{1,60})-----", re.MULTILINE)
_HEADER = re.compile(r"^([A-Za-z0-9-]{1,64}):[ \t]*((?:.*\\\n)*.*)$", re.MULTILINE)


def without_marks(text: str) -> str:
    """The text without an editor's marks, which begin a file (also each of several that were put together), and without
    those of web pages around a line, which are as wide as nothing.
    """
    return _MARK.sub("", text)


def as_lines(text: str) -> str:
    """The text with its keys as lines. Raises BadKey for one that begins and does not end as it should."""
    text = _ENDS.sub("\n", without_marks(text))
    text = _RFC4716.sub(lambda found: _in_place(_of_rfc4716, found[1], found[0]), text)
    text = _PEM.sub(lambda found: _in_place(_of_pem, found[1], found[0]), text)
    if "BEGIN SSH2 PUBLIC KEY" in text or "PUBLIC KEY-----" in text:
        raise BadKey(
            _(
                "The key is damaged: its first or its last line is missing, or does not stand there by itself as it "
                "should. Was it cut?"
            )
        )
    if other := _OTHER.search(text):
        words = _("This is a block of another kind (%s), and no SSH public key.")
        raise BadKey(words % other[1].strip())
    return unwrapped(text)


def _in_place(read: Callable[[str], str], inside: str, whole: str) -> str:
    """The key of a block, in as many lines as the block had."""
    stripped = "".join(f"{line.strip()}\n" for line in inside.rstrip("\n").split("\n"))
    return read(stripped) + "\n" * whole.count("\n")


def _of_rfc4716(inside: str) -> str:
    headers = {found[1].lower(): found[2].replace("\\\n", "").strip() for found in _HEADER.finditer(inside)}
    blob = "".join(_HEADER.sub("", inside).split())
    try:
        raw = base64.b64decode(blob, validate=True)
        kind = raw[4 : 4 + int.from_bytes(raw[:4], "big")].decode("ascii")
    except ValueError as error:
        raise BadKey(_("The key is damaged: its long word is not valid base64. Was it cut?")) from error
    if not kind:
        raise BadKey(_("The key is damaged: there is nothing in it. Was it cut?"))
    comment = headers.get("comment", "")
    if len(comment) > 1 and comment[0] == comment[-1] == '"':
        comment = comment[1:-1]
    return f"{kind} {blob} {comment}".strip()


def _of_pem(block: str) -> str:
    try:
        key = load_pem_public_key(block.encode())
        if isinstance(key, DSAPublicKey):
            return "ssh-dss AAAA"  # refused by its type
        return key.public_bytes(Encoding.OpenSSH, PublicFormat.OpenSSH).decode()
    except (ValueError, UnsupportedAlgorithm) as error:
        raise BadKey(_("The key is damaged, or of a type that is not taken. Make an Ed25519 key.")) from error
