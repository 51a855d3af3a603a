"""Hosts as their API describes them."""

from django.http import HttpRequest, HttpResponse
from django.urls import reverse
from django.utils.translation import gettext as _
from django.views.decorators.http import require_http_methods

from accounts.permissions import admin_required
from pages.answers import done, show_page
from pages.buttons import button
from proxmox import live, looks
from proxmox.models.seen import GuestSeen
from proxmox.showing import HostRow, guest_json, host_lines, host_rows, node_json, node_of, without_guest
from proxmox.views.common import proxmox_host

READ = ["GET", "HEAD"]


@admin_required
@require_http_methods(READ)
def host_list(request: HttpRequest) -> HttpResponse:
    """Every Proxmox host: whether it answers, and what it has left."""
    rows = host_rows()
    now = live.stamp([row.node for row in rows])
    looks.look_soon([row.node for row in rows], looks.LIST_APART)
    if same := live.nothing_new(request, now):
        return same
    return show_page(
        request,
        "proxmox/hosts.html",
        {"rows": rows, "stamp": now},
        {"rows": [node_json(row.node) | {"running": row.running, "guests": row.guests} for row in rows]},
    )


@admin_required
@require_http_methods(READ)
def host(request: HttpRequest, pk: int) -> HttpResponse:
    """One host: its figures, its storages, its guests, and servers that have no guest."""
    server = proxmox_host(request, pk)
    has_access = server.pk in looks.with_access()
    node = node_of(server, has_access=has_access)
    now = live.stamp([node])
    looks.look_soon([node])
    if same := live.nothing_new(request, now):
        return same
    guests = list(
        GuestSeen.objects.present()
        .filter(host=server)
        .select_related("host", "server")
        .defer("config")
        .order_by("vmid")
    )
    context = {
        "host": server,
        "node": node,
        "nodes": [node],
        "stamp": now,
        "guests": guests,
        "row": HostRow(node, len(guests), sum(guest.running for guest in guests)),
        "lines": host_lines(server),
        "without_guest": without_guest(server) if node.answered_at else [],
        "has_access": has_access,
    }
    data = node_json(node) | {"storages": node.storages, "guests": [guest_json(guest) for guest in guests]}
    return show_page(request, "proxmox/host.html", context, data)


@admin_required
@button
def look(request: HttpRequest, pk: int) -> HttpResponse:
    """Look at this host now."""
    server = proxmox_host(request, pk)
    looks.look_now([server.pk])
    return done(request, _("Gestion is looking at %s.") % server, reverse("proxmox:host", args=[server.pk]))
