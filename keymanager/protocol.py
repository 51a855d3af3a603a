"""What travels between the endpoint and the hosts' script, as bytes; described in
docs/keymanager-protocol.md.

Pure: knows no database and no request.
"""

import hashlib
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

PATH = "/keymanager/servers/getKeys/"
FIRST = b"### MISE A JOUR AUTOMATIQUES - NE PAS EDITER ###\n"
LAST = b"### AUTOMATIC UPDATES - DON'T EDIT ###\n"
NAMESPACE = "gestion-keys@gestion"
USER_NAMESPACE = "gestion-user-keys@gestion"
PRINCIPAL = "gestion"
HOLDS = b"gestion-keys-holds"
PROBLEM = b"gestion-keys-problem"

# One line of authorized_keys as the hosts' script takes it (sshd(8), AUTHORIZED_KEYS FILE FORMAT). The same
# pattern, as an extended regular expression, stands in configs/gestion-keys.j2; a test holds the two
# together. In quotes, a run of backslashes before a quote hides the quote, as in sshd.
_VALUE = rb'"([^"\\\x00-\x1f\x7f]|\\+[^\\\x00-\x1f\x7f])*"'
_OPTION = rb"[A-Za-z0-9-]+(=" + _VALUE + rb")?"
_TYPES = (
    rb"(ssh-ed25519|ssh-rsa|ecdsa-sha2-nistp(256|384|521)|sk-(ssh-ed25519|ecdsa-sha2-nistp256)@openssh\.com)"
)
LINE = re.compile(
    rb"("
    + _OPTION
    + rb"(,"
    + _OPTION
    + rb")* )?"
    + _TYPES
    + rb" AAAA[A-Za-z0-9+/]+={0,3}( [^\x00-\x1f\x7f]*)?"
)


@dataclass(frozen=True)
class Content:
    """All keys of one keymanager name: the part of the answer that the ETag stands for.

    `parts` are lines with their newlines; joined, they are the bytes. `spans` are the places of each unix
    user's lines among them.
    """

    parts: tuple[bytes, ...]
    etag: str
    spans: Mapping[str, tuple[int, int]]


def clean_line(line: str) -> bytes | None:
    """A key line as hosts take it; None for one that they would refuse, which then is in no answer."""
    raw = line.encode(errors="replace")
    return raw + b"\n" if LINE.fullmatch(raw) else None


def content_of(users: Mapping[str, tuple[bytes, ...]]) -> Content:
    """The content for these unix users and their clean lines, in this order.

    Unix users with the same keys stand together, so that a large set is sent once.
    """
    together: dict[tuple[bytes, ...], list[str]] = {}
    for user in sorted(users):
        together.setdefault(users[user], []).append(user)
    parts: list[bytes] = []
    spans: dict[str, tuple[int, int]] = {}
    for lines, names in together.items():
        parts.append(f"# users {','.join(names)} {len(lines)}\n".encode())
        spans.update(dict.fromkeys(names, (len(parts), len(parts) + len(lines))))
        parts += lines
    return Content(tuple(parts), hashlib.sha256(b"".join(parts)).hexdigest()[:40], spans)


def server_message(name: str, revision: int, content: Content) -> tuple[bytes, ...]:
    """What is signed and sent for the whole server, from the first marker line to the last; two lines,
    then the content.
    """
    head = f"# gestion-keys 1 {name} {revision} {content.etag}\n".encode()
    return (FIRST, head, *content.parts, LAST)


def user_body(lines: Sequence[bytes]) -> tuple[bytes, ...]:
    """What is sent for one unix user: the lines between the markers, nothing else."""
    return (FIRST, *lines, LAST)


def user_message(name: str, user: str, revision: int, body: bytes) -> bytes:
    """What is signed for one unix user: who and when, which the body does not say, and the body."""
    return f"# gestion-user-keys 1 {name} {user} {revision}\n".encode() + body
