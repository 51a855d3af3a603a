"""The pages of runs: all of them, those of one backup, one as it goes and as it ended."""

from typing import Any

from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404
from django.urls import reverse
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy
from django.views.decorators.http import require_http_methods

from accounts.actors import actor_of
from accounts.permissions import admin_required, user_of
from backups.models import Backup, BackupRun, RunState, Why
from backups.models.runs import WRONG, facts_of
from backups.services import runs as services
from backups.services.runs import RunRefused
from pages.answers import done, refused, show_page, wants_json
from pages.buttons import button
from pages.lists import Filter, ListPage, render_list
from servers.models import Server

READ = ["GET", "HEAD"]
SORTS = {
    "asked": ("asked_at", "pk"),
    "backup": ("backup__source__name", "backup__source_folder", "-asked_at"),
    "size": ("bytes", "-asked_at"),
    "transferred": ("bytes_transferred", "-asked_at"),
}


def run_json(row: BackupRun) -> dict[str, Any]:
    """A run for programs."""
    return {"id": row.pk, **facts_of(row), "live": row.live, "job": row.job_id}


@require_http_methods(READ)
def run_list(request: HttpRequest) -> HttpResponse:
    """Every run that the user may see, the newest first."""
    rows = _visible_runs(request)
    servers = Server.objects.filter(pk__in=rows.order_by().values("backup__destination")).order_by("name")
    of_server = Filter(
        "destination",
        gettext_lazy("Backup server"),
        [(str(pk), name) for pk, name in servers.values_list("pk", "name")],
        lambda all_, pk: all_.filter(backup__destination=pk),
    )
    return _list(request, rows, (of_server,), {})


@require_http_methods(READ)
def backup_runs(request: HttpRequest, pk: int) -> HttpResponse:
    """The runs of one backup."""
    backup = get_object_or_404(Backup.objects.visible_to(user_of(request)), pk=pk)
    return _list(request, _visible_runs(request).filter(backup=backup), (), {"backup": backup})


def _list(
    request: HttpRequest, rows: QuerySet[BackupRun], filters: tuple[Filter, ...], context: dict[str, Any]
) -> HttpResponse:
    def of_state(all_: QuerySet[BackupRun], value: str) -> QuerySet[BackupRun]:
        return all_.filter(state__in=WRONG if value == "wrong" else [value])

    states = [("wrong", gettext_lazy("not right")), *RunState.choices]
    listing = ListPage(
        request,
        rows,
        search=("backup__source__name", "backup__source_folder", "backup__destination__name", "error"),
        sorts=SORTS,
        default_sort="-asked",
        filters=(
            Filter("state", gettext_lazy("State"), states, of_state),
            Filter("why", gettext_lazy("Begun"), Why.choices, lambda all_, value: all_.filter(why=value)),
            *filters,
        ),
    )
    return render_list(request, "backups/runs.html", listing, context, run_json)


def _visible_runs(request: HttpRequest) -> QuerySet[BackupRun]:
    rows = BackupRun.objects.visible_to(user_of(request))
    return rows.select_related("backup__source", "backup__destination")


@require_http_methods(READ)
def run(request: HttpRequest, pk: int) -> HttpResponse:
    """One run: how far it is, or what came of it."""
    row = get_object_or_404(_visible_runs(request).select_related("job"), pk=pk)
    if wants_json(request):
        return show_page(request, "", {}, {**run_json(row), "output": row.output})
    newer = row.backup.runs.filter(asked_at__gt=row.asked_at)
    ahead = None
    if row.state == RunState.WAITING:
        there = BackupRun.objects.filter(backup__destination=row.backup.destination, state=RunState.RUNNING)
        ahead = list(there.visible_to(user_of(request)).select_related("backup__source"))
    context = {
        "run": row,
        "backup": row.backup,
        "newer": newer.order_by("asked_at").first(),
        "ahead": ahead,
        "can_accept": row.can_accept and user_of(request).is_admin and not newer.exists(),
    }
    return show_page(request, "backups/run.html", context)


@button
def run_backup(request: HttpRequest, pk: int) -> HttpResponse:
    """Run a backup now; for everybody who may see it."""
    backups = Backup.objects.visible_to(user_of(request)).select_related("source", "destination")
    backup = get_object_or_404(backups, pk=pk)
    try:
        row = services.run_now(actor_of(request), backup)
    except RunRefused as error:
        return refused(request, str(error), backup.get_absolute_url())
    return done(request, _("%s is being backed up.") % backup, row.get_absolute_url(), run_json(row))


@button
def stop(request: HttpRequest, pk: int) -> HttpResponse:
    """Stop a run, on the backup server too."""
    row = get_object_or_404(_visible_runs(request), pk=pk)
    try:
        services.stop_run(actor_of(request), row)
    except RunRefused as error:
        return refused(request, str(error), row.get_absolute_url())
    return done(request, _("The run is being stopped."), row.get_absolute_url())


@button
def give_up(request: HttpRequest, pk: int) -> HttpResponse:
    """Do not try a run again."""
    row = get_object_or_404(_visible_runs(request), pk=pk)
    try:
        services.do_not_try_again(actor_of(request), row)
    except RunRefused as error:
        return refused(request, str(error), row.get_absolute_url())
    return done(request, _("It is not tried again."), row.get_absolute_url())


@admin_required
@button
def accept(request: HttpRequest, pk: int) -> HttpResponse:
    """Let what a guard held pass, and run again."""
    row = get_object_or_404(_visible_runs(request), pk=pk)
    try:
        again = services.accept_run(actor_of(request), row)
    except RunRefused as error:
        return refused(request, str(error), row.get_absolute_url())
    said = _("Released: it runs again, and what it finds is the new normal.")
    return done(request, said, again.get_absolute_url() or reverse("backups:runs"), run_json(again))
