"""What lies in a server's base folder, offered to be taken over."""

from dataclasses import asdict
from typing import Any

from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404
from django.urls import reverse
from django.utils.translation import gettext as _
from django.views.decorators.http import require_http_methods

from accounts.actors import actor_of
from accounts.permissions import admin_required, user_of
from jobs.live import live
from jobs.models import Job
from pages.answers import done, show_page
from pages.buttons import button
from samba.looking import WORK, Offer, offers, start_look
from samba.models import FolderLook
from servers.models import Server


def _server(pk: int) -> Server:
    return get_object_or_404(Server, pk=pk, samba_management=True)


@admin_required
@require_http_methods(["GET", "HEAD"])
def folders(request: HttpRequest, pk: int) -> HttpResponse:
    """All names that lay in the base folder when somebody last looked, each offered or with the reason why not."""
    server = _server(pk)
    look = FolderLook.objects.filter(server=server, base=server.samba_base_folder).first()
    found = list(offers(look)) if look else []
    looking = live(request, Job.objects.visible_to(user_of(request)).of(server).filter(work=WORK))
    last = Job.objects.of(server).filter(work=WORK).order_by("-pk").first()
    names = len(found) + (look.not_kept if look else 0)
    context = {
        "server": server,
        "look": look,
        "offers": found,
        "names": names,
        "looking": looking,
        "last": last,
    }
    looked_at = look.looked_at if look else None
    values = {"looked_at": looked_at, "names": names, "folders": [_json(offer) for offer in found]}
    return show_page(request, "samba/folders.html", context, values)


def _json(offer: Offer) -> dict[str, Any]:
    return {
        **asdict(offer.entry),
        "why_not": offer.why_not,
        "share": offer.share.pk if offer.share else None,
    }


@admin_required
@button
def look(request: HttpRequest, pk: int) -> HttpResponse:
    """Look into the base folder now."""
    server = _server(pk)
    job = start_look(actor_of(request), server)
    url = reverse("samba:folders", args=[server.pk])
    return done(request, _("The server is being looked at."), url, {"job": job.pk})
