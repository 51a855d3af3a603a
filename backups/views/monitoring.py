"""How the backups stand, for monitoring systems: one JSON answer, and the URLs that the Zabbix template asks."""

from collections.abc import Callable, Iterable
from datetime import UTC, datetime, timedelta
from functools import wraps
from typing import Any

from django.conf import settings
from django.contrib.auth.decorators import login_not_required
from django.http import (
    Http404,
    HttpRequest,
    HttpResponse,
    HttpResponseBase,
    HttpResponseNotAllowed,
    JsonResponse,
)
from django.utils import timezone
from django.utils.crypto import constant_time_compare
from django.utils.translation import gettext as _
from django.views.decorators.csrf import csrf_exempt

from accounts.permissions import user_of
from backups.models import Backup, BackupRun, BackupState, Level, RunState
from backups.models.plans import BackupQuerySet
from backups.models.runs import Why
from backups.results import summaries
from backups.rhythm import slot
from backups.services.runs import rotated_of
from pages.answers import for_programs

HEADER = "X-Gestion-Token"
SHORTEST = 32
PLAIN = "text/plain; charset=utf-8"
READING = ("GET", "HEAD")
TOGETHER = timedelta(minutes=15)  # what was asked for within this time belongs together
BY_ITSELF = (Why.SCHEDULE, Why.CRON)
View = Callable[..., HttpResponseBase]


def monitored(view: View) -> View:
    """For the monitoring token, and for whoever is signed in; the view gets the backups that may be read.

    Who asks is asked first, whatever the method: a program would follow the way to the sign-in page, and take its
    200 for an answer.
    """

    @for_programs
    @login_not_required
    @csrf_exempt  # nothing but GET and HEAD reaches a view
    @wraps(view)
    def guarded(request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
        rows = _readable(request)
        if rows is None:
            said = {"ok": False, "errors": {"__all__": [_("Sign in, or send a token.")]}}
            return JsonResponse(said, status=401, headers={"WWW-Authenticate": "Bearer"})
        if request.method not in READING:
            return HttpResponseNotAllowed(READING)
        return view(request, rows, *args, **kwargs)

    return guarded


def _readable(request: HttpRequest) -> BackupQuerySet | None:
    """The backups that who asks may read; None: nobody knows who that is."""
    rows = Backup.objects.select_related("source", "destination")
    sent = request.headers.get(HEADER)
    if sent is not None:
        known = settings.MONITORING_TOKEN
        return rows if len(known) >= SHORTEST and constant_time_compare(sent, known) else None
    return rows.visible_to(user_of(request)) if request.user.is_authenticated else None


@monitored
def health(_request: HttpRequest, rows: BackupQuerySet) -> HttpResponse:
    """Every backup and how it stands; 503 while one of them is not right, or not proved to be restorable."""
    stands = summaries(rows)
    backups = [
        {
            "id": row.pk,
            "name": str(row),
            "destination": f"{row.destination}:{row.destination_folder}",
            "active": row.active,
            "state": stands[row.pk].standing.value,
            "late": [level.value for level in stands[row.pk].late],
            "next_run": stands[row.pk].next_run,
            "verified_at": stands[row.pk].proved.good_at,
            "verification": stands[row.pk].proved.words if row.active else "",
            **stands[row.pk].figures,
        }
        for row in rows
    ]
    wrong = [one for one in backups if stands[one["id"]].red]
    answer = {"ok": not wrong, "total": len(backups), "not_right": len(wrong), "backups": backups}
    return JsonResponse(answer, status=503 if wrong else 200)


@monitored
def zabbix_list(_request: HttpRequest, rows: BackupQuerySet) -> HttpResponse:
    """The active backups as Zabbix discovers them (low-level discovery)."""
    found = [{"{#BACKUP_ID}": row.pk, "{#BACKUP_NAME}": str(row)} for row in rows.filter(active=True)]
    return JsonResponse({"data": found})


@monitored
def zabbix_last(_request: HttpRequest, rows: BackupQuerySet, measure: str, pk: int) -> HttpResponse:
    """A figure of the last good run, 0 while there is none: "files", or "size" in bytes.

    Of a level: the whole hours since the last run began that made a copy for it, an incomplete one too; at least 1.
    """
    if measure not in {"files", "size", *Level.values}:
        raise Http404
    state = BackupState.objects.filter(backup=_one(rows, pk)).first()
    if state is None:
        return _plain(0)
    if measure in Level.values:
        begun = rotated_of(state).get(measure)
        return _plain(max(1, (timezone.now() - begun) // timedelta(hours=1)) if begun else 0)
    return _plain((state.good_files if measure == "files" else state.good_bytes) or 0)


@monitored
def zabbix_state(_request: HttpRequest, rows: BackupQuerySet, pk: int) -> HttpResponse:
    """How a backup stands, in a word: ok, running, off, held, failed, overdue, never.

    A verification that failed or is overdue is said by the same words: templates that people have know no others.
    """
    row = _one(rows, pk)
    found = summaries([row])[row.pk]
    if found.standing.red or not found.unproved:
        return _plain(found.standing.value)
    return _plain("failed" if found.proved.failed else "overdue")


@monitored
def zabbix_hourly_duration(_request: HttpRequest, rows: BackupQuerySet) -> HttpResponse:
    """Seconds in which one of the newest hourly runs that went well was at it; 0: none yet.

    Those that were asked for together, by the schedule or by cron: neither by hand, nor once more after a failure.
    While all of them waited for others, none was at it.
    """
    done = BackupRun.objects.filter(
        backup__in=rows.order_by().values("pk"), state=RunState.DONE, why__in=BY_ITSELF
    )
    recent = done.filter(ended_at__gt=timezone.now() - timedelta(days=7), started_at__isnull=False)
    asked = [
        (pk, timezone.localtime(at))
        for pk, at, rotated in recent.order_by("-asked_at").values_list("pk", "asked_at", "rotated")[:1000]
        if Level.HOURLY.value in rotated
    ]
    if not asked:
        return _plain(0)
    newest = slot(Level.HOURLY, asked[0][1])
    first = min(at for _pk, at in asked if slot(Level.HOURLY, at) == newest)
    together = [pk for pk, at in asked if timedelta(0) <= at - first < TOGETHER]
    spans = done.filter(pk__in=together).order_by("started_at").values_list("started_at", "ended_at")
    known = ((begin, end) for begin, end in spans if begin and end)
    return _plain(round(_covered(known).total_seconds()))


def _covered(spans: Iterable[tuple[datetime, datetime]]) -> timedelta:
    """The time that these spans, in the order of their begins, cover; where they overlap, once."""
    total, until = timedelta(0), datetime.min.replace(tzinfo=UTC)
    for begin, end in spans:
        total += max(timedelta(0), end - max(begin, until))
        until = max(until, end)
    return total


@monitored
def zabbix_other(_request: HttpRequest, _rows: BackupQuerySet, path: str = "") -> HttpResponse:
    """Nothing: but a program without a token hears that first."""
    raise Http404(path)


def _one(rows: BackupQuerySet, pk: int) -> Backup:
    row = rows.filter(pk=pk).first()
    if row is None:
        raise Http404
    return row


def _plain(value: int | str) -> HttpResponse:
    return HttpResponse(str(value), content_type=PLAIN)
