"""What hostnames show on the pages of others, and their kind of rollout."""

from collections.abc import Iterable

from django.db.models import Q
from django.http import HttpRequest
from django.urls import reverse
from django.utils.translation import gettext_lazy as _
from django.utils.translation import ngettext

from accounts.permissions import user_of
from forwarding import nginx_reading
from forwarding.desired_hostnames import KIND, desired, does
from forwarding.models import HostnameDestination, HostnameForward
from forwarding.validators import normal_domain
from forwarding.views.hostnames import rows_to_show
from forwarding.watching_hostnames import server_changed, server_holds
from pages.registry import Hit, NavItem, Notice, Section
from servers.models import Server
from servers.registry import Panel, RolloutKind, ServerPart

MOST_HITS = 10
MOST_NOTICES = 5
MOST_ROWS = 12


def _search(request: HttpRequest, words: str) -> Iterable[Hit]:
    found = Q()
    own = HostnameDestination.objects.filter(
        server__in=Server.objects.visible_to(user_of(request)).values("pk")
    )
    for word in words.split():
        leading = own.filter(server__name__icontains=word).values("hostname")
        found &= (
            Q(domain__icontains=word)
            | Q(domain__icontains=normal_domain(word))
            | Q(note__icontains=word)
            | Q(host__name__icontains=word)
            | Q(pk__in=leading)
        )
    for hostname in HostnameForward.objects.visible_to(user_of(request)).filter(found)[:MOST_HITS]:
        yield Hit(_("Hostname"), str(hostname), hostname.get_absolute_url())


def _attention(request: HttpRequest) -> Iterable[Notice]:
    """Hostnames that their nginx server had to leave out."""
    found = HostnameForward.objects.visible_to(user_of(request)).filter(active=True, left_out__gt="")
    rows = list(found)
    for hostname in rows[:MOST_NOTICES]:
        text = _("nginx serves without %(hostname)s: %(why)s")
        words = {"hostname": hostname, "why": hostname.left_out[:200]}
        yield Notice("danger", text % words, hostname.get_absolute_url())
    if more := len(rows[MOST_NOTICES:]):
        rest = ngettext(
            "nginx serves without %d more hostname", "nginx serves without %d more hostnames", more
        )
        yield Notice("danger", rest % more, reverse("forwarding:hostnames"))


section = Section(
    "hostnames",
    nav=(NavItem(_("Hostnames"), "forwarding:hostnames", "world", order=31, admin_only=False),),
    attention=_attention,
    search=_search,
)


def _server_panel(request: HttpRequest, server: Server) -> Panel | None:
    """The hostnames of a Proxmox host or of its nginx server, or those that lead to a server."""
    leading = HostnameDestination.objects.filter(server=server).values("hostname")
    of_it = Q(host=server) | Q(host__nginx_server=server) | Q(pk__in=leading)
    rows = rows_to_show(request).filter(of_it)
    host = server if server.is_proxmox else server.vm_host
    has_nginx = bool(host and host.nginx_server_id)
    serves = host is not None and server.pk in {host.pk, host.nginx_server_id}
    is_admin = user_of(request).is_admin
    without_nginx = server.is_proxmox and not has_nginx
    can_add = is_admin and has_nginx and bool(server.is_proxmox or server.internal_ip)
    if not (can_add or (without_nginx and is_admin) or rows.exists()):
        return None
    context = {
        "server": server,
        "hostnames": rows[:MOST_ROWS],
        "count": rows.count(),
        "most": MOST_ROWS,
        "can_add": can_add,
        "add_query": f"host={host.pk}" if serves and host else f"destination={server.pk}",
        "without_nginx": without_nginx,
    }
    return Panel("forwarding/_server_hostnames.html", context, order=31)


server_part = ServerPart(
    "hostnames",
    kinds=(
        RolloutKind(
            KIND,
            _("Hostnames (nginx)"),
            desired,
            order=30,
            needs_admin=True,
            afterwards=nginx_reading.read,
            does=does,
        ),
    ),
    panel=_server_panel,
    holds=server_holds,
    changed=server_changed,
)
