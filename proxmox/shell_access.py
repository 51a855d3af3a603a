"""What the access to Proxmox hosts shows on the pages of others."""

from collections.abc import Iterable

from django.http import HttpRequest
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from accounts.permissions import user_of
from pages.registry import Notice, Section, Step
from proxmox.models import ProxmoxAccess
from servers.models import Server


def attention(request: HttpRequest) -> Iterable[Notice]:
    """Certificates that wait for an admin's word."""
    if not user_of(request).is_admin:
        return
    waiting = ProxmoxAccess.objects.filter(server__is_proxmox=True).exclude(offered_fingerprint="")
    for row in waiting.select_related("server"):
        if row.certificate_waits:
            said = _("The Proxmox API of %s shows another certificate: nothing is sent to it.") % row.server
            yield Notice("danger", said, row.get_absolute_url())
        else:
            said = _("The certificate of the Proxmox API of %s waits to be compared.") % row.server
            yield Notice("warning", said, row.get_absolute_url())


def first_steps(request: HttpRequest) -> Iterable[Step]:
    """What a new panel with a Proxmox host needs."""
    host = Server.objects.filter(is_proxmox=True).order_by("pk").first()
    if host is None or not user_of(request).is_admin:
        return
    row = ProxmoxAccess.objects.filter(server__is_proxmox=True).order_by("server_id").first()
    yield Step(
        gettext_lazy("Let the panel use the Proxmox API"),
        ProxmoxAccess.objects.exclude(tried_at=None).filter(tried_code="").exists(),
        (row or ProxmoxAccess(server=host)).get_absolute_url(),
        gettext_lazy("A token with small rights; the page has the commands that make it."),
        order=30,
    )


section = Section("proxmox-access", attention=attention, first_steps=first_steps)
