"""What creates show on the pages of others."""

from collections.abc import Iterable

from django.db.models import Q
from django.http import HttpRequest
from django.urls import reverse
from django.utils.translation import gettext_lazy as _
from django.utils.translation import ngettext

from accounts.permissions import user_of
from pages.registry import Notice, Section
from proxmox.models import OPEN, Creation, CreationState
from servers.models import Server
from servers.registry import Held, Panel, ServerPart

MOST = 5


def _attention(request: HttpRequest) -> Iterable[Notice]:
    """Creates that failed, until another one for the same server did better."""
    if not user_of(request).is_admin:
        return
    failed = Creation.objects.filter(state=CreationState.FAILED).select_related("host")
    newest = Creation.objects.filter(server__in=failed.values("server")).order_by("server", "pk")
    last = {row["server"]: row["pk"] for row in newest.values("server", "pk")}
    found = list(failed.filter(pk__in=last.values()))
    for row in found[:MOST]:
        words = _("The container of %(server)s could not be created on %(host)s.")
        yield Notice("danger", words % {"server": row.hostname, "host": row.host}, row.get_absolute_url())
    if more := len(found[MOST:]):
        text = ngettext(
            "%d more container could not be created", "%d more containers could not be created", more
        )
        yield Notice("danger", text % more, reverse("proxmox:guests"))


section = Section("creations", attention=_attention)


def _server_panel(request: HttpRequest, server: Server) -> Panel | None:
    """The last create of a server, while it runs, and when it failed."""
    if not user_of(request).is_admin:
        return None
    row = server.created_by.select_related("job").first()
    if row is None or row.state in {CreationState.DONE, CreationState.STOPPED}:
        return None
    return Panel("proxmox/_server_creation.html", {"creation": row}, order=9)


def _holds(server: Server) -> Iterable[Held]:
    """Creates under way: the server, and the host, are needed until they have ended."""
    running = Creation.objects.filter(Q(server=server) | Q(host=server), state__in=OPEN)
    for row in running[:MOST]:
        yield Held(_("%s is being created") % row.hostname, row.get_absolute_url(), blocks=True, row=row)


server_part = ServerPart("creations", panel=_server_panel, holds=_holds)
