"""The audit trail as a page and as a file."""

import json
from collections.abc import Iterable, Iterator
from datetime import datetime, time, timedelta
from typing import Any

from django.core.exceptions import BadRequest
from django.db.models import Q, QuerySet
from django.http import HttpRequest, HttpResponse, HttpResponseBase, StreamingHttpResponse
from django.utils import timezone
from django.utils.dateparse import parse_date
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy
from django.views.decorators.http import require_http_methods, require_safe

from accounts.models import AuditEntry
from accounts.permissions import admin_required
from accounts.token_scopes import only_read_by_token
from accounts.verbs import kind_words, verb_words, verbs_like
from pages.answers import wants_json
from pages.csv_answers import csv_answer
from pages.json_values import jsonable
from pages.lists import Filter, ListPage, refused_list, render_list, typed

PERIODS = (
    ("1", gettext_lazy("the last 24 hours")),
    ("7", gettext_lazy("the last 7 days")),
    ("30", gettext_lazy("the last 30 days")),
    ("365", gettext_lazy("the last year")),
)
FIELDS = (
    "at", "actor_name", "address", "verb", "object_type", "object_id", "object_name", "before", "after",
)  # fmt: skip
FIRST_YEAR, LAST_YEAR = 1970, 2999
BESIDE = ("object", "from", "until")  # narrow the rows, too
CHUNK = 1000  # rows in memory at once while a file is sent


def _by_actor(rows: QuerySet[AuditEntry], name: str) -> QuerySet[AuditEntry]:
    return rows.filter(actor_name=name)


def _by_verb(rows: QuerySet[AuditEntry], verb: str) -> QuerySet[AuditEntry]:
    return rows.filter(verb=verb)


def _by_kind(rows: QuerySet[AuditEntry], kind: str) -> QuerySet[AuditEntry]:
    return rows.filter(object_type=kind)


def _by_period(rows: QuerySet[AuditEntry], days: str) -> QuerySet[AuditEntry]:
    return rows.filter(at__gte=timezone.now() - timedelta(days=int(days)))


def _values(field: str) -> list[str]:
    rows = AuditEntry.objects.exclude(**{field: ""}).order_by(field)
    return list(rows.values_list(field, flat=True).distinct())


class AuditList(ListPage):
    """The trail; the search knows verbs by their words, too."""

    verbs: list[str]

    def match(self, word: str) -> Q:
        """Also what is said of a change, not only what is kept."""
        return super().match(word) | Q(verb__in=verbs_like(word, self.verbs))

    @property
    def narrowed(self) -> bool:
        """Also by what the address says."""
        return super().narrowed or any(typed(self.request, name) for name in BESIDE)


def _listing(request: HttpRequest) -> AuditList:
    """The rows that the query string asks for; `object=servers.server:3` narrows them to one object,
    `from` and `until` are days.
    """
    rows = AuditEntry.objects.all()
    kind, _colon, pk = typed(request, "object").partition(":")
    if kind:
        rows = rows.filter(object_type=kind, object_id=pk)
    since, until = _day(request, "from"), _day(request, "until")
    if since:
        rows = rows.filter(at__gte=since)
    if until:
        rows = rows.filter(at__lt=until + timedelta(days=1))
    verbs = _values("verb")
    kinds = _values("object_type")
    listing = AuditList(
        request,
        rows,
        search=("actor_name", "verb", "object_name", "object_type", "address"),
        sorts={"at": ("at", "pk")},
        default_sort="-at",
        filters=(
            Filter("who", gettext_lazy("Person"), [(v, v) for v in _values("actor_name")], _by_actor),
            Filter("what", gettext_lazy("Change"), _in_words(verbs, verb_words), _by_verb),
            Filter("when", gettext_lazy("When"), PERIODS, _by_period),
            Filter("kind", gettext_lazy("Object"), _in_words(kinds, kind_words), _by_kind),
        ),
        beside=(*BESIDE, "as"),
    )
    listing.verbs = verbs
    return listing


def _in_words(values: Iterable[str], words: Any) -> list[tuple[str, str]]:
    return sorted(((value, words(value)) for value in values), key=lambda pair: pair[1].lower())


def _day(request: HttpRequest, name: str) -> datetime | None:
    """Its first moment, where the reader is. Raises BadRequest for what is no day."""
    text = typed(request, name)
    try:
        day = parse_date(text) if text else None
    except ValueError as error:
        raise BadRequest(_("“%s” is no day.") % text[:40]) from error
    if text and (day is None or not FIRST_YEAR <= day.year <= LAST_YEAR):  # outside, time zones have no room
        raise BadRequest(_("“%s” is no day; write it as 2026-01-31.") % text[:40])
    return timezone.make_aware(datetime.combine(day, time.min)) if day else None


@only_read_by_token
@admin_required
@require_http_methods(["GET", "HEAD"])
def audit(request: HttpRequest) -> HttpResponse:
    """Every change, newest first."""
    listing = _listing(request)
    of_object = typed(request, "object")
    context = {
        "of_object": listing.all_rows.first() if of_object else None,
        "query": request.GET.urlencode(),
        "object_key": of_object,
    }
    return render_list(request, "accounts/audit.html", listing, context, entry_json)


@only_read_by_token
@admin_required
@require_safe
def download(request: HttpRequest) -> HttpResponseBase:
    """All rows that the same query string shows, as CSV or, with `as=json`, as JSON lines."""
    listing = _listing(request)
    if wants_json(request) and (answer := refused_list(listing)):
        return answer
    rows = listing.matching().iterator(chunk_size=CHUNK)
    name = f"audit-{timezone.localdate().isoformat()}"
    if request.GET.get("as") == "json":
        return StreamingHttpResponse(
            _json_lines(rows),
            content_type="application/x-ndjson",
            headers={
                "Content-Disposition": f'attachment; filename="{name}.jsonl"',
                "Cache-Control": "no-store",
            },
        )
    return csv_answer(f"{name}.csv", (*FIELDS, "words"), (_cells(entry) for entry in rows))


def _cells(entry: AuditEntry) -> list[Any]:
    data = entry_json(entry)
    for name in ("before", "after"):
        data[name] = "" if data[name] is None else json.dumps(data[name], ensure_ascii=False)
    return [entry.at.isoformat(), *(data[name] for name in (*FIELDS[1:], "words"))]


def _json_lines(rows: Iterable[AuditEntry]) -> Iterator[str]:
    for entry in rows:
        yield json.dumps(jsonable(entry_json(entry)), ensure_ascii=False) + "\n"


def entry_json(entry: AuditEntry) -> dict[str, Any]:
    """An entry as JSON."""
    facts = {name: getattr(entry, name) for name in FIELDS}
    return {"id": entry.pk, **facts, "words": verb_words(entry.verb)}
