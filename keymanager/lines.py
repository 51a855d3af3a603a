"""What a line of authorized_keys is (sshd(8), AUTHORIZED_KEYS FILE FORMAT), said once.

The expressions are POSIX extended ones: the hosts' script is rendered with them and gives them to grep, and
Python reads the same texts. So what this panel takes for a key is what a host takes for one.
"""

import base64
import re

TYPES = (
    "ssh-ed25519",
    "ssh-rsa",
    "ecdsa-sha2-nistp256",
    "ecdsa-sha2-nistp384",
    "ecdsa-sha2-nistp521",
    "sk-ssh-ed25519@openssh.com",
    "sk-ecdsa-sha2-nistp256@openssh.com",
)
RSA_MOST_BITS = 16384  # OPENSSL_RSA_MAX_MODULUS_BITS, with which OpenSSH refuses the rest
MOST_BYTES = 20_000  # of a line: the base64 of OpenSSH's longest key and room for options

# In quotes, a run of backslashes before a quote hides the quote, as in sshd (sshkey_advance_past_options).
_VALUE = r'"([^"\\[:cntrl:]]|\\+[^\\[:cntrl:]])*"'
_OPTION = f"[A-Za-z0-9-]+(={_VALUE})?"
_TYPE = "(" + "|".join(name.replace(".", "[.]") for name in TYPES) + ")"
KEY = f"({_OPTION}(,{_OPTION})* )?{_TYPE} AAAA[A-Za-z0-9+/]+={{0,3}}( [^[:cntrl:]]*)?"
USER = "[a-z_][a-z0-9_.-]*[$]?"
NAME = "[A-Za-z0-9][A-Za-z0-9._-]*"


def compiled(expression: str) -> re.Pattern[bytes]:
    """An extended regular expression as grep reads it where LC_ALL is C: over bytes."""
    return re.compile(expression.replace("[:cntrl:]", r"\x00-\x1f\x7f").encode())


_KEY = compiled(KEY)
_USER = compiled(USER)


def is_key(line: bytes) -> bool:
    """Whether hosts write this line, given without its newline."""
    return len(line) <= MOST_BYTES and _KEY.fullmatch(line) is not None


def is_too_long(kind: str, blob: str) -> bool:
    """Whether this is an RSA key that OpenSSH does not read for its length, and so lets nobody in."""
    if kind != "ssh-rsa":
        return False
    try:
        rest, part = base64.b64decode(blob), b""
    except ValueError:  # no whole key, of which sshd reads nothing, whatever is said here
        return False
    for _name_exponent_modulus in range(3):
        end = 4 + int.from_bytes(rest[:4], "big")
        part, rest = rest[4:end], rest[end:]
    return int.from_bytes(part, "big").bit_length() > RSA_MOST_BITS


def is_user(name: str) -> bool:
    """Whether hosts take this for the name of a unix user."""
    return _USER.fullmatch(name.encode(errors="replace")) is not None
