"""What travels between the endpoint and the hosts' script, as bytes; described in
docs/keymanager-protocol.md.

Pure: knows no database and no request.
"""

import hashlib
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from keymanager.key_options import is_sent
from keymanager.lines import is_user

PATH = "/keymanager/servers/getKeys/"
FIRST = b"### MISE A JOUR AUTOMATIQUES - NE PAS EDITER ###\n"
LAST = b"### AUTOMATIC UPDATES - DON'T EDIT ###\n"
NAMESPACE = "gestion-keys@gestion"
USER_NAMESPACE = "gestion-user-keys@gestion"
PROOF_NAMESPACE = "gestion-keys-proof@gestion"
NAMESPACES = f"{NAMESPACE},{USER_NAMESPACE},{PROOF_NAMESPACE}"
PRINCIPAL = "gestion"
HOLDS = b"gestion-keys-holds"
PROBLEM = b"gestion-keys-problem"
NONCE = b"gestion-keys-nonce"
PROVED = b"gestion-keys-proved"
FOUND = b"gestion-keys-found"
PROOF = b"Gestion-Keys-Proof"
STALE_HOURS = 2  # without a proved answer: two hourly fetches missed; then host and panel say so
COPIES = "copied: "  # how a server tells that keys from here lie where it takes none away
_NONCE = re.compile(rb"[0-9A-Za-z]{16,64}")
# How the words of a fetch that went well begin: what somebody should know besides. All others are of one that failed.
_NOTE = re.compile(
    "(clock|no-user|one-file|copied|left out|not read|lock): |turn: the run before |sshd does not |cron is not |[^:]+: "
    "(home is writable|[^:]* (in|taken out of) authorized_keys2|what was in authorized_keys2 could not be read)"
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


def has_failed(problem: str) -> bool:
    """Whether what a server says of its last fetch means that it failed; also for words that are not known here."""
    return bool(problem) and _NOTE.match(problem) is None


def holds_copies(problem: str) -> bool:
    """Whether a server says that keys from here lie where it takes none away."""
    return COPIES in problem


def clean_line(line: str, options: str = "") -> bytes | None:
    """A key line as hosts take it, `options` being its first word; None for one that they would refuse, which then is
    in no answer.
    """
    return line.encode(errors="replace") + b"\n" if is_sent(options, line) else None


def content_of(users: Mapping[str, tuple[bytes, ...]]) -> Content:
    """The content for these unix users and their clean lines, in this order.

    Unix users with the same keys stand together, so that a large set is sent once. A name that hosts would
    not take for a unix user's is left out, so that it costs the others nothing.
    """
    together: dict[tuple[bytes, ...], list[str]] = {}
    for user in filter(is_user, sorted(users)):
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


def nonce_of(given: bytes | None) -> str:
    """The number that a host made up for this request; "-" when it gave none, or something else."""
    return given.decode() if given is not None and _NONCE.fullmatch(given) else "-"


def proof_message(name: str, user: str, revision: int, etag: str, *, at: int, nonce: str) -> bytes:
    """What is signed for one request: what holds now, when "now" was (seconds since 1970), and who asked.

    `user` is "" for the whole server. A host that made up the nonce knows that the answer is not an old one,
    whatever its own clock says.
    """
    return f"# gestion-keys-proof 1 {name} {user or '*'} {revision} {etag} {at} {nonce}\n".encode()
