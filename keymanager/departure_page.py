"""What the page about somebody who leaves shows of keys: host by host."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from django.http import HttpRequest
from django.utils.translation import gettext as _

from accounts.models import User
from accounts.registry import Left
from keymanager.departures import gone_since, servers_holding
from keymanager.fetch_states import Fetching, FetchState, fetch_states
from keymanager.models import Departure, DepartureHost
from keymanager.protocol import has_failed, holds_copies
from pages.registry import Panel

MOST_SHOWN = 200  # open ones come first; the download has all


@dataclass(frozen=True)
class HostRow:
    """A server of a departure as it stands now."""

    host: DepartureHost
    gone_at: Any
    state: FetchState

    @property
    def words(self) -> str:
        """What is known, and what to do."""
        if self.gone_at:
            by = self.host.confirmed_by
            return _("Gone: %s looked.") % by if by else _("Gone: the server says so.")
        if getattr(self.host.server, "fetch_token", None) is None:
            return _("Fetches no more: look at ~/.ssh/authorized_keys2 there yourself.")
        if self.state.state == Fetching.DRIFTED:
            return _(
                "Its authorized_keys2 was changed by hand since its last fetch: see what was found there."
            )
        if self.state.report and has_failed(self.state.report.problem):
            return _("Its last fetch failed: %s") % self.state.report.problem
        if self.state.report and holds_copies(self.state.report.problem):
            return _("It says that keys lie there still: %s") % self.state.report.problem
        return _("No word from it since. It is asked again for a day, and asks by itself every hour.")

    def as_json(self) -> dict[str, Any]:
        """What a program gets."""
        return {
            "id": self.host.pk,
            "server": self.host.server.name,
            "unix_users": self.host.unix_users,
            "gone_at": self.gone_at,
            "confirmed_by": self.host.confirmed_by,
            "last_fetch": self.state.fetched_at,
            "words": self.words,
        }


def left(request: HttpRequest, user: User) -> Left:
    """Before: the servers that hold the keys. After: which hold them no more."""
    departure = Departure.objects.filter(person=user).select_related("job").first()
    if departure is None:
        # Where the keys count nowhere, only who has not heard of that holds them.
        servers = list(servers_holding(user, behind_only=not user.is_active))
        context: dict[str, Any] = {
            "person": user,
            "departure": None,
            "servers": servers,
            "keys": user.ssh_keys.count(),
        }
        data: dict[str, Any] = {"servers": [server.name for server in servers]}
        return Left(Panel("keymanager/_departure.html", context, order=20), data, 0)
    rows = rows_of(departure)
    still = sum(row.gone_at is None for row in rows)
    context = {
        "person": user,
        "departure": departure,
        "rows": rows[:MOST_SHOWN],
        "more": max(0, len(rows) - MOST_SHOWN),
        "total": len(rows),
        "open": still,
        "gone": len(rows) - still,
    }
    data = {"at": departure.at, "hosts": [row.as_json() for row in rows]}
    return Left(Panel("keymanager/_departure.html", context, order=20), data, still)


def rows_of(departure: Departure) -> list[HostRow]:
    """All its servers, those that are open first; a constant number of queries."""
    hosts = list(
        departure.hosts.select_related("departure", "server__fetch_report", "server__fetch_token")
        .prefetch_related("server__unix_users")
        .order_by("server__name")
    )
    states = fetch_states(host.server for host in hosts)
    found = [
        HostRow(host, gone_at, states[host.server_id])
        for host, gone_at in zip(hosts, gone_since(hosts), strict=True)
    ]
    return sorted(found, key=lambda row: row.gone_at is not None)


def still_open(rows: Iterable[HostRow]) -> list[HostRow]:
    """Those not known to be without the keys."""
    return [row for row in rows if row.gone_at is None]
