"""How servers stand to their key sets: the keys of each unix user, and whether the server holds them."""

import datetime
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

from django.db.models import TextChoices
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from keymanager.answers import contents
from keymanager.look_models import KeyLook
from keymanager.models import FetchReport
from keymanager.protocol import STALE_HOURS, has_failed
from servers.models import Server

STALE_AFTER = timedelta(hours=STALE_HOURS)


class Fetching(TextChoices):
    """What a server holds, compared with what it should."""

    UNMANAGED = "unmanaged", _("not set up")
    NEVER = "never", _("never fetched")
    PROBLEM = "problem", _("problem")
    STALE = "stale", _("stale")  # no word from it, or nothing that it could prove, for STALE_AFTER
    BEHIND = "behind", _("behind")
    DRIFTED = "drifted", _("changed by hand")  # since the last fetch, as a look found
    CURRENT = "current", _("current")


@dataclass(frozen=True)
class FetchState:
    """One server: its state, its last report, and the number of keys by unix user."""

    state: Fetching
    report: FetchReport | None
    keys: dict[str, int] = field(default_factory=dict)
    look: KeyLook | None = None
    # Whether its last fetch went well, and left it with what it should; it may have said more.
    up_to_date: bool = False

    @property
    def colour(self) -> str:
        """A name that the page kit has a colour for."""
        names = {Fetching.UNMANAGED: "none", Fetching.NEVER: "warning", Fetching.PROBLEM: "failed"}
        return names.get(self.state, str(self.state))

    @property
    def fetched_at(self) -> datetime.datetime | None:
        """When it last fetched."""
        return self.report.fetched_at if self.report else None

    def as_json(self) -> dict[str, Any]:
        """What a program gets."""
        return {
            "fetching": self.state,
            "fetched_at": self.fetched_at,
            "proved_at": self.report.proved_at if self.report else None,
            "problem": self.report.problem if self.report else "",
            "keys": self.keys,
            "looked_at": self.look.looked_at if self.look else None,
            "differs": self.look.differs if self.look else "",
        }


def fetch_states(servers: Iterable[Server]) -> dict[int, FetchState]:
    """The states of these servers by primary key; load them with their fetch_report and fetch_token."""
    rows = list(servers)
    should = contents({server.keymanager_name for server in rows})
    looks = {look.server_id: look for look in KeyLook.objects.filter(server__in=[row.pk for row in rows])}
    found: dict[int, FetchState] = {}
    for server in rows:
        content = should[server.keymanager_name]
        counts = {user: end - start for user, (start, end) in content.spans.items()}
        report = getattr(server, "fetch_report", None)
        # Also unix users that only another server of this keymanager name has on its list: it gets their keys, too.
        users = {*counts, *(unit.name for unit in server.unix_users.all())}
        mine = {user: counts.get(user, 0) for user in sorted(users)}
        look = looks.get(server.pk)
        well = report is not None and report.holds == content.etag and not has_failed(report.problem)
        state = _state(server, report, content.etag, look)
        found[server.pk] = FetchState(state, report, mine, look, up_to_date=well)
    return found


def _state(server: Server, report: FetchReport | None, etag: str, look: KeyLook | None) -> Fetching:
    if getattr(server, "fetch_token", None) is None:
        return Fetching.UNMANAGED
    if report is None or report.fetched_at is None:
        return Fetching.NEVER
    if look is not None and look.differs and look.looked_at > report.fetched_at:
        return Fetching.DRIFTED
    unproved = report.proved_at is not None and report.proved_at < report.fetched_at - STALE_AFTER
    if unproved or report.fetched_at < timezone.now() - STALE_AFTER:  # whatever it said last
        return Fetching.STALE
    if report.problem:
        return Fetching.PROBLEM
    return Fetching.CURRENT if report.holds == etag else Fetching.BEHIND
