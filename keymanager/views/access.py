"""Pages that say who can log in where, and why."""

from collections import defaultdict
from dataclasses import dataclass
from typing import Any

from django.db.models import F, Q, QuerySet
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy
from django.views.decorators.http import require_http_methods

from accounts.models import User
from accounts.permissions import user_of
from keymanager.desired import KIND
from keymanager.fetch_states import Fetching, fetch_states
from keymanager.found_page import found_on
from keymanager.lockout import Ways, ways_in
from keymanager.models import Group
from keymanager.paths import Path, servers_open_to, where, why
from pages.answers import show_page, wants_json
from pages.limits import LONGEST_SEARCH, search_words
from pages.lists import Filter, ListPage, render_list, typed
from servers.models import Server, UnixUser

READ = ["GET", "HEAD"]
PEOPLE_SHOWN = 50  # of one group at one unix user; a filter finds the others


def _by_fetching(rows: QuerySet[Server], value: str) -> QuerySet[Server]:
    if value == "unmanaged":
        return rows.filter(fetch_token=None)
    managed = rows.filter(fetch_token__isnull=False)
    if value == "drifted":
        looked = managed.exclude(key_look__differs="")
        return looked.filter(key_look__looked_at__gt=F("fetch_report__fetched_at"))
    if value == "never":
        return managed.filter(Q(fetch_report=None) | Q(fetch_report__fetched_at=None))
    return managed.exclude(Q(fetch_report=None) | Q(fetch_report__problem=""))


FETCHING = Filter(
    "fetching",
    gettext_lazy("Fetching"),
    [
        ("unmanaged", gettext_lazy("not set up")),
        ("never", gettext_lazy("never fetched")),
        ("problem", gettext_lazy("with a problem")),
        ("drifted", gettext_lazy("changed by hand")),
    ],
    _by_fetching,
)


@require_http_methods(READ)
def overview(request: HttpRequest) -> HttpResponse:
    """Each server with the number of keys of its unix users, and whether it holds them."""
    rows = Server.objects.visible_to(user_of(request))
    listing = ListPage(
        request,
        rows.select_related("fetch_report", "fetch_token").prefetch_related("unix_users"),
        search=("name", "keymanager_name", "unix_users__name"),
        sorts={
            "name": "name",
            "keymanager": ("keymanager_name", "name"),
            "fetched": "fetch_report__fetched_at",
        },
        default_sort="name",
        filters=(FETCHING,),
    )
    states = fetch_states(listing.rows)
    if wants_json(request):

        def as_json(server: Server) -> dict[str, Any]:
            return {
                "id": server.pk,
                "name": server.name,
                "keymanager_name": server.keymanager_name,
                **states[server.pk].as_json(),
            }

        return render_list(request, "", listing, row_json=as_json)
    context = {"rows": [(server, states[server.pk]) for server in listing.rows]}
    return render_list(request, "keymanager/overview.html", listing, context)


@require_http_methods(READ)
def server(request: HttpRequest, pk: int) -> HttpResponse:
    """Who can log in to a server, by unix user, and why; `q` finds people and keys."""
    rows = Server.objects.visible_to(user_of(request)).select_related("fetch_report", "fetch_token")
    row = get_object_or_404(rows.prefetch_related("unix_users"), pk=pk)
    words = search_words(typed(request, "q").lower())
    paths = [path for path in why(row) if all(word in _text_of(path) for word in words)]
    state = fetch_states([row])[row.pk]
    found = found_on(row, user_of(request))
    if wants_json(request):
        data = {
            "server": row.name,
            **state.as_json(),
            "paths": [path.as_json() for path in paths],
            "found": [line.as_json() for line in found],
        }
        return show_page(request, "", {}, data)
    units = [(name, state.keys.get(name, 0), _by_reason(paths, name)) for name in sorted(state.keys)]
    others = Server.objects.filter(keymanager_name=row.keymanager_name).exclude(pk=row.pk).order_by("name")
    context = {
        "server": row,
        "state": state,
        "units": units,
        "query": typed(request, "q")[:LONGEST_SEARCH],
        "fetches": state.state != Fetching.UNMANAGED,
        "sharing": others.visible_to(user_of(request)),
        "found": found,
        "can_look": row.rollouts.filter(kind=KIND).exists(),
        "opens_root": ways_in([row.keymanager_name]).get(row.keymanager_name, Ways()).anyone,
    }
    return show_page(request, "keymanager/server.html", context)


def _text_of(path: Path) -> str:
    """What a search looks at."""
    holder = path.holder
    names = [str(holder), holder.username] if isinstance(holder, User) else [str(holder or "gestion")]
    keys = [f"{key.fingerprint} {key.comment}" for key in path.keys]
    return " ".join([*names, path.unix_user, path.group.name if path.group else "", *keys]).lower()


@dataclass
class Reason:
    """A group, or owners, and where that lets them in; several places when servers share a name."""

    group: Group | None
    places: list[Server | UnixUser]
    holders: dict[tuple[object, bool], Path]

    @property
    def shown(self) -> list[Path]:
        """One path for each holder, as many as a page takes."""
        return list(self.holders.values())[:PEOPLE_SHOWN]

    @property
    def more(self) -> int:
        """How many holders are not shown."""
        return max(0, len(self.holders) - PEOPLE_SHOWN)

    @property
    def words(self) -> str:
        """Where, in words."""
        places = ", ".join(map(str, self.places))
        return (_("allowed on %s") if self.group else _("of %s")) % places


def _by_reason(paths: list[Path], unix_user: str) -> list[Reason]:
    """The paths of one unix user by their reason."""
    found: dict[object, Reason] = {}
    for path in paths:
        if path.unix_user != unix_user:
            continue
        reason = found.setdefault(path.group or path.by, Reason(path.group, [], {}))
        if path.by not in reason.places:
            reason.places.append(path.by)
        reason.holders.setdefault((path.holder, path.single), path)
    return list(found.values())


@require_http_methods(READ)
def person(request: HttpRequest, pk: int) -> HttpResponse:
    """Where a person can log in and why; everybody sees his own, admins all."""
    user = user_of(request)
    if user.pk != pk and not user.is_admin:
        raise Http404
    row = get_object_or_404(User, pk=pk)
    listing = ListPage(
        request,
        servers_open_to(row),
        search=("name", "keymanager_name"),
        sorts={"name": "name"},
        default_sort="name",
    )
    paths: dict[int, list[Path]] = defaultdict(list)
    for path in where(row, list(listing.rows)):
        paths[path.server.pk].append(path)
    if wants_json(request):
        return render_list(
            request, "", listing, row_json=lambda each: {"server": each.name, "paths": _json(paths[each.pk])}
        )
    keys = list(row.ssh_keys.all())
    context = {
        "person": row,
        "rows": [(each, _once(paths[each.pk])) for each in listing.rows if paths[each.pk]],
        "keys": keys,
        "limited": [key for key in keys if key.limited],
    }
    return render_list(request, "keymanager/person.html", listing, context)


def _once(paths: list[Path]) -> list[Path]:
    """One path for each unix user and group, the server's own before one that a shared name brings."""
    found: dict[object, Path] = {}
    for path in sorted(paths, key=lambda path: path.shared):
        found.setdefault((path.unix_user, path.group), path)
    return sorted(found.values(), key=lambda path: path.unix_user)


def _json(paths: list[Path]) -> list[dict[str, object]]:
    return [path.as_json() for path in paths]
