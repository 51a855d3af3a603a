"""What pages and programs get to see of hosts and guests: rows as plain values, configurations, lines over time."""

import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from django.db.models import Count, Exists, OuterRef, Q
from django.utils.translation import gettext as _

from accounts.models import User
from proxmox.looks import with_access
from proxmox.models.numbers import EVERY_SECONDS, KEEP_HOURS, Numbers
from proxmox.models.seen import GuestSeen, NodeSeen, NodeState
from servers.models import Server

FIGURES = ("cpu", "cores", "memory_used", "memory", "swap_used", "swap", "disk_used", "disk", "uptime")
SPANS = KEEP_HOURS * 3600 // EVERY_SECONDS


@dataclass(frozen=True)
class HostRow:
    """A host of the list, with how many guests it has and how many of them run."""

    node: NodeSeen
    guests: int
    running: int


@dataclass(frozen=True)
class Line:
    """One line of a day: points of (span, thousandths)."""

    label: str
    points: Sequence[tuple[int, int]]
    last: int
    count: int = SPANS


def guest_json(guest: GuestSeen) -> dict[str, Any]:
    """A guest as JSON."""
    return {
        "id": guest.pk,
        "host": guest.host.name,
        "vmid": guest.vmid,
        "kind": guest.kind,
        "name": guest.name,
        "status": "gone" if guest.gone_at else guest.status,
        **{name: getattr(guest, name) for name in FIGURES},
        "tags": guest.tag_list,
        "lock": guest.lock,
        "template": guest.template,
        "onboot": guest.onboot,
        "addresses": guest.addresses,
        "live_addresses": guest.live,
        "live_addresses_at": guest.live_at,
        "server": guest.server_id,
        "server_name": guest.server.name if guest.server else None,
        "matched": guest.matched,
        "first_seen_at": guest.first_seen_at,
        "seen_at": guest.seen_at,
        "gone_at": guest.gone_at,
    }


def node_json(node: NodeSeen) -> dict[str, Any]:
    """A host as JSON."""
    return {
        "host": node.host_id,
        "name": node.host.name,
        "state": node.state,
        "error": node.error,
        "since": node.since,
        "looked_at": node.looked_at,
        "answered_at": node.answered_at,
        "version": node.version,
        **{name: getattr(node, name) for name in FIGURES},
    }


def host_rows() -> list[HostRow]:
    """All Proxmox hosts, in three queries; those never looked at say whether anybody set an access."""
    here = Q(guests_seen__gone_at=None, guests_seen__isnull=False)
    hosts = Server.objects.filter(is_proxmox=True).select_related("node_seen")
    counted = hosts.annotate(
        all_guests=Count("guests_seen", filter=here),
        running_guests=Count("guests_seen", filter=here & Q(guests_seen__status="running")),
    ).order_by("name")
    allowed = set(with_access())
    return [
        HostRow(node_of(host, has_access=host.pk in allowed), host.all_guests, host.running_guests)
        for host in counted
    ]


def node_of(host: Server, *, has_access: bool) -> NodeSeen:
    """What was seen of the host; an unsaved row if nothing was, or nothing may be any more."""
    node: NodeSeen = getattr(host, "node_seen", None) or NodeSeen(host=host)
    node.host = host
    if not has_access:
        node.state, node.error = NodeState.NO_ACCESS, ""
    return node


def nodes_seen(user: User, of_guests: Iterable[int]) -> list[NodeSeen]:
    """The hosts that a list of guests shows: for an admin also those with access that have none (yet)."""
    shown = Q(pk__in=list(of_guests))
    if user.is_admin:
        shown |= Q(pk__in=with_access())
    hosts = Server.objects.filter(shown, is_proxmox=True).select_related("node_seen").order_by("name")
    return [node_of(host, has_access=True) for host in hosts]


def without_guest(host: Server) -> list[Server]:
    """Servers that should run on this host, and that none of its guests is."""
    seen = GuestSeen.objects.present().filter(host=host, server=OuterRef("pk"))
    possible = GuestSeen.objects.present().filter(host=host).values_list("candidates", flat=True)
    ambiguous = {pk for candidates in possible for pk in candidates}
    rows = Server.objects.filter(~Exists(seen), vm_host=host).exclude(pk__in=ambiguous)
    return list(rows.order_by("name"))


def host_lines(host: Server) -> list[Line]:
    """A host's last 24 hours."""
    rows = list(Numbers.objects.filter(host=host).order_by("span").values_list("span", "cpu", "memory"))
    return _lines([(span, [cpu, memory]) for span, cpu, memory in rows])


def guest_lines(guest: GuestSeen) -> list[Line]:
    """A guest's last 24 hours, as far as the id was its own."""
    first = int(guest.first_seen_at.timestamp() // EVERY_SECONDS)
    rows = Numbers.objects.filter(host=guest.host_id, span__gte=first).order_by("span")
    name = str(guest.vmid)
    found = [(span, guests.get(name)) for span, guests in rows.values_list("span", "guests")]
    return _lines([(span, pair) for span, pair in found if pair])


def _lines(rows: list[tuple[int, list[int | None]]]) -> list[Line]:
    last = int(time.time() // EVERY_SECONDS)
    lines = []
    for place, label in enumerate((_("Processor"), _("Memory"))):
        points = [(span, value) for span, pair in rows if (value := pair[place]) is not None]
        lines.append(Line(label, [(span, value) for span, value in points if span > last - SPANS], last))
    return [line for line in lines if len(line.points) > 1]


def config_rows(guest: GuestSeen) -> list[tuple[str, str, str]]:
    """A guest's configuration as (option, what it is, value), the best known first."""
    words = _option_words()
    order = {name: place for place, name in enumerate(words)}
    rows = []
    for name in sorted(guest.config, key=lambda name: (order.get(name, len(order)), name)):
        value = guest.config[name]
        text = "\n".join(map(str, value)) if isinstance(value, list) else str(value)
        if name in YES_OR_NO:
            text = _("yes") if text == "1" else _("no")
        rows.append((name, words.get(name, ""), text))
    return rows


YES_OR_NO = {"onboot", "unprivileged", "protection", "template"}


def _option_words() -> dict[str, str]:
    return {
        "hostname": _("Host name"),
        "name": _("Name"),
        "cores": _("Cores"),
        "cpulimit": _("Limit of processors"),
        "memory": _("Memory in MiB"),
        "swap": _("Swap in MiB"),
        "rootfs": _("Root disk"),
        "net0": _("First interface"),
        "nameserver": _("Name servers"),
        "searchdomain": _("Search domain"),
        "onboot": _("Starts with the host"),
        "unprivileged": _("Unprivileged"),
        "features": _("Features"),
        "protection": _("Protected"),
        "ostype": _("Kind of system"),
        "arch": _("Architecture"),
        "description": _("Notes"),
    }
