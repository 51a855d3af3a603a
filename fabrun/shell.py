"""What this room shows in the shell and on the server page."""

from collections.abc import Iterable

from django.http import HttpRequest
from django.urls import reverse
from django.utils.translation import gettext_lazy as _

from accounts.permissions import user_of
from fabrun.catalogue import catalogue
from fabrun.models import ServerRun
from pages.registry import Hit, NavItem, Section
from servers.models import Server
from servers.registry import Panel, ServerPart

MOST_HITS = 10
MOST_ROWS = 5


def _search(request: HttpRequest, words: str) -> Iterable[Hit]:
    if not user_of(request).is_admin:
        return
    wanted = words.lower().split()
    found = [script for script in catalogue().scripts.values() if all(word in script.name for word in wanted)]
    for script in found[:MOST_HITS]:
        yield Hit(_("Script"), script.name, reverse("fabrun:script", args=[script.name]))


section = Section(
    "fabrun",
    nav=(NavItem(_("Scripts"), "fabrun:scripts", "script", order=70),),
    search=_search,
)


def _server_panel(request: HttpRequest, server: Server) -> Panel | None:
    if not user_of(request).is_admin:
        return None
    rows = ServerRun.objects.filter(server=server).select_related("run", "job").order_by("-pk")[:MOST_ROWS]
    return Panel("fabrun/_server_runs.html", {"server": server, "parts": rows}, order=70)


server_part = ServerPart("fabrun", panel=_server_panel)
