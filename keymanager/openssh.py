"""Public SSH keys as people paste them and OpenSSH reads them (sshd(8), AUTHORIZED_KEYS FILE FORMAT).

What is taken: Ed25519, ECDSA on NIST P-256, P-384 and P-521, both on security keys (sk-…), and RSA from
RSA_MIN_BITS bits. Sources for RSA: NIST SP 800-131A Rev. 2 disallows less than 2048 bits; BSI TR-02102-1 asks
for 3000 and more since 2024, so anything under 3072 is taken with a warning. DSA keys are gone from OpenSSH.
"""

import base64
import binascii
import hashlib
import re
import unicodedata
from dataclasses import dataclass

from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from django.conf import settings
from django.utils.translation import gettext as _

from keymanager.bad_key import BadKey
from keymanager.key_files import as_lines
from keymanager.key_options import begins_with_option, canonical_options, holds_options, options_end
from keymanager.lines import MOST_BYTES, RSA_MOST_BITS, is_key
from keymanager.whole import whole_key

BITS = {
    "ssh-ed25519": 256,
    "ecdsa-sha2-nistp256": 256,
    "ecdsa-sha2-nistp384": 384,
    "ecdsa-sha2-nistp521": 521,
    "sk-ssh-ed25519@openssh.com": 256,
    "sk-ecdsa-sha2-nistp256@openssh.com": 256,
    "ssh-rsa": 0,  # says itself
}
RSA_GOOD_BITS = 3072
MAX_COMMENT = 255
_LOOKS_LIKE_A_TYPE = re.compile(r"(ssh|ecdsa|sk|rsa|webauthn)-[a-z0-9@.-]+")
# Also without its first line: what only PuTTY's has, and how all of OpenSSH's begin ("openssh-key-v1" in base64).
_PRIVATE = re.compile(r"PRIVATE\s+KEY|PuTTY-User-Key-File|Private-Lines:|b3BlbnNzaC1rZXktdjE")
# A key after a key, in the same line.
_ANOTHER = re.compile("(" + "|".join(map(re.escape, BITS)) + r")\s+AAAA")
_DASH = re.compile("[\u2010-\u2015\u2212]")
# Blanks of web pages and text programs, outside quotes.
_ODD_BLANK = re.compile(r'"(?:\\"|[^"])*"|([\xa0\u1680\u2000-\u200a\u202f\u205f\u3000])')
_UNSEEN = {"Cc", "Cf", "Cs", "Zl", "Zp"}  # controls, direction marks, lone surrogates, line separators


@dataclass(frozen=True)
class PublicKey:
    """One public key, checked; its line is exactly one line of authorized_keys."""

    options: str
    type: str
    blob: str
    comment: str
    bits: int
    fingerprint: str

    @property
    def line(self) -> str:
        """As it stands in authorized_keys, without the newline."""
        return " ".join(part for part in (self.options, self.type, self.blob, self.comment) if part)


def parse_keys(text: str) -> list[PublicKey]:
    """The keys of pasted text, one a line or as other programs save them; empty and comment lines are left out.

    Raises BadKey with the number of the line, or when there is no key at all.
    """
    found: list[PublicKey] = []
    lines = key_lines(text)
    for number, line in lines:
        try:
            found.append(parse_key(line))
        except BadKey as error:
            if number == len(lines) == 1:
                raise
            raise BadKey(
                _("Line %(number)d: %(reason)s") % {"number": number, "reason": str(error)}
            ) from error
    if not found:
        raise BadKey(_("There is no key here. Paste the line of your .pub file."))
    return found


def key_lines(text: str) -> list[tuple[int, str]]:
    """The lines of a text that should be keys, with their numbers; empty ones and comments are left out.

    Raises BadKey where there is a private key in it, or a block that was cut.
    """
    _refuse_private_keys(text)
    lines = enumerate(as_lines(text).split("\n"), start=1)
    return [(number, line) for number, line in lines if line.strip() and not line.lstrip().startswith("#")]


def parse_key(line: str) -> PublicKey:
    """One line: options, type, base64, comment. Raises BadKey."""
    _refuse_private_keys(line)
    _check_characters(line)
    options, rest = _split_options(line)
    type_name, blob, comment = _parts(rest)
    _check_type(type_name)
    _check_comment(comment)
    raw = _decoded(blob)
    bits = _check_blob(type_name, raw)
    key = PublicKey(
        options=canonical_options(options),
        type=type_name,
        blob=base64.b64encode(raw).decode(),
        comment=comment,
        bits=bits,
        fingerprint=fingerprint(raw),
    )
    if not is_key(key.line.encode()):
        raise BadKey(_("This is not a line that servers take. Leave out the options, or write them anew."))
    return key


def fingerprint(raw: bytes) -> str:
    """SHA256:… exactly as `ssh-keygen -l` prints it."""
    return "SHA256:" + base64.b64encode(hashlib.sha256(raw).digest()).decode().rstrip("=")


def holds_private_key(text: str) -> bool:
    """Whether the text is, or contains, a private key; it must then be shown and kept nowhere."""
    return _PRIVATE.search(text) is not None


