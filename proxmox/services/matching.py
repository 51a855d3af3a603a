"""Whose guest is whose server: link, keep apart, leave to the panel; adopt one as a new server."""

from typing import Any

from django.core.exceptions import ValidationError
from django.db import transaction
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from accounts.actors import Actor
from accounts.audit import record
from proxmox import noting
from proxmox.models.seen import GuestSeen, Matched, NodeSeen
from servers.models import Server
from servers.services import StaleEdit, create_server

NO_SERVER = gettext_lazy("%s is a template: make a container or machine from it, and adopt that one.")


@transaction.atomic
def link_guest(actor: Actor, guest: GuestSeen, server: Server) -> None:
    """Say that this guest is that server, which runs on the same host and is nobody else's.

    Raises ValidationError by the form's field, StaleEdit.
    """
    now = _lock(guest)
    if server.vm_host_id != now.host_id:
        raise ValidationError({"server": _("%s does not run on this host.") % server})
    other = GuestSeen.objects.present().filter(server=server, matched=Matched.HAND).exclude(pk=now.pk).first()
    if other:
        said = _("%(server)s is linked by hand to %(guest)s.") % {"server": server, "guest": other}
        raise ValidationError({"server": said})
    _set(actor, now, server, Matched.HAND, "guest.link")


@transaction.atomic
def keep_apart(actor: Actor, guest: GuestSeen) -> None:
    """Say that this guest is none of the servers, whatever its address and name say. Raises StaleEdit."""
    _set(actor, _lock(guest), None, Matched.APART, "guest.unlink")


@transaction.atomic
def match_by_itself(actor: Actor, guest: GuestSeen) -> None:
    """Forget what was said by hand: address and name decide. Raises StaleEdit."""
    _set(actor, _lock(guest), None, Matched.NOT, "guest.match")


@transaction.atomic
def adopt_guest(actor: Actor, guest: GuestSeen, server: Server, **more: Any) -> Server:
    """Add this (unsaved) server to the inventory for a guest that has none, and link them.

    Raises ValidationError with every broken rule by field, StaleEdit.
    """
    now = _lock(guest)
    if now.server_id is not None:
        raise StaleEdit(_("This guest is the server %s already.") % now.server)
    server.is_vm, server.vm_host = True, now.host
    made = create_server(actor, server, **more)
    _set(actor, GuestSeen.objects.get(pk=now.pk), made, Matched.HAND, "guest.link")
    return made


def _lock(guest: GuestSeen) -> GuestSeen:
    """Let no look and no other admin change the matches of this host meanwhile."""
    NodeSeen.objects.select_for_update().filter(host=guest.host_id).first()
    now = GuestSeen.objects.select_related("host", "server").filter(pk=guest.pk).first()
    if now is None or now.gone_at is not None:
        raise StaleEdit(_("This guest is not there any more."))
    if now.first_seen_at != guest.first_seen_at:
        raise StaleEdit(_("The id belongs to another guest by now: %s.") % now)
    if now.template:
        raise StaleEdit(str(NO_SERVER) % now)
    return now


def _set(actor: Actor, guest: GuestSeen, server: Server | None, how: Matched, verb: str) -> None:
    before = {"server": str(guest.server or ""), "matched": guest.matched}
    guest.server, guest.matched, guest.candidates = server, how, []
    guest.save(update_fields=["server", "matched", "candidates"])
    noting.rematch(guest.host_id)
    guest.refresh_from_db()
    after = {"server": str(guest.server or ""), "matched": guest.matched}
    record(actor, verb, guest, before=before, after={**after, "guest": f"{guest} on {guest.host}"})
