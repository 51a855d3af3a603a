"""Paths inside a copy: bytes, as file systems have them; how URLs and rows carry them, and how people see them."""

import base64
import re

_TOKEN = re.compile(r"[A-Za-z0-9_-]*", re.ASCII)
_UNSEEN = re.compile("[\x00-\x1f\x7f-\x9f\u200b-\u200f\u2028-\u202e\u2066-\u2069\ufeff]")


class NoPath(ValueError):  # noqa: N818 - a URL that nobody made here
    """This is not a path inside a copy."""


def token_of(path: bytes) -> str:
    """The path (without a slash at either end; empty: all) as URLs and rows carry it: base64url without padding."""
    return base64.urlsafe_b64encode(path).decode().rstrip("=")


def path_of(token: str) -> bytes:
    """The path of such a token; raises NoPath for what leads elsewhere or is none."""
    if not _TOKEN.fullmatch(token) or len(token) > 6000:
        raise NoPath(token)
    try:
        path = base64.urlsafe_b64decode(token + "=" * (-len(token) % 4))
    except ValueError as error:
        raise NoPath(token) from error
    if token_of(path) != token:
        raise NoPath(token)
    parts = path.split(b"/") if path else []
    if b"\0" in path or any(part in (b"", b".", b"..") for part in parts):
        raise NoPath(token)
    return path


def parent_of(path: bytes) -> bytes:
    """The folder that holds it; empty for what lies at the top."""
    return path.rpartition(b"/")[0]


def name_of(path: bytes) -> bytes:
    """Its own name; empty for all of the copy."""
    return path.rpartition(b"/")[2]


def joined(folder: bytes, name: bytes) -> bytes:
    """The path of what lies in a folder."""
    return folder + b"/" + name if folder else name


def shown(path: bytes) -> str:
    """The path for people: what cannot be seen, or is no UTF-8, as \\x0a."""
    text = path.decode(errors="backslashreplace")
    return _UNSEEN.sub(lambda found: "".join(f"\\x{byte:02x}" for byte in found[0].encode()), text)


def file_name(path: bytes) -> str:
    """A name under which a browser may save it."""
    text = _UNSEEN.sub("_", name_of(path).decode(errors="replace"))
    return text.strip(". ") or "file"