def _refuse_private_keys(text: str) -> None:
    if holds_private_key(text):
        raise BadKey(
            _(
                "This is a private key. It must never leave your computer; nothing of it was kept. "
                "Paste the public key instead: the file with the same name that ends in .pub."
            )
        )


def _check_characters(line: str) -> None:
    if len(line.encode(errors="replace")) > MOST_BYTES:
        raise BadKey(_("This line is too long for a key."))
    for character in line:
        if character != "\t" and unicodedata.category(character) in _UNSEEN:
            raise BadKey(_("There is a control character in this line (U+%04X).") % ord(character))


def _split_options(line: str) -> tuple[str, str]:
    """What stands before the type of the key, and the rest. Raises BadKey where that is not told by blanks alone."""
    rest = _ODD_BLANK.sub(lambda found: " " if found[1] else found[0], line).strip(" \t")
    first = rest.split(None, 1)[0] if rest else ""
    if _LOOKS_LIKE_A_TYPE.fullmatch(first):
        return "", rest
    if (meant := _DASH.sub("-", first.lower())) in BITS:
        raise BadKey(_("Write “%s” as it stands in your .pub file: small letters, plain hyphens.") % meant)
    end = options_end(rest)
    options, rest = rest[:end], rest[end:].lstrip(" \t")
    if begins_with_option(options) and not _LOOKS_LIKE_A_TYPE.match(rest):
        canonical_options(options.rstrip(","))  # what is wrong in them may be why the key is not behind them
        if not rest:
            raise BadKey(_("Options stand in the line of their key, before it."))
        words = _("There is a blank within the options. Between two stands a comma alone: %s.")
        raise BadKey(words % "no-pty,no-user-rc")
    return options, rest


def _parts(rest: str) -> tuple[str, str, str]:
    match = re.fullmatch(r"([^ \t]+)[ \t]+([^ \t]+)(?:[ \t]+(.*))?", rest)
    if not match:
        raise _no_key()
    return match[1], match[2], (match[3] or "").replace("\t", " ").strip()


def _check_comment(comment: str) -> None:
    if _ANOTHER.search(comment):
        raise BadKey(
            _("There is another key in the comment of this one. Each key stands in a line of its own.")
        )
    if holds_options(comment):
        raise BadKey(
            _("There are options behind the key, where they count for nothing. Write them before its type.")
        )
    if len(comment) > MAX_COMMENT:
        raise BadKey(_("The comment is longer than %d characters.") % MAX_COMMENT)


def _no_key() -> BadKey:
    return BadKey(_("This is not a public key: a type such as ssh-ed25519 and a long word should follow."))


def _check_type(type_name: str) -> None:
    if type_name in BITS:
        return
    if type_name == "ssh-dss":
        raise BadKey(_("DSA keys are too weak, and OpenSSH no longer takes them. Make an Ed25519 key."))
    if "-cert-" in type_name:
        raise BadKey(_("This is a certificate. Paste the key itself: the .pub file without “-cert”."))
    if not _LOOKS_LIKE_A_TYPE.fullmatch(type_name):
        raise _no_key()
    raise BadKey(
        _("“%(type)s” is not a type of key that is taken. These are: %(types)s.")
        % {"type": type_name[:60], "types": ", ".join(BITS)}
    )


def _damaged(what: str) -> BadKey:
    one_line = _("Was it cut? If it is broken into several lines, write it in one.")
    return BadKey(_("The key is damaged: %(what)s. %(ask)s") % {"what": what, "ask": one_line})


def _decoded(blob: str) -> bytes:
    try:
        return base64.b64decode(blob.encode("ascii"), validate=True)
    except (UnicodeEncodeError, binascii.Error) as error:
        raise _damaged(_("its long word is not valid base64")) from error


def _check_blob(type_name: str, raw: bytes) -> int:
    """The key's size in bits; raises BadKey unless the blob is one whole key of this type."""
    inner = raw[4 : 4 + int.from_bytes(raw[:4], "big")]
    if inner != type_name.encode():
        raise BadKey(_("The key is damaged: it says %(said)s, but is not one.") % {"said": type_name})
    key = whole_key(type_name, base64.b64encode(raw).decode())
    if key is None:
        raise _damaged(_("it is not a whole %s key") % type_name)
    if not type_name.startswith("sk-"):
        again = key.public_bytes(Encoding.OpenSSH, PublicFormat.OpenSSH).split(b" ")[1]
        if base64.b64decode(again) != raw:  # OpenSSH would show another fingerprint than ours
            raise BadKey(_("The key is not encoded as OpenSSH encodes it."))
    if not isinstance(key, RSAPublicKey):
        return BITS[type_name]
    if key.key_size > RSA_MOST_BITS:
        words = _("This RSA key has %(bits)d bits; OpenSSH reads no more than %(most)d. Make an Ed25519 key.")
        raise BadKey(words % {"bits": key.key_size, "most": RSA_MOST_BITS})
    if key.key_size < settings.RSA_MIN_BITS:
        raise BadKey(
            _("This RSA key has %(bits)d bits, which is too weak: at least %(least)d, better an Ed25519 key.")
            % {"bits": key.key_size, "least": settings.RSA_MIN_BITS}
        )
    return key.key_size
