"""Whether a key is whole, and those put together that a mail program or a terminal broke into several lines.

A key says how long it is, so a line of type and beginning takes the lines below it exactly until the key is whole, and
there is one way only to read it. Mail programs break at blanks, so the name that ssh-keygen and PuTTYgen write behind a
key, one word, may stand in the line below.
"""

import re

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.serialization import SSHPublicKeyTypes, load_ssh_public_key

from keymanager.key_options import begins_with_option, options_end
from keymanager.lines import MOST_BYTES, TYPES

SHORTEST = 68  # an Ed25519 key in base64
MOST_PIECES = 400
_PIECE = re.compile(r"[ \t]*([A-Za-z0-9+/]+={0,3})\\?[ \t]*(?:[ \t](.*))?")
# Has what no base64 has, so that it cannot be a piece of a key: ada@laptop, eddsa-key-20261201.
_NAME = re.compile(r"[ \t]*(\w[\w.+-]*[@.-][\w.+@-]*)[ \t]*")


def whole_key(kind: str, blob: str) -> SSHPublicKeyTypes | None:
    """The key of this type with this base64; None where it is not a whole one."""
    try:
        return load_ssh_public_key(f"{kind} {blob}".encode())
    except (
        ValueError,
        UnsupportedAlgorithm,
        NotImplementedError,
    ):  # the last one: of forms that OpenSSH has not
        return None


def unwrapped(text: str) -> str:
    """The text with such keys in one line each, and empty lines where their other pieces were."""
    lines = text.split("\n")
    at = 0
    while at < len(lines):
        line, count = _whole(lines, at)
        lines[at : at + count] = [line, *[""] * (count - 1)]
        at += count
    return "\n".join(lines)


def _whole(lines: list[str], at: int) -> tuple[str, int]:
    """The line here, with those below that belong to it, and how many these are."""
    head, kind, blob = _beginning(lines[at])
    if kind and whole_key(kind, blob):
        return _named(lines, at, 1, lines[at])
    below = _PIECE.fullmatch(lines[at + 1]) if kind and at + 1 < len(lines) else None
    if below is None:
        return lines[at], 1
    for end in range(at + 1, min(len(lines), at + MOST_PIECES)):
        below = _PIECE.fullmatch(lines[end])
        if below is None or len(blob) > MOST_BYTES:
            break
        blob, comment = blob + below[1], (below[2] or "").strip()
        if len(blob) >= SHORTEST and len(blob) % 4 == 0 and whole_key(kind, blob):
            line = " ".join(filter(None, (head, kind, blob, comment)))
            return (line, end - at + 1) if comment else _named(lines, at, end - at + 1, line)
        if comment:
            break
    return lines[at], 1


def _named(lines: list[str], at: int, count: int, key: str) -> tuple[str, int]:
    """A whole key of so many lines without a comment, with the name that stands by itself below it, if one does."""
    found = _NAME.fullmatch(lines[at + count]) if at + count < len(lines) else None
    if found is None or found[1].startswith(TYPES) or begins_with_option(found[1]):
        return key, count
    return f"{key.rstrip()} {found[1]}", count + 1


def _beginning(line: str) -> tuple[str, str, str]:
    """Options, type and the beginning of the blob of a line that has nothing else; three empty ones of another line."""
    line = line.strip(" \t")
    end = 0 if line.startswith(TYPES) else options_end(line)
    match line[end:].removesuffix("\\").split():
        case [kind] if kind in TYPES:
            return line[:end], kind, ""
        case [kind, blob] if kind in TYPES:
            return line[:end], kind, blob
    return "", "", ""
