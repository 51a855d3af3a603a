"""The list of servers, the map, the panel's key."""

from collections import defaultdict

from django.db.models import Exists, OuterRef, QuerySet
from django.http import HttpRequest, HttpResponse
from django.urls import reverse
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy
from django.views.decorators.http import require_http_methods

from accounts.actors import actor_of
from accounts.audit import record
from accounts.permissions import admin_required, user_of
from pages.answers import done, show_page
from pages.buttons import button, takes_no_fields
from pages.lists import Filter, ListPage, render_list
from servers import services
from servers.identity import panel_identity
from servers.models import Contact, PanelIdentity, Rollout, RolloutState, Server, Tag
from servers.views.common import server_json

RELATED = ("tags", "owners", "unix_users", "rollouts")
ROLE = [("proxmox", gettext_lazy("Proxmox hosts")), ("vm", gettext_lazy("VMs and containers"))]


def _by_tag(rows: QuerySet[Server], name: str) -> QuerySet[Server]:
    return rows.filter(pk__in=Server.tags.through.objects.filter(tag__name=name).values("server_id"))


def _by_host(rows: QuerySet[Server], pk: str) -> QuerySet[Server]:
    return rows.filter(vm_host_id=int(pk))


def _by_role(rows: QuerySet[Server], role: str) -> QuerySet[Server]:
    return rows.filter(is_proxmox=True) if role == "proxmox" else rows.filter(is_vm=True)


def _by_contact(rows: QuerySet[Server], contact: str) -> QuerySet[Server]:
    return rows.filter(contact=contact)


def _by_rollout(rows: QuerySet[Server], state: str) -> QuerySet[Server]:
    return rows.filter(Exists(Rollout.objects.filter(server=OuterRef("pk"), state=state)))


def _filters(servers: QuerySet[Server]) -> list[Filter]:
    tags = Tag.objects.filter(servers__in=servers).distinct().values_list("name", "name")
    hosts = Server.objects.filter(guests__in=servers).distinct().values_list("pk", "name")
    filters = [
        Filter("tag", gettext_lazy("Tag"), list(tags), _by_tag),
        Filter("host", gettext_lazy("Host"), [(str(pk), name) for pk, name in hosts], _by_host),
        Filter("role", gettext_lazy("Role"), ROLE, _by_role),
        Filter("contact", gettext_lazy("Contact"), Contact.choices, _by_contact),
        Filter("rollout", gettext_lazy("Rollouts"), RolloutState.choices, _by_rollout),
    ]
    return [item for item in filters if item.choices]


@require_http_methods(["GET", "HEAD"])
def servers(request: HttpRequest) -> HttpResponse:
    """All servers that the user may see."""
    visible = Server.objects.visible_to(user_of(request))
    listing = ListPage(
        request,
        visible.select_related("vm_host", "nginx_server").prefetch_related(*RELATED),
        search=("name", "keymanager_name", "external_ip", "internal_ip", "notes", "tags__name"),
        sorts={
            "name": "name",
            "host": ("vm_host__name", "name"),
            "contact": ("contact", "name"),
            "seen": ("last_contact_at", "name"),
        },
        default_sort="name",
        filters=_filters(visible),
    )
    return render_list(request, "servers/list.html", listing, row_json=server_json)


@admin_required
@require_http_methods(["GET", "HEAD"])
def server_map(request: HttpRequest) -> HttpResponse:
    """Hosts and what runs on them."""
    rows = list(Server.objects.prefetch_related("rollouts", "tags"))
    guests: dict[int | None, list[Server]] = defaultdict(list)
    for row in rows:
        guests[row.vm_host_id].append(row)
    hosts = [(row, guests[row.pk]) for row in rows if row.is_proxmox or row.pk in guests]
    alone = [row for row in guests[None] if not row.is_proxmox and row.pk not in guests]
    context = {"hosts": hosts, "alone": alone}
    data = {
        "hosts": {host.name: [guest.name for guest in on_it] for host, on_it in hosts},
        "alone": [row.name for row in alone],
    }
    return show_page(request, "servers/map.html", context, data)


@admin_required
@button
def check_all(request: HttpRequest) -> HttpResponse:
    """Try to reach every server now."""
    job = services.check_everyone(actor_of(request))
    return done(request, _("All servers are being checked."), reverse("servers:list"), {"job": job.pk})


@admin_required
@require_http_methods(["GET", "HEAD", "POST"])
@takes_no_fields
def identity(request: HttpRequest) -> HttpResponse:
    """The panel's own public key, and where to put it; an old panel without one gets it here.

    As a page, as JSON, or as its line alone (`Accept: text/plain`), to be written into a file.
    """
    if not PanelIdentity.objects.exists():
        record(actor_of(request), "panel_identity.create", after={"public_key": panel_identity().public_key})
    found = panel_identity()
    data = {"public_key": found.public_key}
    if request.method == "POST":
        return done(request, _("The panel has its key."), reverse("servers:identity"), data)
    if request.get_preferred_type(["text/html", "application/json", "text/plain"]) == "text/plain":
        return HttpResponse(f"{found.public_key}\n", content_type="text/plain; charset=utf-8")
    paste = f"mkdir -p -m 700 /root/.ssh && echo '{found.public_key}' >> /root/.ssh/authorized_keys"
    return show_page(request, "servers/identity.html", {"identity": found, "paste": paste}, data)
