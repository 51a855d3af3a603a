"""Checks what becomes a part of a URL's path: proxmoxer escapes nothing there."""

import re

from proxmox.client.errors import BadName

LXC, QEMU = "lxc", "qemu"
KINDS = (LXC, QEMU)
LOWEST_ID, HIGHEST_ID = 100, 999_999_999

_NODE = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9-]{0,61}[A-Za-z0-9])?")
_STORAGE = re.compile(r"[A-Za-z][A-Za-z0-9._-]{0,99}")
_SNAPSHOT = re.compile(r"[A-Za-z][A-Za-z0-9_-]{1,39}")
_UPID = re.compile(
    r"UPID:(?P<node>[A-Za-z0-9][A-Za-z0-9-]*):[0-9A-Fa-f]{8}:[0-9A-Fa-f]{8,9}:(?P<start>[0-9A-Fa-f]{8}):"
    r"(?P<type>[A-Za-z0-9_-]+):(?P<id>[A-Za-z0-9._-]*):(?P<user>[A-Za-z0-9.@!_-]+):"
)
_TOKEN = re.compile(r"(?P<user>[A-Za-z0-9._-]+@[A-Za-z][A-Za-z0-9._-]*)!(?P<name>[A-Za-z][A-Za-z0-9._-]+)")
_USER = re.compile(r"[^\s:/@!]+@[A-Za-z][A-Za-z0-9._-]*")


def node(name: str) -> str:
    """The node's name. Raises BadName."""
    return _checked(_NODE, name, "node name")


def storage(name: str) -> str:
    """The storage's name. Raises BadName."""
    return _checked(_STORAGE, name, "storage")


def snapshot(name: str) -> str:
    """The snapshot's name. Raises BadName."""
    return _checked(_SNAPSHOT, name, "snapshot name")


def upid(text: str) -> str:
    """The task's id. Raises BadName."""
    return _checked(_UPID, text, "task id")


def kind(text: str) -> str:
    """The guest's kind, "lxc" or "qemu". Raises BadName."""
    if text not in KINDS:
        raise BadName(f"{text!r} is no kind of guest.")
    return text


def vmid(number: int) -> str:
    """The guest's id, as text. Raises BadName."""
    if isinstance(number, bool) or not isinstance(number, int) or not LOWEST_ID <= number <= HIGHEST_ID:
        raise BadName(f"{number!r} is no id of a guest.")
    return str(number)


def token_parts(text: str) -> tuple[str, str] | None:
    """User and name of the token id `user@realm!name`; None if it is none."""
    found = _TOKEN.fullmatch(text)
    return (found["user"], found["name"]) if found else None


def is_user(text: str) -> bool:
    """Whether this is a full user name, as `api@pam`."""
    return bool(_USER.fullmatch(text))


def node_of_task(text: str) -> str:
    """The node that a task runs on. Raises BadName."""
    found = _UPID.fullmatch(text)
    if not found:
        raise BadName(f"{text!r} is no task id.")
    return found["node"]


def _checked(pattern: re.Pattern[str], text: str, what: str) -> str:
    if not isinstance(text, str) or not pattern.fullmatch(text):
        raise BadName(f"{text!r} is no {what}.")
    return text
