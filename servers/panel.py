"""Whether the panel itself stands on a server: what ends or takes away that server ends the panel."""

from collections.abc import Iterable
from urllib.parse import urlsplit

from django.conf import settings
from django.utils.translation import gettext as _

from servers.models import Server


def panel_names() -> set[str]:
    """The names and addresses by which people reach the panel, as the settings have them."""
    return {(urlsplit(settings.GESTION_URL).hostname or "").lower(), settings.GESTION_NAME.lower()} - {""}


def panel_on(server: Server) -> str:
    """That the panel runs on it, or on a guest of it, in a sentence; empty where it does not."""
    words = {"server": server}
    host = server.vm_host
    if {server.name, server.external_ip} & panel_names() or (host and leads_to_panel(host, [server.pk])):
        return _("The panel itself runs on %(server)s.") % words
    if settings.GESTION_VM_NAME and server.name == settings.GESTION_VM_NAME.lower():
        return _("The panel itself runs on a guest of %(server)s.") % words
    return ""


def leads_to_panel(host: Server, guest_ids: Iterable[int]) -> bool:
    """Whether one of these guests of the host is the server on which the panel itself runs."""
    if settings.GESTION_VM_NAME.lower() != host.name or not settings.GESTION_IP:
        return False
    return Server.objects.filter(pk__in=guest_ids, internal_ip=settings.GESTION_IP).exists()
