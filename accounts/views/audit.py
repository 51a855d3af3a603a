"""The audit trail as a page."""

from typing import Any

from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.utils.translation import gettext_lazy as _
from django.views.decorators.http import require_http_methods

from accounts.models import AuditEntry
from accounts.permissions import admin_required
from pages.lists import Filter, ListPage, render_list, typed


def _by_actor(rows: QuerySet[AuditEntry], name: str) -> QuerySet[AuditEntry]:
    return rows.filter(actor_name=name)


def _by_verb(rows: QuerySet[AuditEntry], verb: str) -> QuerySet[AuditEntry]:
    return rows.filter(verb=verb)


def _values(field: str) -> list[tuple[str, str]]:
    names = AuditEntry.objects.order_by(field).values_list(field, flat=True).distinct()
    return [(name, name) for name in names]


@admin_required
@require_http_methods(["GET", "HEAD"])
def audit(request: HttpRequest) -> HttpResponse:
    """Every change, newest first; `object=servers.server:3` narrows it to one object."""
    rows = AuditEntry.objects.select_related("actor")
    kind, _colon, pk = typed(request, "object").partition(":")
    if kind:
        rows = rows.filter(object_type=kind, object_id=pk)
    listing = ListPage(
        request,
        rows,
        search=("actor_name", "verb", "object_name", "object_type", "address"),
        sorts={"at": ("at", "pk")},
        default_sort="-at",
        filters=(
            Filter("who", _("Person"), _values("actor_name"), _by_actor),
            Filter("what", _("Change"), _values("verb"), _by_verb),
        ),
    )
    context = {"of_object": rows.first() if kind else None}
    return render_list(request, "accounts/audit.html", listing, context, entry_json)


def entry_json(entry: AuditEntry) -> dict[str, Any]:
    """An entry as JSON."""
    names = (
        "at",
        "actor_name",
        "address",
        "verb",
        "object_type",
        "object_id",
        "object_name",
        "before",
        "after",
    )
    return {"id": entry.pk, **{name: getattr(entry, name) for name in names}}
