"""An admin's word on the host keys that servers show."""

from django.db import transaction
from django.utils import timezone

from accounts.actors import Actor
from accounts.audit import record
from servers import registry
from servers.contact import changed_key_waits
from servers.models import Contact, HostKey, Server
from servers.services.work import start_check


@transaction.atomic
def accept_host_key(actor: Actor, host_key: HostKey) -> None:
    """Trust this key from now on, in place of accepted ones of the same type, and check the server."""
    server = host_key.server
    old = [
        key
        for key in server.host_keys.filter(pinned_at__isnull=False).exclude(pk=host_key.pk)
        if key.type == host_key.type
    ]
    host_key.pinned_at = timezone.now()
    host_key.pinned_by = actor.name
    host_key.save(update_fields=["pinned_at", "pinned_by"])
    HostKey.objects.filter(pk__in=[key.pk for key in old]).delete()
    record(
        actor,
        "host_key.accept",
        server,
        before={"host_keys": [key.fingerprint for key in old]},
        after={"host_key": host_key.fingerprint},
    )
    registry.tell_host_keys_changed(actor, server)
    _look_again(actor, server)


@transaction.atomic
def reject_host_key(actor: Actor, host_key: HostKey) -> None:
    """Do not trust this offered key: the accepted one stays, and the server is checked again."""
    server = host_key.server
    HostKey.objects.filter(pk=host_key.pk, pinned_at__isnull=True).delete()
    record(actor, "host_key.reject", server, before={"host_key": host_key.fingerprint})
    _look_again(actor, server)


@transaction.atomic
def remove_host_key(actor: Actor, host_key: HostKey) -> None:
    """Trust this accepted key no longer; without any other, nothing is sent to the server any more."""
    server = host_key.server
    host_key.delete()
    record(actor, "host_key.remove", server, before={"host_key": host_key.fingerprint})
    registry.tell_host_keys_changed(actor, server)
    _look_again(actor, server)


def _look_again(actor: Actor, server: Server) -> None:
    if not changed_key_waits(server):
        Server.objects.filter(pk=server.pk).update(
            contact=Contact.UNKNOWN, contact_why="", contact_since=timezone.now(), failed_checks=0
        )
        start_check(actor, server)
