"""What hosts say when they fetch, collected in memory and written in one statement about every second."""

import datetime
import logging
import re
from collections.abc import Iterable
from ipaddress import ip_address
from typing import Any

from django.db import DatabaseError, IntegrityError, connection, transaction
from django.db.models import Exists, OuterRef
from django.utils import timezone
from django.utils.translation import gettext as _

from keymanager.desired import KIND
from keymanager.found import HEADER_BYTES
from keymanager.found_lines import note_fetches
from keymanager.tokens import retire_previous
from servers.models import Rollout, RolloutState, Server

log = logging.getLogger(__name__)

MOST_ROWS = 500  # a flush; what is left waits for the next
MOST_FOUND = 5  # a server and flush: reports of lines that were put there by hand
_ETAG = re.compile(r"[0-9a-f]{40}")
_SECONDS = re.compile(rb"[1-9][0-9]{8,10}")  # since 1970
_UNPRINTABLE = re.compile(r"[^ -~]")

# A request of the old kind says neither what it holds nor what was wrong; what is known of that then stays.
_STATEMENT = """
    INSERT INTO keymanager_fetchreport (server_id, fetched_at, status, holds, problem, address, proved_at)
    VALUES ROWS
    ON CONFLICT (server_id) DO UPDATE SET
        fetched_at = excluded.fetched_at, status = excluded.status, address = excluded.address,
        holds = CASE excluded.holds WHEN '' THEN keymanager_fetchreport.holds ELSE excluded.holds END,
        problem = CASE excluded.holds WHEN '' THEN keymanager_fetchreport.problem ELSE excluded.problem END,
        proved_at = CASE excluded.holds WHEN '' THEN keymanager_fetchreport.proved_at ELSE excluded.proved_at END
"""
# (status, holds, problem, address, proved); all but the first and the address are None when the request did not
# say.
Report = tuple[int, bytes | None, bytes | None, str, bytes | None]


class ReportBuffer:
    """The newest report of each server that is not written yet. One per process; its thread is the event
    loop's.
    """

    def __init__(self) -> None:
        self.waiting: dict[int, Report] = {}
        self.used_new_token: set[int] = set()
        self.found: dict[int, list[bytes]] = {}

    def note_found(self, server: int, value: bytes | None) -> None:
        """A server may name lines that its fetch has taken out; none of them may be lost to a later report."""
        if not value:
            return
        values = self.found.setdefault(server, [])
        if len(values) < MOST_FOUND and value[:HEADER_BYTES] not in values:
            values.append(value[:HEADER_BYTES])

    def take_found(self) -> dict[int, list[bytes]]:
        """What servers name so; it is the caller's to keep."""
        taken, self.found = self.found, {}
        return taken

    def put_back_found(self, taken: dict[int, list[bytes]]) -> None:
        """After a write that failed."""
        for server, values in taken.items():
            for value in values:
                self.note_found(server, value)

    def take(self) -> tuple[dict[int, Report], list[int]]:
        """Up to MOST_ROWS reports, and the servers that used a new token; they are the caller's to write."""
        batch = self.waiting
        if len(batch) > MOST_ROWS:
            batch = {server: batch[server] for server in list(batch)[:MOST_ROWS]}
            for server in batch:
                del self.waiting[server]
        else:
            self.waiting = {}
        used, self.used_new_token = list(self.used_new_token), set()
        return batch, used

    def put_back(self, batch: dict[int, Report], used: list[int]) -> None:
        """After a write that failed; newer reports of the same servers count."""
        self.waiting = {**batch, **self.waiting}
        self.used_new_token.update(used)


def write(batch: dict[int, Report], used: list[int]) -> None:
    """Save these reports, in one statement. Servers deleted meanwhile are left out. Raises DatabaseError."""
    if used:
        retire_previous(used)
    if not batch:
        return
    try:
        _write(batch)
    except IntegrityError:  # a server went between the two statements
        _write(batch)


def _write(batch: dict[int, Report]) -> None:
    now = timezone.now()
    with transaction.atomic():
        rollouts = Rollout.objects.filter(server=OuterRef("pk"), kind=KIND)
        servers = Server.objects.filter(pk__in=batch).order_by().annotate(known=Exists(rollouts))
        known = dict(servers.values_list("pk", "known"))
        rows = [(pk, _adapted(now), *_row(report)) for pk, report in batch.items() if pk in known]
        if not rows:
            return
        places = ", ".join(["(%s, %s, %s, %s, %s, %s, %s)"] * len(rows))
        with connection.cursor() as cursor:
            cursor.execute(_STATEMENT.replace("ROWS", places), [value for row in rows for value in row])
        _note_set_up_by_hand(pk for pk, rolled_out in known.items() if not rolled_out and _is_ours(batch[pk]))


def _is_ours(report: Report) -> bool:
    """Whether it was our script that asked, and got an answer."""
    return report[0] in {200, 304} and report[1] is not None


def _note_set_up_by_hand(servers: Iterable[int]) -> None:
    """One that fetches though nothing was rolled out on it has our files all the same: it is looked at from now on."""
    words = {"kind": KIND, "state": RolloutState.IN_SYNC, "asked_for": _("Key fetching was set up by hand.")}
    rows = [Rollout(server_id=pk, **words) for pk in sorted(servers)]
    Rollout.objects.bulk_create(rows, ignore_conflicts=True)


def _row(report: Report) -> tuple[int, str, str, str | None, Any]:
    """A report as columns: what a host says is not trusted to be what it should be."""
    status, holds, problem, address, proved = report
    said = (holds or b"").decode("latin-1").strip().strip('"')
    held = said if _ETAG.fullmatch(said) else ("none" if holds is not None else "")
    text = _UNPRINTABLE.sub("?", (problem or b"").decode("latin-1"))[:255]
    text = "" if text == "none" else text  # an empty header would not travel
    at = _adapted(_time(proved))
    try:
        return status, held, text, str(ip_address(address)), at
    except ValueError:
        return status, held, text, None, at


def _time(seconds: bytes | None) -> datetime.datetime | None:
    """When the host's last proved answer was given, as it says; None when it does not, or what cannot be."""
    if seconds is None or not _SECONDS.fullmatch(seconds):
        return None
    return min(datetime.datetime.fromtimestamp(int(seconds), datetime.UTC), timezone.now())


def _adapted(moment: datetime.datetime | None) -> Any:
    return connection.ops.adapt_datetimefield_value(moment) if moment else None


def flush_now(buffer: ReportBuffer) -> None:
    """Write everything that waits; for the end of the process, so an error is only logged."""
    while buffer.waiting or buffer.used_new_token:
        batch, used = buffer.take()
        try:
            write(batch, used)
        except DatabaseError as error:
            log.warning("The last fetch reports are lost: %s", error)
            return
    try:
        note_fetches(buffer.take_found())
    except DatabaseError as error:
        log.warning("What servers found by hand last is lost: %s", error)
