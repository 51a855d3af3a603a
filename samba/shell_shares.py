"""What shares show on the pages of others, and their kind of rollout."""

from collections.abc import Iterable

from django.db.models import Q
from django.http import HttpRequest
from django.urls import reverse
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, ngettext

from accounts.permissions import user_of
from pages.registry import Hit, NavItem, Notice, Section
from samba.desired_shares import KIND, desired, does
from samba.models import Share
from samba.passwords import has_secret, secret_mark
from samba.records import read_records
from samba.watching_shares import server_changed, server_folders, server_holds
from servers.models import Rollout, RolloutState, Server
from servers.registry import Panel, RolloutKind, ServerPart

MOST_HITS = 8
MOST_ROWS = 12
BY_NAME = 5  # so many of one trouble are named on the dashboard; more are counted

TROUBLES = {
    RolloutState.FAILED: gettext_lazy("The shares of %s are not rolled out."),
    RolloutState.DRIFTED: gettext_lazy("Users, folders or shares on %s are not what they should be."),
}


def attention(request: HttpRequest) -> Iterable[Notice]:
    """Servers whose shares are not as they should be, and passwords from an older secret."""
    user = user_of(request)
    own = Share.objects.visible_to(user).values("server")
    rows = Rollout.objects.filter(kind=KIND, state__in=TROUBLES, server__in=own).select_related("server")
    found = list(rows.order_by("server__name"))
    for rollout in found[:BY_NAME]:
        url = (
            rollout.get_absolute_url()
            if user.is_admin
            else f"{reverse('samba:shares')}?q={rollout.server.name}"
        )
        yield Notice("danger", TROUBLES[RolloutState(rollout.state)] % rollout.server, url)
    if more := len(found[BY_NAME:]):
        text = ngettext(
            "The same on %d more server with shares.", "The same on %d more servers with shares.", more
        )
        yield Notice("danger", text % more, reverse("samba:shares"))
    if not user.is_admin or not Share.objects.exists():
        return
    if not has_secret():
        yield Notice(
            "warning",
            _("SAMBA_SECRET_KEY is not set: no share can be made, no password shown."),
            reverse("samba:shares"),
        )
    elif count := Share.objects.exclude(secret_mark=secret_mark()).count():
        text = ngettext(
            "SAMBA_SECRET_KEY has been replaced: %d share still has a password from the old one.",
            "SAMBA_SECRET_KEY has been replaced: %d shares still have passwords from the old one.",
            count,
        )
        yield Notice("warning", text % count, f"{reverse('samba:shares')}?password=old")


def search(request: HttpRequest, words: str) -> Iterable[Hit]:
    """Shares by name, folder, user, comment or server."""
    rows = Share.objects.visible_to(user_of(request)).select_related("server")
    for word in words.split():
        rows = rows.filter(
            Q(name__icontains=word)
            | Q(folder__icontains=word)
            | Q(user__icontains=word)
            | Q(comment__icontains=word)
            | Q(server__name__icontains=word)
        )
    for row in rows[:MOST_HITS]:
        yield Hit(gettext_lazy("Share"), str(row), row.get_absolute_url())


section = Section(
    "samba",
    nav=(NavItem(gettext_lazy("Shares"), "samba:shares", "folder-share", order=55, admin_only=False),),
    attention=attention,
    search=search,
)


def server_panel(request: HttpRequest, server: Server) -> Panel | None:
    """The shares of a Samba server."""
    if not server.samba_management:
        return None
    shares = Share.objects.visible_to(user_of(request)).filter(server=server)
    context = {
        "server": server,
        "shares": shares[:MOST_ROWS],
        "count": shares.count(),
        "most": MOST_ROWS,
        "can_add": user_of(request).is_admin,
        "rollout": Rollout.objects.filter(server=server, kind=KIND).first(),
    }
    return Panel("samba/_server_shares.html", context, order=45)


server_part = ServerPart(
    "samba",
    kinds=(RolloutKind(KIND, gettext_lazy("Shares"), desired, order=60, afterwards=read_records, does=does),),
    panel=server_panel,
    holds=server_holds,
    folders=server_folders,
    changed=server_changed,
)
