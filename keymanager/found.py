"""What gestion-keys says of lines in authorized_keys2 that it did not write; described in docs/keymanager-protocol.md.

Pure: knows no database and no request. What a host says is not trusted to be what it should be.
"""

import re
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass

from keymanager.lines import USER

DIFFERS = "authorized_keys2 is not as it was written: "  # begins the last line of a look that found something
CANNOT = "authorized_keys2 cannot be read"
MOST_OF_A_USER = (
    10  # lines that a look names; of more, it only says how many. A fetch keeps 200, and tells them by and by
)
MOST_OF_A_SERVER = 40
MOST_OF_A_LOOK = 3990  # characters; of more, only the end comes (hosts/remote/4_job.sh)
MOST_TOLD = 20  # in one request
HEADER_BYTES = 8192
_ENTRY = re.compile(
    rf"({USER}): (?:(options )?([a-z0-9@.-]{{1,60}}) (SHA256:[A-Za-z0-9+/]{{43}})(?: ([ -~]*))?|no key)",
    re.ASCII,
)
_CANNOT = re.compile(rf"-({USER}): {CANNOT}.*", re.ASCII)


@dataclass(frozen=True)
class Found:
    """One line; `fingerprint` is empty for what is no key."""

    unix_user: str
    type: str = ""
    fingerprint: str = ""
    has_options: bool = False
    comment: str = ""


@dataclass(frozen=True)
class Looked:
    """A look that found something: the lines, and the unix users of whom it cannot have named all."""

    lines: tuple[Found, ...]
    unsure_of: frozenset[str] = frozenset()
    cut: bool = False


def read_look(words: str) -> Looked | None:
    """What a look that found something says; None for words that are no look's, as those of an older script."""
    lines = words.splitlines()
    if not lines or not lines[-1].startswith(DIFFERS):
        return None
    told = [line[1:] for line in lines if line.startswith("-")]
    found = _entries(told)
    of_user = Counter(match[1][:64] for text in told if (match := _ENTRY.fullmatch(text.strip())))
    unread = {match[1] for line in lines if (match := _CANNOT.fullmatch(line))}
    full = {user for user, count in of_user.items() if count >= MOST_OF_A_USER}
    cut = len(lines) > MOST_OF_A_SERVER or len(words) >= MOST_OF_A_LOOK
    return Looked(found, frozenset(unread | full), cut)


def read_header(value: bytes) -> tuple[Found, ...]:
    """What a fetch took out, as it says in the header Gestion-Keys-Found."""
    text = value[:HEADER_BYTES].decode("latin-1")
    return _entries(text.split(";")[:MOST_TOLD])


def _entries(texts: Iterable[str]) -> tuple[Found, ...]:
    """Each line once: of the same key, or of what is no key, the first."""
    once: dict[tuple[str, str], Found] = {}
    for text in texts:
        if match := _ENTRY.fullmatch(text.strip()):
            user, options, kind, fingerprint, comment = match.groups()
            found = Found(
                user[:64], kind or "", fingerprint or "", options is not None, (comment or "").strip()[:80]
            )
            once.setdefault((found.unix_user, found.fingerprint), found)
    return tuple(once.values())
