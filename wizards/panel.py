"""Whether the panel itself stands on a server: what takes that server away would end it."""

from urllib.parse import urlsplit

from django.conf import settings
from django.utils.translation import gettext as _

from forwarding.port_dangers import leads_to_panel
from servers.models import Server


def panel_on(server: Server) -> str:
    """That the panel runs on it, or on a guest of it, in a sentence; empty where it does not."""
    words = {"server": server}
    panel = {(urlsplit(settings.GESTION_URL).hostname or "").lower(), settings.GESTION_NAME.lower()} - {""}
    host = server.vm_host
    if {server.name, server.external_ip} & panel or (host and leads_to_panel(host, [server.pk])):
        return _("The panel itself runs on %(server)s.") % words
    if settings.GESTION_VM_NAME and server.name == settings.GESTION_VM_NAME.lower():
        return _("The panel itself runs on a guest of %(server)s.") % words
    return ""
