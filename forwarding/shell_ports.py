"""What forwarded ports show on the pages of others, and their kind of rollout."""

from collections.abc import Iterable

from django.db.models import Q
from django.http import HttpRequest
from django.utils.translation import gettext_lazy as _

from accounts.permissions import user_of
from forwarding.desired_ports import KIND, desired, does
from forwarding.models import PortForward
from forwarding.watching_ports import server_changed, server_holds
from pages.registry import Hit, NavItem, Section
from servers.models import Rollout, Server
from servers.registry import Panel, RolloutKind, ServerPart

MOST_HITS = 10
MOST_ROWS = 12


def _search(request: HttpRequest, words: str) -> Iterable[Hit]:
    found = Q()
    for word in words.split():
        number = int(word) if word.isdecimal() and len(word) < 6 else 0
        on_port = Q(first_port__lte=number, last_port__gte=number) if number else Q()
        at_port = Q(destination_first__lte=number, destination_last__gte=number) if number else Q()
        names = Q(note__icontains=word) | Q(host__name__icontains=word) | Q(destination__name__icontains=word)
        found &= names | on_port | at_port if number else names
    rules = PortForward.objects.visible_to(user_of(request)).filter(found)
    for rule in rules.select_related("host", "destination")[:MOST_HITS]:
        yield Hit(_("Port"), f"{rule.host} {rule}", rule.get_absolute_url())


section = Section(
    "ports",
    nav=(NavItem(_("Ports"), "forwarding:ports", "route", order=30, admin_only=False),),
    search=_search,
)


def _server_panel(request: HttpRequest, server: Server) -> Panel | None:
    """The ports of a Proxmox host, or those that lead to a guest."""
    rules = PortForward.objects.visible_to(user_of(request)).select_related("host", "destination")
    if server.is_proxmox:
        rules = rules.filter(Q(host=server) | Q(destination=server))
    else:
        rules = rules.filter(destination=server)
    host = server if server.is_proxmox else server.vm_host
    can_add = bool(host and host.is_proxmox and (server.is_proxmox or server.internal_ip))
    if not can_add and not rules.exists():
        return None
    context = {
        "server": server,
        "rules": rules[:MOST_ROWS],
        "count": rules.count(),
        "most": MOST_ROWS,
        "can_add": can_add and user_of(request).is_admin,
        "rollout": Rollout.objects.filter(server=host, kind=KIND).first(),
    }
    return Panel("forwarding/_server_ports.html", context, order=30)


server_part = ServerPart(
    "ports",
    kinds=(RolloutKind(KIND, _("Forwarded ports"), desired, order=20, needs_admin=True, does=does),),
    panel=_server_panel,
    holds=server_holds,
    changed=server_changed,
)
