"""What Proxmox says about creates, and how a create can fail."""

import re
from itertools import pairwise
from typing import Any

from proxmox.client.errors import ProxmoxError

_TAKEN = re.compile(r"(?:CT|VM) \d+ already exists|already exists on node|config file already exists")
_KEY_TASK = re.compile(r"Creating SSH host key '\S+'")
_FINGERPRINT = re.compile(r"done: (?P<fingerprint>SHA256:[A-Za-z0-9+/]{43}) \S+")


class CreateFailed(ProxmoxError):  # noqa: N818 - the room's errors are named for what is the matter
    """The container could not be created."""

    code = "create_failed"


class LeftOver(CreateFailed):
    """Something of a create is on the host, or may be, and could not be removed; the next attempt looks."""

    code = "left_over"


def was_taken(error: ProxmoxError) -> bool:
    """Whether somebody else has the id."""
    return bool(_TAKEN.search(error.words))


def is_being_created(config: dict[str, Any] | None) -> bool:
    """Whether nothing but the lock of a create is to be seen yet."""
    return config is not None and config.get("lock") == "create"


def fingerprints_in(log: list[str]) -> list[str]:
    """The fingerprints of the SSH host keys that Proxmox made, from the log of the create task.

    Each stands in the line after the one that names its file.
    """
    found = []
    for before, line in pairwise(log):
        match = _FINGERPRINT.fullmatch(line.strip())
        if match and _KEY_TASK.match(before):
            found.append(match["fingerprint"])
    return found
