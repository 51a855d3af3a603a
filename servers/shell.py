"""What servers show in the shell: navigation, dashboard, first steps, search, what needs attention."""

from collections.abc import Iterable

from django.db.models import Count, Q
from django.http import HttpRequest
from django.urls import reverse
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, ngettext

from accounts.permissions import user_of
from pages.registry import Card, Hit, NavItem, Notice, Section, Step
from servers.models import Contact, PanelIdentity, Rollout, RolloutState, Server

BY_NAME = 5  # so many of one kind are named on the dashboard; more are counted
MOST_HITS = 8


def card(request: HttpRequest) -> Card | None:
    """Servers by contact state, rollouts by state; nothing for somebody who has no server."""
    servers = Server.objects.visible_to(user_of(request))
    contacts = dict(servers.order_by().values_list("contact").annotate(count=Count("pk")))
    if not contacts and not user_of(request).is_admin:
        return None
    rows = Rollout.objects.filter(server__in=servers)
    rollouts = dict(rows.order_by().values_list("state").annotate(count=Count("pk")))
    context = {
        "total": sum(contacts.values()),
        "contacts": [(Contact(value), contacts[value]) for value in Contact.values if contacts.get(value)],
        "rollouts": [
            (RolloutState(value), rollouts[value]) for value in RolloutState.values if rollouts.get(value)
        ],
    }
    return Card("servers/_card.html", context, order=10)


def attention(request: HttpRequest) -> Iterable[Notice]:
    """Changed and new host keys, servers out of reach, rollouts that failed or drifted; the worst first."""
    servers = Server.objects.visible_to(user_of(request))
    by_contact: dict[str, list[Server]] = {}
    troubled = [Contact.CHANGED, Contact.UNREACHABLE, Contact.REFUSED, Contact.UNPINNED]
    for server in servers.filter(contact__in=troubled):
        by_contact.setdefault(server.contact, []).append(server)
    texts = {
        Contact.CHANGED: ("danger", _("%s shows another host key than before; nothing is sent to it.")),
        Contact.UNREACHABLE: ("danger", _("%s cannot be reached.")),
        Contact.REFUSED: ("danger", _("%s refuses the panel's login.")),
        Contact.UNPINNED: ("warning", _("%s waits until its host key is accepted.")),
    }
    for contact in troubled:
        level, text = texts[contact]
        found = by_contact.get(contact, [])
        for server in found[:BY_NAME]:
            yield Notice(level, text % server, server.get_absolute_url())
        if len(found) > BY_NAME:
            more = ngettext("and %d more server", "and %d more servers", len(found) - BY_NAME)
            url = f"{reverse('servers:list')}?contact={contact.value}"
            yield Notice(level, f"{more % (len(found) - BY_NAME)}: {contact.label}", url)
    everywhere = reverse("servers:rollouts" if user_of(request).is_admin else "servers:list")
    yield from _rollout_notices(servers, everywhere)


def _rollout_notices(servers: Iterable[Server], everywhere: str) -> Iterable[Notice]:
    rows = Rollout.objects.filter(server__in=servers).select_related("server")
    states = [(RolloutState.FAILED, "danger", _("%(title)s could not be rolled out on %(server)s."))]
    states += [(RolloutState.DRIFTED, "warning", _("%(title)s was changed by hand on %(server)s."))]
    for state, level, text in states:
        found = list(rows.filter(state=state).order_by("server__name", "kind"))
        for row in found[:BY_NAME]:
            words = text % {"title": row.title, "server": row.server}
            yield Notice(level, words, row.get_absolute_url())
        if len(found) > BY_NAME:
            more = ngettext("and %d more rollout", "and %d more rollouts", len(found) - BY_NAME)
            url = f"{everywhere}?state={state.value}"
            yield Notice(level, f"{more % (len(found) - BY_NAME)}: {state.label}", url)


def first_steps(_request: HttpRequest) -> Iterable[Step]:
    """What a new panel needs first."""
    yield Step(
        _("Let the panel in: put its SSH key on your Proxmox host"),
        PanelIdentity.objects.exists() and Server.objects.filter(last_contact_at__isnull=False).exists(),
        reverse("servers:identity"),
        _("One line for root's authorized_keys."),
        order=20,
    )
    yield Step(
        _("Add your first server"),
        Server.objects.exists(),
        reverse("servers:new"),
        _("Begin with the Proxmox host; its containers follow."),
        order=21,
    )
    yield Step(
        _("Accept its host key"),
        Server.objects.filter(host_keys__pinned_at__isnull=False).exists(),
        reverse("servers:list"),
        _("The panel shows the fingerprint; compare it with the one on the console."),
        order=22,
    )


def search(request: HttpRequest, words: str) -> Iterable[Hit]:
    """Servers by name, keymanager name, address, tag or notes."""
    rows = Server.objects.visible_to(user_of(request))
    for word in words.split():
        rows = rows.filter(
            Q(name__icontains=word)
            | Q(keymanager_name__icontains=word)
            | Q(external_ip__icontains=word)
            | Q(internal_ip__icontains=word)
            | Q(notes__icontains=word)
            | Q(pk__in=Server.tags.through.objects.filter(tag__name__icontains=word).values("server_id"))
        )
    for server in rows[:MOST_HITS]:
        yield Hit(gettext_lazy("Server"), server.name, server.get_absolute_url())


section = Section(
    "servers",
    nav=(
        NavItem(gettext_lazy("Servers"), "servers:list", "server", order=10, admin_only=False),
        NavItem(gettext_lazy("Map"), "servers:map", "sitemap", order=11),
        NavItem(gettext_lazy("Rollouts"), "servers:rollouts", "upload", order=12),
    ),
    card=card,
    attention=attention,
    first_steps=first_steps,
    search=search,
)
