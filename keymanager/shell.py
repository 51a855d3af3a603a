"""What the keymanager shows on the pages of others: navigation, search, attention, people, servers."""

from collections.abc import Iterable
from datetime import timedelta

from django.db.models import Exists, OuterRef, Q, QuerySet
from django.http import HttpRequest
from django.urls import reverse
from django.utils import timezone
from django.utils.formats import date_format
from django.utils.translation import gettext_lazy as _
from django.utils.translation import ngettext

from accounts.models import User
from accounts.permissions import user_of
from keymanager.desired_passwords import KIND as NO_PASSWORDS
from keymanager.fetch_states import fetch_states
from keymanager.found_page import found_on
from keymanager.lockout import Ways, ways_in
from keymanager.look_models import FoundLine
from keymanager.models import Group, Key, KeysOnly, OfferedKey
from keymanager.openssh import RSA_GOOD_BITS
from keymanager.paths import servers_open_to
from keymanager.unsent import unsent_keys, unsent_unix_users
from pages.registry import Hit, NavItem, Notice, Panel, Section, Step
from servers.models import Rollout, Server
from servers.registry import Panel as ServerPanel

MOST_HITS = 10
MOST_FOUND = 5  # servers by name
FOUND_SHOWN = 5
SOON = timedelta(days=14)  # before the last way in ends by time


def _attention(request: HttpRequest) -> Iterable[Notice]:
    """Keys put on servers by hand; people without keys in groups, servers without a key for root, weak keys."""
    yield from _found(user_of(request))
    if not getattr(request.user, "is_admin", False):
        return
    keyless = User.objects.filter(is_active=True, key_groups__isnull=False)
    keyless = keyless.exclude(Exists(Key.objects.filter(person=OuterRef("pk")))).distinct()
    count = keyless.count()
    if count:
        text = ngettext(
            "%d person is in a group, but has no SSH key yet.",
            "%d people are in groups, but have no SSH key yet.",
            count,
        )
        first = keyless.order_by("username").first()
        url = (
            reverse("keymanager:person_keys", args=[first.pk])
            if count == 1 and first
            else reverse("accounts:users")
        )
        yield Notice("info", text % count, url)
    yield from _ways_in()
    yield from _unsent()
    weak = Key.objects.filter(type="ssh-rsa", bits__lt=RSA_GOOD_BITS).count()
    if weak:
        text = ngettext(
            "%d SSH key is weak (RSA under 3072 bits).", "%d SSH keys are weak (RSA under 3072 bits).", weak
        )
        yield Notice("warning", text % weak, f"{reverse('keymanager:keys')}?strength=weak")
    for server in (
        Server.objects.filter(unix_users__offered_keys__isnull=False).distinct().order_by("name")[:5]
    ):
        text = _("Keys read from %s wait for your word.") % server
        yield Notice("info", text, reverse("keymanager:server_keys", args=[server.pk]))


def _found(user: User) -> Iterable[Notice]:
    """Servers where somebody's own line is in an authorized_keys2 now, as far as is known."""
    there = Exists(FoundLine.objects.filter(server=OuterRef("pk"), gone_at=None))
    servers = Server.objects.visible_to(user).filter(there).order_by("name")
    for server in servers[:MOST_FOUND]:
        text = _("Somebody put a line into authorized_keys2 on %s by hand.") % server
        yield Notice("danger", text, reverse("keymanager:server", args=[server.pk]))
    if (more := servers.count() - MOST_FOUND) > 0:
        text = ngettext("The same on %d more server.", "The same on %d more servers.", more) % more
        yield Notice("danger", text, f"{reverse('keymanager:overview')}?fetching=drifted")


def _ways_in() -> Iterable[Notice]:
    """Servers that fetch from here where nobody's key opens a shell for root, and where the last one will end."""
    fetching = Server.objects.filter(fetch_token__isnull=False)
    ways = ways_in(fetching.values_list("keymanager_name", flat=True))
    none = fetching.filter(keymanager_name__in=[name for name, way in ways.items() if not way.anyone])
    if count := none.count():
        text = ngettext(
            "%d server gets no key with which somebody could log in as root.",
            "%d servers get no key with which somebody could log in as root.",
            count,
        )
        yield Notice("warning", text % count, _page_of(none))
    soon = timezone.now() + SOON
    ending = {name: way for name, way in ways.items() if way.ends_at and way.ends_at < soon}
    yield from _ending(fetching, {name: way for name, way in ending.items() if way.trusted})
    yield from _ending(fetching, {name: way for name, way in ending.items() if not way.trusted})


