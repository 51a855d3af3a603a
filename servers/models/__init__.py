"""The inventory: servers, their unix users and host keys, and what each should hold (rollouts)."""

from servers.models.contact import Contact, HostKey, PanelIdentity
from servers.models.rollout import Outcome, Rollout, RolloutRecord, RolloutState
from servers.models.server import Server, ServerQuerySet, Tag, UnixUser

__all__ = [
    "Contact",
    "HostKey",
    "Outcome",
    "PanelIdentity",
    "Rollout",
    "RolloutRecord",
    "RolloutState",
    "Server",
    "ServerQuerySet",
    "Tag",
    "UnixUser",
]
