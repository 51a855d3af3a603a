"""What guests and hosts show on the pages of others: navigation, dashboard, notices, search, a server's page."""

from collections.abc import Iterable

from django.db.models import Count, Q
from django.http import HttpRequest
from django.urls import reverse
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, ngettext

from accounts.actors import Actor
from accounts.permissions import user_of
from pages.registry import Card, Hit, NavItem, Notice, Section
from proxmox import live, looks, noting
from proxmox.models.numbers import Numbers
from proxmox.models.seen import GuestSeen, NodeSeen, NodeState
from proxmox.showing import node_of, without_guest
from proxmox.views.common import live_job
from servers.facts import ServerFacts
from servers.models import Server
from servers.registry import Panel, ServerPart

BY_NAME = 5
MOST_HITS = 8
MOST_ROWS = 12
TOLD = (NodeState.DOWN, NodeState.REFUSED, NodeState.SLOW)
OF_MATCHING = ("name", "internal_ip", "vm_host_id")


def card(request: HttpRequest) -> Card | None:
    """Guests by state, hosts by state; nothing for somebody who sees no guest."""
    guests = GuestSeen.objects.visible_to(user_of(request)).present()
    counts = guests.aggregate(
        all=Count("pk"),
        running=Count("pk", filter=Q(status="running")),
        idle=Count("pk", filter=Q(status="stopped", onboot=True, template=False)),
        unmatched=Count("pk", filter=Q(server=None, template=False)),
    )
    nodes: list[tuple[NodeState, int]] = []
    if user_of(request).is_admin:
        states = dict(NodeSeen.objects.values_list("state").annotate(count=Count("pk")))
        nodes = [(NodeState(value), states[value]) for value in NodeState.values if states.get(value)]
    if not counts["all"] and not nodes:
        return None
    return Card("proxmox/_card.html", {**counts, "nodes": nodes}, order=15)


def attention(request: HttpRequest) -> Iterable[Notice]:
    """Hosts whose API is not as it should be, for admins; certificates are told by shell_access."""
    if not user_of(request).is_admin:
        return
    found: dict[NodeState, list[NodeSeen]] = {state: [] for state in TOLD}
    troubled = NodeSeen.objects.filter(state__in=TOLD, host__in=looks.with_access())
    for node in troubled.select_related("host").order_by("host__name"):
        found[NodeState(node.state)].append(node)
    for state, nodes in found.items():
        level = "warning" if state == NodeState.SLOW else "danger"
        for node in nodes[:BY_NAME]:
            text = _("The Proxmox API of %(host)s: %(state)s.") % {"host": node.host, "state": state.label}
            yield Notice(level, text, reverse("proxmox:host", args=[node.host_id]))
        if len(nodes) > BY_NAME:
            more = ngettext("and %d more host", "and %d more hosts", len(nodes) - BY_NAME)
            yield Notice(level, f"{more % (len(nodes) - BY_NAME)}: {state.label}", reverse("proxmox:hosts"))
    yield from _idle_notice()


def _idle_notice() -> Iterable[Notice]:
    """One line for all guests that should run and do not."""
    idle = GuestSeen.objects.present().filter(status="stopped", onboot=True, template=False, lock="")
    names = list(idle.order_by("name").values_list("name", flat=True)[: BY_NAME + 1])
    if not names:
        return
    if len(names) > BY_NAME:
        text = _("%d guests start with their hosts, and are stopped.") % idle.count()
    else:
        said = ngettext(
            "%s starts with its host, and is stopped.",
            "%s start with their hosts, and are stopped.",
            len(names),
        )
        text = said % ", ".join(names)
    yield Notice("info", text, f"{reverse('proxmox:guests')}?state=idle")


def search(request: HttpRequest, words: str) -> Iterable[Hit]:
    """Guests by name, id, address or tag."""
    rows = GuestSeen.objects.visible_to(user_of(request)).present().select_related("host")
    for word in words.split():
        found = Q(name__icontains=word) | Q(addresses__icontains=word) | Q(tags__icontains=word)
        if word.isdecimal() and len(word) < 10:
            found |= Q(vmid=int(word))
        rows = rows.filter(found)
    for guest in rows.order_by("name", "vmid")[:MOST_HITS]:
        yield Hit(_("Guest"), f"{guest} ({guest.host})", guest.get_absolute_url())


section = Section(
    "guests",
    nav=(NavItem(gettext_lazy("Guests"), "proxmox:guests", "box", order=20, admin_only=False),),
    card=card,
    attention=attention,
    search=search,
)


def _server_panel(request: HttpRequest, server: Server) -> Panel | None:
    """The guest that a server is; the guests of a Proxmox host."""
    admin = user_of(request).is_admin
    if server.is_proxmox:
        return _host_panel(server) if admin else None
    guest = GuestSeen.objects.present().filter(server=server).select_related("host").first()
    host = guest.host if guest else server.vm_host
    if host is None or not host.is_proxmox:
        return None
    node = NodeSeen.objects.filter(host=host).first()
    if guest is None and not admin:
        return None
    possible = GuestSeen.objects.present().filter(host=host, matched="ambiguous").defer("config")
    context = {
        "guest": guest,
        "node": node,
        "nodes": [node],
        "stamp": live.stamp([node] if node else []),
        "host": host,
        "server": server,
        "possible": [one for one in possible if server.pk in one.candidates] if not guest else [],
        "live_job": live_job(request, guest) if guest else None,
    }
    if guest and node:
        looks.look_soon([node], vmid=guest.vmid)
    return Panel("proxmox/_server_guest.html", context, order=5)


def _host_panel(host: Server) -> Panel:
    has_access = host.pk in looks.with_access()
    node = node_of(Server.objects.select_related("node_seen").get(pk=host.pk), has_access=has_access)
    guests = GuestSeen.objects.present().filter(host=host).select_related("server").defer("config")
    looks.look_soon([node])
    context = {
        "node": node,
        "nodes": [node],
        "has_access": has_access,
        "shown": guests.order_by("status", "vmid")[:MOST_ROWS],
        "all": guests.count(),
        "most": MOST_ROWS,
        "without_guest": len(without_guest(host)) if node.answered_at else 0,
    }
    return Panel("proxmox/_host_guests.html", context, order=5)


def server_changed(
    _actor: Actor, server: Server, before: ServerFacts | None, after: ServerFacts | None
) -> None:
    """Match again where a name, an address or a host has changed; the links of one that moved are no more true."""
    if before and before.is_proxmox and not (after and after.is_proxmox):
        for model in (GuestSeen, NodeSeen, Numbers):
            model.objects.filter(host=server).delete()
    if before and after and all(getattr(before, name) == getattr(after, name) for name in OF_MATCHING):
        return
    if before and after and before.vm_host_id != after.vm_host_id:
        GuestSeen.objects.filter(server=server).update(server=None, matched="")
    hosts = {facts.vm_host_id for facts in (before, after) if facts and facts.vm_host_id is not None}
    if after is None:  # its row is still there: it must match nothing from here on
        GuestSeen.objects.filter(server=server).update(server=None, matched="")
        return
    for host_id in hosts:
        noting.rematch(host_id)


server_part = ServerPart("guests", panel=_server_panel, changed=server_changed)
