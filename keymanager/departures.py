"""Somebody has left: which servers held that person's keys, and which are known to hold them no more.

A server is known to when it says, in a fetch after that moment, that it holds a key set without them. What it
should hold is known by its ETag; nothing is taken for granted because a command ran without an error.
"""

import time
from collections import defaultdict
from collections.abc import Callable, Iterable
from typing import Any

from django.conf import settings
from django.db import transaction
from django.db.models import Q, QuerySet
from django.utils import timezone
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from accounts import audit
from accounts.actors import Actor
from accounts.models import AuditEntry, User
from jobs.models import Job
from jobs.run import Run
from jobs.services import start_job
from jobs.works import Retry
from keymanager import pushing
from keymanager.answers import contents
from keymanager.look_models import FoundLine
from keymanager.models import Departure, DepartureHost
from keymanager.paths import where
from keymanager.protocol import has_failed, holds_copies
from keymanager.touched import names_of_people
from servers.models import Server

DEPART = "keymanager.depart"
WAIT_FOR_PUSH = 12.0  # seconds: the change itself has servers fetch, by a job of its own
WAIT_FOR_WORD = 8.0  # seconds after a fetch until its report is in the database
SOON = Retry(every=60, until_hours=24)


class NotGoneYet(Exception):  # noqa: N818 - the job's outcome, told to a person
    """Some servers have not said yet that they hold the keys no more; they are asked again."""


def servers_holding(user: User, *, behind_only: bool = False) -> QuerySet[Server]:
    """Those that may hold keys of this person, and fetch from here now or did once: allowed there, or behind.

    One that is behind may hold a key that was taken away since, or of a group that the person was taken out of; not one
    that was heard last before the person came. Where somebody put such a key by hand, it is known to be held.
    With `behind_only` those alone, as where the keys count nowhere any more.
    """
    has = user.ssh_keys.exists()
    if not (has or _had_keys(user)):
        return Server.objects.none()
    names = names_of_people([user]) if has and not behind_only else set()
    behind = Q(pk__in=_behind(), fetch_report__fetched_at__gte=user.date_joined)
    found = FoundLine.objects.filter(gone_at=None, fingerprint__in=user.ssh_keys.values("fingerprint"))
    rows = Server.objects.filter(Q(keymanager_name__in=names) | behind | Q(pk__in=found.values("server")))
    return rows.filter(Q(fetch_token__isnull=False) | Q(fetch_report__fetched_at__isnull=False)).order_by(
        "name"
    )


def _had_keys(user: User) -> bool:
    return AuditEntry.objects.filter(verb="key.delete", before__owner=str(user)).exists()


def _behind() -> list[int]:
    """The servers that hold another key set than they should, as far as they said."""
    rows = Server.objects.filter(fetch_report__fetched_at__isnull=False).select_related("fetch_report")
    found = list(rows.exclude(fetch_report__holds__in=["", "none"]))
    should = contents({server.keymanager_name for server in found})
    return [row.pk for row in found if row.fetch_report.holds != should[row.keymanager_name].etag]


def leaving(actor: Actor, user: User) -> Callable[[], Any]:
    """Keep which servers hold the person's keys; what is returned sees to it that they go, and is called after."""
    servers = list(servers_holding(user))
    units: dict[int, list[str]] = defaultdict(list)
    for path in where(user, servers):
        if path.unix_user not in units[path.server.pk]:
            units[path.server.pk].append(path.unix_user)
    return lambda: _departed(actor, user, servers, units)


def _departed(actor: Actor, user: User, servers: list[Server], units: dict[int, list[str]]) -> None:
    should = contents({server.keymanager_name for server in servers})
    departure, _new = Departure.objects.update_or_create(person=user, defaults={"at": timezone.now()})
    departure.hosts.all().delete()
    DepartureHost.objects.bulk_create(
        DepartureHost(
            departure=departure,
            server=server,
            unix_users=sorted(units[server.pk]),
            etag=should[server.keymanager_name].etag,
        )
        for server in servers
    )
    if servers:
        departure.job = start_job(
            actor, DEPART, _("See that the keys of %s are gone") % user, {"departure": departure.pk},
            subject=user, retry=SOON, delay=pushing.COALESCE,
        )  # fmt: skip
        departure.save(update_fields=["job"])


def came_back(user: User) -> None:
    """The account is switched on again: nothing is to be gone any more."""
    Departure.objects.filter(person=user).delete()


