"""The list of guests, and one guest."""

from typing import Any

from django.db.models import F, FloatField, Q, QuerySet, Value
from django.db.models.functions import Cast, Coalesce, NullIf
from django.http import HttpRequest, HttpResponse
from django.utils.translation import gettext_lazy as _
from django.views.decorators.http import require_http_methods

from accounts.permissions import user_of
from pages.answers import show_page
from pages.lists import Filter, ListPage, render_list
from proxmox import live, looks
from proxmox.forms.matching import LinkForm, suggestions
from proxmox.models.seen import GuestSeen, Kind, Matched, NodeSeen
from proxmox.showing import config_rows, guest_json, guest_lines, nodes_seen
from proxmox.views.common import live_job, visible_guest
from servers.models import Server

READ = ["GET", "HEAD"]
STATES = [("running", _("running")), ("stopped", _("stopped")), ("idle", _("stopped, starts with its host"))]
STATES += [("locked", _("locked")), ("template", _("template")), ("gone", _("gone"))]
MATCHES = [("yes", _("with a server")), ("no", _("without a server")), ("ambiguous", _("ambiguous"))]
UNKNOWN = Value(-1.0)  # below all that is known, on every database


def _share(name: str) -> Coalesce:
    """What is used of something, to sort by."""
    return Coalesce(Cast(F(f"{name}_used"), FloatField()) / NullIf(F(name), 0), UNKNOWN)


SHARES = {"cpu": Coalesce("cpu", UNKNOWN)} | {name: _share(name) for name in ("memory", "swap", "disk")}


def _by_state(rows: QuerySet[GuestSeen], state: str) -> QuerySet[GuestSeen]:
    if state == "gone":
        return rows.filter(gone_at__isnull=False)
    rows = rows.filter(gone_at=None)
    if state == "locked":
        return rows.exclude(lock="")
    if state == "idle":
        return rows.filter(status="stopped", onboot=True, template=False)
    if state == "template":
        return rows.filter(template=True)
    return rows.filter(status=state, template=False)


def _by_match(rows: QuerySet[GuestSeen], value: str) -> QuerySet[GuestSeen]:
    if value == "ambiguous":
        return rows.filter(matched=Matched.AMBIGUOUS)
    if value == "no":
        return rows.filter(server=None, template=False)
    return rows.filter(server__isnull=False)


class GuestList(ListPage):
    """Guests; those that are gone only where the filter asks for them. A word that is a number finds an id, too."""

    def match(self, word: str) -> Q:
        """See ListPage.match."""
        found = super().match(word)
        return found | Q(vmid=int(word)) if word.isdecimal() and len(word) < 10 else found

    def matching(self) -> QuerySet[Any]:
        """See ListPage.matching."""
        rows = super().matching()
        return rows if self.chosen.get("state") == "gone" else rows.filter(gone_at=None)


@require_http_methods(READ)
def guest_list(request: HttpRequest) -> HttpResponse:
    """Every container and virtual machine that the user may see."""
    visible = GuestSeen.objects.visible_to(user_of(request))
    hosts = list(
        Server.objects.filter(pk__in=visible.values("host")).order_by("name").values_list("pk", "name")
    )
    nodes = nodes_seen(user_of(request), [pk for pk, _name in hosts])
    now = live.stamp(nodes)
    looks.look_soon(nodes, looks.LIST_APART)
    if same := live.nothing_new(request, now):
        return same
    with_shares = visible.annotate(**{f"{name}_share": share for name, share in SHARES.items()})
    listing = GuestList(
        request,
        with_shares.select_related("host", "server").defer("config", "candidates"),
        search=("name", "host__name", "server__name", "tags", "addresses"),
        sorts={
            "name": ("name", "vmid"),
            "id": ("vmid", "host__name"),
            "host": ("host__name", "vmid"),
            "state": ("status", "name"),
            "cpu": ("cpu_share", "name"),
            "memory": ("memory_share", "name"),
            "swap": ("swap_share", "name"),
            "disk": ("disk_share", "name"),
            "uptime": ("uptime", "name"),
        },
        default_sort="name",
        filters=[
            Filter(
                "host",
                _("Host"),
                [(str(pk), name) for pk, name in hosts],
                lambda all_, pk: all_.filter(host=pk),
            ),
            Filter("state", _("State"), STATES, _by_state),
            Filter("kind", _("Kind"), Kind.choices, lambda all_, kind: all_.filter(kind=kind)),
            Filter("match", _("Server"), MATCHES, _by_match),
        ],
    )
    context = {
        "stamp": now,
        "troubled": [node for node in nodes if node.in_trouble],
        "has_access": bool(nodes),
    }
    return render_list(request, "proxmox/guests.html", listing, context, guest_json)


@require_http_methods(READ)
def guest(request: HttpRequest, pk: int) -> HttpResponse:
    """One guest: how it is, how it is configured, which server it is."""
    row = visible_guest(request, pk)
    node = NodeSeen.objects.filter(host=row.host).first() or NodeSeen(host=row.host)
    job = live_job(request, row)
    now = f"{live.stamp([node])} {f'{job.pk} {job.state}' if job else ''}"
    looks.look_soon([node], vmid=row.vmid)
    if same := live.nothing_new(request, now):
        return same
    if request.GET.get("part") == "panel":
        shown = {"guest": row, "node": node, "nodes": [node], "stamp": now}
        return show_page(request, "proxmox/_guest_live.html", shown)
    admin = user_of(request).is_admin
    context = {
        "guest": row,
        "node": node,
        "nodes": [node],
        "stamp": now,
        "config": config_rows(row),
        "lines": guest_lines(row),
        "link_form": LinkForm(guest=row) if admin else None,
        "suggestions": suggestions(row) if admin and row.server_id is None else [],
        "live_job": job,
    }
    return show_page(request, "proxmox/guest.html", context, guest_json(row) | {"config": row.config})
