"""What this room shows in the shell and on the server page."""

from collections.abc import Iterable

from django.http import HttpRequest
from django.urls import reverse
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from accounts.permissions import user_of
from fabrun.catalogue import catalogue
from fabrun.models import ServerRun
from jobs.models import ENDED
from pages.registry import Hit, NavItem, Section
from servers.models import Server
from servers.registry import Held, Panel, ServerPart, each

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
    nav=(NavItem(gettext_lazy("Scripts"), "fabrun:scripts", "script", order=70),),
    search=_search,
)


def _server_panel(request: HttpRequest, server: Server) -> Panel | None:
    if not user_of(request).is_admin:
        return None
    rows = ServerRun.objects.filter(server=server).select_related("run", "job").order_by("-pk")[:MOST_ROWS]
    return Panel("fabrun/_server_runs.html", {"server": server, "parts": rows}, order=70)


def _server_holds(server: Server) -> Iterable[Held]:
    """Scripts at work on it: once it is gone, they go on there, and nobody knows on what."""
    at_work = ServerRun.objects.filter(server=server, job__isnull=False).exclude(job__state__in=ENDED)
    return each(at_work.select_related("run"), _("script %s is at work"), reverse("fabrun:runs"), blocks=True)


server_part = ServerPart("fabrun", panel=_server_panel, holds=_server_holds)