def open_hosts(departure: Departure | None = None) -> list[DepartureHost]:
    """Those not known to be without the keys, of one departure or of all; saves those that now are."""
    rows = DepartureHost.objects.filter(confirmed_at=None).select_related(
        "departure", "server__fetch_report", "server__fetch_token"
    )
    hosts = list(rows.filter(departure=departure) if departure else rows)
    still: list[DepartureHost] = []
    for host, gone_at in zip(hosts, gone_since(hosts), strict=True):
        if gone_at is None:
            still.append(host)
        else:
            DepartureHost.objects.filter(pk=host.pk, confirmed_at=None).update(confirmed_at=gone_at)
    return still


def gone_since(hosts: Iterable[DepartureHost]) -> list[Any]:
    """When each server said that it holds the keys no more; None for one that has not. Writes nothing."""
    rows = list(hosts)
    should = contents({host.server.keymanager_name for host in rows if host.confirmed_at is None})
    by_hand = _by_hand(rows)
    return [
        host.confirmed_at or (None if (host.server_id, host.departure_id) in by_hand else _said(host, should))
        for host in rows
    ]


def _by_hand(hosts: list[DepartureHost]) -> set[tuple[int, int]]:
    """Server and departure where a key of who left is there though it did not come from here."""
    there = FoundLine.objects.filter(gone_at=None, server__in=[host.server_id for host in hosts])
    of_people = Departure.objects.filter(
        pk__in=[host.departure_id for host in hosts],
        person__ssh_keys__fingerprint__in=there.values("fingerprint"),
    )
    left: dict[str, set[int]] = defaultdict(set)
    for departure, fingerprint in of_people.values_list("pk", "person__ssh_keys__fingerprint"):
        left[fingerprint].add(departure)
    return {
        (server, departure)
        for server, fingerprint in there.values_list("server_id", "fingerprint")
        for departure in left.get(fingerprint, ())
    }


def _said(host: DepartureHost, should: dict[str, Any]) -> Any:
    report = getattr(host.server, "fetch_report", None)
    if (
        report is None
        or report.fetched_at is None
        or report.fetched_at <= host.departure.at
        or has_failed(report.problem)
        or holds_copies(report.problem)
    ):
        return None
    content = should.get(host.server.keymanager_name)
    good = {host.etag, content.etag if content else host.etag}
    return report.fetched_at if report.holds in good else None


@transaction.atomic
def confirm_by_hand(actor: Actor, host: DepartureHost) -> None:
    """An admin has looked: the keys are not on this server."""
    if DepartureHost.objects.filter(pk=host.pk, confirmed_at=None).update(
        confirmed_at=timezone.now(), confirmed_by=actor.name
    ):
        audit.record(actor, "departure.confirm", host.server, after={"person": str(host.departure.person)})


def ask_again(actor: Actor, departure: Departure) -> Job:
    """Have the servers that are still open fetch now, without waiting for the next try."""
    return pushing.fetch_now(actor, [host.server for host in open_hosts(departure) if _fetches(host)])


def depart(run: Run, departure: int) -> None:
    """The work: until every server that fetches has said that the keys are gone. Raises NotGoneYet."""
    row = Departure.objects.filter(pk=departure).first()
    if row is None:  # the person is back, or deleted
        return
    total = row.hosts.count()
    if run.attempt == 1 and settings.KEYS_PUSH and not _wait(run, row, total, WAIT_FOR_PUSH):
        return
    pushing.run_on(run, [host.server for host in open_hosts(row) if _fetches(host)])
    left = _wait(run, row, total, WAIT_FOR_WORD)
    if left:
        names = ", ".join(str(host.server) for host in left[:10])
        words = ngettext(
            "%d server has not confirmed yet: ", "%d servers have not confirmed yet: ", len(left)
        )
        raise NotGoneYet(words % len(left) + names)


def _wait(run: Run, departure: Departure, total: int, seconds: float) -> list[DepartureHost]:
    """Those that are open still after so many seconds, or none as soon as none is."""
    until = time.monotonic() + seconds
    while True:
        left = [host for host in open_hosts(departure) if _fetches(host)]
        run.progress(total - len(left), total)
        if not left or time.monotonic() > until:
            return left
        run.check_stop()
        time.sleep(0.5)


def _fetches(host: DepartureHost) -> bool:
    return getattr(host.server, "fetch_token", None) is not None