def _ending(fetching: QuerySet[Server], ending: dict[str, Ways]) -> Iterable[Notice]:
    """That the last way in to these ends by time: an admin's to all of them, or somebody's where no admin has any."""
    servers = fetching.filter(keymanager_name__in=ending)
    if not (count := servers.count()):
        return
    if all(way.trusted for way in ending.values()):
        text = ngettext(
            "The last key of an admin for root of %(count)d server ends on %(day)s.",
            "The last keys of admins for root of %(count)d servers end from %(day)s on.",
            count,
        )
    else:
        text = ngettext(
            "The last key for root of %(count)d server, which no admin gets into, ends on %(day)s.",
            "The last keys for root of %(count)d servers, which no admin gets into, end from %(day)s on.",
            count,
        )
    first = min(way.ends_at for way in ending.values() if way.ends_at)
    day = date_format(timezone.localtime(first), "Y-m-d")
    yield Notice("warning", text % {"count": count, "day": day}, _page_of(servers))


def _page_of(servers: QuerySet[Server]) -> str:
    found = list(servers.order_by("name")[:2])
    return (
        reverse("keymanager:server", args=[found[0].pk])
        if len(found) == 1
        else reverse("keymanager:overview")
    )


def _unsent() -> Iterable[Notice]:
    """Keys and unix users that servers would refuse, and so do not get."""
    count = unsent_keys().count()
    if count:
        text = ngettext(
            "%d SSH key reaches no server: its line is not one that servers take.",
            "%d SSH keys reach no server: their lines are not ones that servers take.",
            count,
        )
        yield Notice("warning", text % count, f"{reverse('keymanager:keys')}?sent=no")
    for unit in unsent_unix_users().select_related("server").order_by("server__name", "name")[:5]:
        text = _("%s gets no keys: its name is not one that servers take.") % unit
        yield Notice("warning", text, reverse("keymanager:server", args=[unit.server_id]))


def _search(request: HttpRequest, words: str) -> Iterable[Hit]:
    if not getattr(request.user, "is_admin", False):
        return
    keys, groups = Q(), Q()
    for word in words.split():
        keys &= Q(fingerprint__icontains=word) | Q(comment__icontains=word)
        groups &= Q(name__icontains=word) | Q(description__icontains=word)
    for group in Group.objects.filter(groups)[:MOST_HITS]:
        yield Hit(_("Group"), group.name, group.get_absolute_url())
    for key in Key.objects.filter(keys).select_related("person", "unix_user__server")[:MOST_HITS]:
        query = key.fingerprint.removeprefix("SHA256:")[:20]
        yield Hit(_("SSH key"), f"{key.comment} ({key.owner})", f"{reverse('keymanager:keys')}?q={query}")


def _first_steps(request: HttpRequest) -> Iterable[Step]:
    yield Step(
        _("Add your SSH key"),
        Key.objects.filter(person_id=request.user.pk).exists(),
        reverse("keymanager:my_keys"),
        _("It lets you log in to the servers that you are allowed on."),
        order=20,
    )
    yield Step(
        _("Make groups, and say where they are allowed"),
        Group.objects.exists(),
        reverse("keymanager:groups"),
        _("Three are ready to be made with one click."),
        order=30,
    )


section = Section(
    "keymanager",
    nav=(
        NavItem(_("Who can log in"), "keymanager:overview", "lock", order=20, admin_only=False),
        NavItem(_("Groups"), "keymanager:groups", "users-group", order=21),
        NavItem(_("SSH keys"), "keymanager:keys", "fingerprint", order=22),
        NavItem(_("My SSH keys"), "keymanager:my_keys", "key", order=80, admin_only=False),
    ),
    user_menu=(NavItem(_("My SSH keys"), "keymanager:my_keys", "key"),),
    attention=_attention,
    first_steps=_first_steps,
    search=_search,
)


def person_panel(request: HttpRequest, person: User) -> Panel:
    """A person's keys and groups on her page."""
    return Panel(
        "keymanager/_person_panel.html",
        {
            "person": person,
            "mine": person.pk == request.user.pk,
            "keys": person.ssh_keys.all(),
            "groups": person.key_groups.all(),
            "opens": servers_open_to(person).count(),
        },
        order=20,
    )


def server_panel(request: HttpRequest, server: Server) -> ServerPanel:
    """How many keys can log in as whom, on the server's page."""
    row = Server.objects.select_related("fetch_report", "fetch_token").get(pk=server.pk)
    own = Key.objects.filter(unix_user__server=server).count()
    return ServerPanel(
        "keymanager/_server_panel.html",
        {
            "server": server,
            "fetch": fetch_states([row])[server.pk],
            "own_keys": own,
            "found": found_on(server, user_of(request), FOUND_SHOWN),
            "offered": OfferedKey.objects.filter(unix_user__server=server).count(),
            "member_of": server.key_groups.all(),
            "allowed": server.allowed_groups.all(),
            "keys_only": KeysOnly.objects.filter(server=server).first(),
            "passwords": Rollout.objects.filter(server=server, kind=NO_PASSWORDS).first(),
        },
        order=20,
    )
