"""Registers what this room adds to servers for fetching; called by apps.py."""

from django.utils.translation import gettext_lazy as _

from accounts.actors import Actor
from keymanager import fetching
from keymanager.desired import KIND
from keymanager.found_lines import note_look
from keymanager.models import FetchToken
from servers import registry
from servers.facts import ServerFacts
from servers.models import Server
from servers.rollouts import ask


def register() -> None:
    """The rollout kind "keys", and what follows when a server that fetches is renamed, moved or deleted."""
    kind = registry.RolloutKind(
        KIND, _("Key fetching"), fetching.desired, order=20, needs_admin=True, looked=note_look
    )
    registry.register(registry.ServerPart("keymanager-fetching", kinds=(kind,), changed=server_changed))


def server_changed(
    actor: Actor, server: Server, before: ServerFacts | None, after: ServerFacts | None
) -> None:
    """The endpoint must forget a deleted server's token, and know a renamed server by its new name."""
    if before is None or not FetchToken.objects.filter(server=server).exists():
        return
    if after is None:
        fetching.note_tokens_changed()
        return
    if before.keymanager_name != after.keymanager_name:
        fetching.note_tokens_changed()
    if (before.keymanager_name, before.name, before.vm_host_id) != (
        after.keymanager_name,
        after.name,
        after.vm_host_id,
    ):
        ask(actor, server, [KIND], str(_("The server's name was changed.")))
