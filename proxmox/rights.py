"""Which rights the panel's functions need at Proxmox, which of them one has, and how to make a token with them.

Source: the permissions of each call in Proxmox's API schema, and what its handlers check beyond them.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from django.utils.translation import gettext_lazy as _

from proxmox.client import names

GUESTS, STORAGES, NETWORKS = "/vms", "/storage", "/sdn/zones/localnetwork"
USER, TOKEN_NAME = "gestion@pve", "panel"


@dataclass(frozen=True)
class Need:
    """A privilege that a function of the panel needs on a path. `since`: the version that asks for it."""

    privilege: str
    path: str
    what_for: Any  # a lazy translation
    since: int = 7


def needs(node: str) -> list[Need]:
    """Everything that this room can do with this node, right by right."""
    return [
        Need("VM.Audit", GUESTS, _("See guests, their settings and how they are")),
        Need("Sys.Audit", f"/nodes/{node}", _("See how the node is: processor, memory, disk")),
        Need("VM.PowerMgmt", GUESTS, _("Start, shut down, stop and reboot guests")),
        Need("VM.Config.Memory", GUESTS, _("Change memory and swap")),
        Need("VM.Config.CPU", GUESTS, _("Change cores")),
        Need("VM.Config.Network", GUESTS, _("Change host name, name servers and addresses")),
        Need("VM.Config.Options", GUESTS, _("Change description, tags and start at boot")),
        Need("VM.Allocate", GUESTS, _("Create and destroy guests")),
        Need("VM.Config.Disk", GUESTS, _("Give disks to new guests")),
        Need("Datastore.Audit", STORAGES, _("See storages and templates")),
        Need("Datastore.AllocateSpace", STORAGES, _("Put disks of new guests on storages")),
        Need("SDN.Use", NETWORKS, _("Put guests on bridges"), since=8),
        Need("VM.Snapshot", GUESTS, _("Make snapshots, go back to them, delete them")),
    ]


def paths(node: str, major: int) -> list[str]:
    """Every path that a need of this version is on."""
    return list(dict.fromkeys(need.path for need in needs(node) if not major or major >= need.since))


@dataclass(frozen=True)
class Right:
    """A need, and whether it is met; `elsewhere`: paths below, where alone it is."""

    need: Need
    is_there: bool
    elsewhere: tuple[str, ...] = ()


def compare(node: str, major: int, found: Mapping[str, Iterable[str]]) -> list[Right]:
    """What is there and what is not, of what this version wants; `found`: privileges by path."""
    rights = []
    for need in needs(node):
        if major and major < need.since:
            continue
        is_there = need.privilege in found.get(need.path, ())
        below = tuple(
            path
            for path, privileges in sorted(found.items())
            if path.startswith(f"{need.path}/") and need.privilege in privileges
        )
        rights.append(Right(need, is_there, () if is_there else below))
    return rights


def has_none(found: Mapping[str, Iterable[str]]) -> bool:
    """Whether there is no right at all: Proxmox then answers 200 and empty lists."""
    return not any(list(privileges) for privileges in found.values())


def commands(node: str, major: int, who: str = "") -> list[str]:
    """Commands for the node's shell that make a role, a user and a token with exactly these rights.

    For a token or user in `who` that is there already: those that give it what it needs.
    """
    names.node(node)
    by_path: dict[str, list[str]] = {}
    for need in needs(node):
        if not major or major >= need.since:
            by_path.setdefault(need.path, []).append(need.privilege)
    roles = {GUESTS: "GestionGuests", STORAGES: "GestionStorage", NETWORKS: "GestionNetwork"}
    lines = [
        f'pveum role add {roles.get(path, "GestionNode")} --privs "{",".join(privileges)}"'
        for path, privileges in by_path.items()
    ]
    parts = names.token_parts(who)
    user = parts[0] if parts else who if names.is_user(who) else USER
    token = "!".join(parts) if parts else "" if who and names.is_user(who) else f"{USER}!{TOKEN_NAME}"
    if not who or not (parts or names.is_user(who)):
        lines.append(f"pveum user add {user} --comment Gestion")
        lines.append(f"pveum user token add {user} {TOKEN_NAME} --privsep 1")
    for path in by_path:
        to_token = f" --tokens '{token}'" if token else ""
        lines.append(
            f"pveum acl modify {path} --users '{user}'{to_token} --roles {roles.get(path, 'GestionNode')}"
        )
    return lines
