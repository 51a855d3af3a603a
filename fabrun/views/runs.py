"""Runs: the list, one with its output, run again, stop."""

from typing import Any

from django.db.models import Count, Prefetch, Q
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404
from django.utils.translation import gettext as _
from django.utils.translation import ngettext
from django.views.decorators.http import require_http_methods

from accounts.actors import actor_of
from accounts.permissions import admin_required, user_of
from fabrun import services
from fabrun.models import ScriptRun, ServerRun
from jobs.models import ENDED, JobState
from pages.answers import done, refused, show_page
from pages.buttons import button
from pages.lists import ListPage, render_list

BAD = [JobState.FAILED, JobState.LOST]


@admin_required
@require_http_methods(["GET", "HEAD"])
def runs(request: HttpRequest) -> HttpResponse:
    """Every run, newest first."""
    rows = ScriptRun.objects.visible_to(user_of(request)).annotate(
        servers=Count("parts", distinct=True),
        bad=Count("parts", filter=Q(parts__job__state__in=BAD), distinct=True),
        stopped=Count("parts", filter=Q(parts__job__state=JobState.STOPPED), distinct=True),
        good=Count("parts", filter=Q(parts__job__state=JobState.DONE), distinct=True),
        open=Count(
            "parts", filter=Q(parts__job__state__in=[JobState.WAITING, JobState.RUNNING]), distinct=True
        ),
    )
    listing = ListPage(
        request,
        rows,
        search=("script", "actor_name", "parts__server_name"),
        sorts={"asked": ("asked_at", "pk"), "script": "script"},
        default_sort="-asked",
    )
    return render_list(request, "fabrun/runs.html", listing, row_json=_row_json)


@admin_required
@require_http_methods(["GET", "HEAD"])
def run(request: HttpRequest, pk: int) -> HttpResponse:
    """One run: how it goes on each server, live."""
    row = _run(request, pk)
    parts = list(row.parts.all())
    alive = any(part.state and part.state not in ENDED for part in parts)
    context = {"run": row, "parts": parts, "alive": alive, "arguments": sorted(row.arguments.items())}
    data = {
        "id": row.pk,
        "script": row.script,
        "arguments": row.arguments,
        "parts": [_json(part) for part in parts],
    }
    return show_page(request, "fabrun/run.html", context, data)


@admin_required
@button
def again(request: HttpRequest, pk: int) -> HttpResponse:
    """The same once more."""
    row = _run(request, pk)
    try:
        fresh = services.run_again(actor_of(request), row)
    except services.ScriptMissing as error:
        return refused(request, str(error), row.get_absolute_url())
    return done(request, _("%s is running.") % fresh.script, fresh.get_absolute_url(), {"run": fresh.pk})


@admin_required
@button
def stop(request: HttpRequest, pk: int) -> HttpResponse:
    """Stop what of it still runs."""
    row = _run(request, pk)
    count = services.stop_run(actor_of(request), row)
    if not count:
        return refused(request, _("It has ended already."), row.get_absolute_url())
    text = ngettext("Stopped on %d server.", "Stopped on %d servers.", count) % count
    return done(request, text, row.get_absolute_url())


def _run(request: HttpRequest, pk: int) -> ScriptRun:
    parts = ServerRun.objects.select_related("server", "job")
    rows = ScriptRun.objects.visible_to(user_of(request)).prefetch_related(Prefetch("parts", parts))
    return get_object_or_404(rows, pk=pk)


def _row_json(row: Any) -> dict[str, Any]:
    return {
        "id": row.pk,
        "script": row.script,
        "asked_at": row.asked_at,
        "asked_by": row.actor_name,
        "servers": row.servers,
        "failed": row.bad,
        "stopped": row.stopped,
        "running": row.open,
    }


def _json(part: ServerRun) -> dict[str, Any]:
    return {"server": part.server_name, "state": part.state, "job": part.job_id}
