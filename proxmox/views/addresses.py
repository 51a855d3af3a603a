"""The addresses of a host's internal network."""

from ipaddress import ip_address
from itertools import islice
from typing import Any

from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404
from django.urls import reverse
from django.utils.translation import gettext as _
from django.views.decorators.http import require_http_methods

from accounts.actors import actor_of
from accounts.permissions import admin_required
from pages.answers import done, form_data, show_form, show_page
from proxmox.addresses import Network, Use, gaps, gateway_of, network_of, settings_of, uses_of
from proxmox.forms.addresses import NetworkForm
from proxmox.models import Offer
from proxmox.services.addresses import change_network
from servers.models import Server

MOST_GAPS = 50


@admin_required
@require_http_methods(["GET", "HEAD"])
def addresses(request: HttpRequest, pk: int) -> HttpResponse:
    """Used, claimed and free addresses of a host."""
    host = get_object_or_404(Server, pk=pk, is_proxmox=True)
    settings, uses = settings_of(host), uses_of(host)
    network = network_of(host, settings)
    free = list(islice(gaps(network, uses), MOST_GAPS)) if network else []
    context = {
        "host": host,
        "network": network,
        "settings": settings,
        "gateway": gateway_of(host, settings),
        "rows": _by_address(uses),
        "free": free,
        "count": sum(one.count for one in free),
        "most": len(free) == MOST_GAPS,
        "offer": Offer.objects.filter(host=host).first(),
        "outside": _outside(network, host),
    }
    data = {
        "network": str(network) if network else None,
        "used": [
            {"first": str(use.first), "last": str(use.last), "kind": use.kind, "by": use.text} for use in uses
        ],
        "free": [{"first": str(one.first), "last": str(one.last), "count": one.count} for one in free],
    }
    return show_page(request, "proxmox/addresses.html", context, data)


def _by_address(uses: list[Use]) -> list[dict[str, Any]]:
    """One row for each address or range, with all that uses it."""
    rows: dict[tuple[int, int], dict[str, Any]] = {}
    for use in uses:
        row = rows.setdefault(use.ends, {"first": use.first, "last": use.last, "uses": []})
        row["uses"].append(use)
    return list(rows.values())


def _outside(network: Network | None, host: Server) -> list[Server]:
    """Guests whose internal IP is not of this network: the prefix length may be wrong."""
    if network is None:
        return []
    guests = host.guests.filter(internal_ip__isnull=False)
    return [guest for guest in guests if ip_address(str(guest.internal_ip)) not in network]


@admin_required
@require_http_methods(["GET", "HEAD", "POST"])
def network(request: HttpRequest, pk: int) -> HttpResponse:
    """Say how a host's internal network is."""
    host = get_object_or_404(Server, pk=pk, is_proxmox=True)
    form = NetworkForm(form_data(request), instance=settings_of(host))
    if form.is_bound and form.is_valid():
        change_network(actor_of(request), form.instance)
        return done(request, _("Saved."), reverse("proxmox:addresses", args=[host.pk]))
    return show_form(request, "proxmox/network.html", form, {"host": host})
