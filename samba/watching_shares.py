"""What changes of servers mean for their shares."""

from collections.abc import Iterable

from django.core.exceptions import ValidationError
from django.urls import reverse
from django.utils.translation import gettext as _

from accounts.actors import Actor
from accounts.audit import record
from samba.models import Share
from samba.services.shares import facts_of
from servers.facts import ServerFacts
from servers.models import Server
from servers.registry import Held, each


def server_holds(server: Server) -> Iterable[Held]:
    """The shares that go with a server."""
    rows, url = Share.objects.filter(server=server), f"{reverse('samba:shares')}?q={server.name}"
    yield from each(rows, _("the share %s is on it"), url, on_disk=True)


def server_folders(server: Server) -> Iterable[tuple[str, Held]]:
    """The folders of shares: see servers.registry.ServerPart."""
    for share in Share.objects.filter(server=server).select_related("server"):
        text = _("the folder of the share %(share)s is %(path)s") % {"share": share.name, "path": share.path}
        yield share.path, Held(text, share.get_absolute_url(), row=share)


def server_changed(
    actor: Actor, server: Server, before: ServerFacts | None, after: ServerFacts | None
) -> None:
    """Refuse what would leave shares without their folder; say in the audit trail what goes with a server."""
    rows = Share.objects.filter(server=server).select_related("server")
    if after is None:
        for share in rows:
            record(actor, "share.delete", share, before=facts_of(share))
        return
    if before is None or not rows.exists():
        return
    if before.samba_management and not after.samba_management:
        raise ValidationError(
            {"samba_management": _("It has shares (%s): delete those first.") % _some(rows)}
        )
    if before.samba_base_folder != after.samba_base_folder:
        raise ValidationError(
            {"samba_base_folder": _("Folders of shares are in it (%s): delete those first.") % _some(rows)}
        )


def _some(rows: Iterable[Share]) -> str:
    names = [share.name for share in rows]
    return ", ".join(names[:3] + ["…"] * (len(names) > 3))
