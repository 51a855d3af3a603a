"""The pages of copies that deleted backups left on their backup servers."""

from typing import Any

from django.core.exceptions import ValidationError
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404
from django.urls import reverse
from django.utils.translation import gettext as _
from django.views.decorators.http import require_http_methods

from accounts.actors import actor_of
from accounts.permissions import admin_required
from backups.forms.plans import TypedNameForm
from backups.models import LeftData
from backups.services import plans as services
from jobs.live import live
from jobs.models import Job
from pages.answers import done, form_data, refused, show_form
from pages.buttons import button
from pages.lists import ListPage, render_list
from servers.views.foretelling import foretells


@admin_required
@require_http_methods(["GET", "HEAD"])
def left_list(request: HttpRequest) -> HttpResponse:
    """All copies that are left."""
    listing = ListPage(
        request,
        LeftData.objects.select_related("destination"),
        search=("of", "folder", "destination__name"),
        sorts={"of": "of", "where": ("destination__name", "folder"), "left": "left_at"},
        default_sort="-left",
    )
    return render_list(request, "backups/left_list.html", listing, row_json=left_json)


def left_json(row: LeftData) -> dict[str, Any]:
    """Copies that are left, for programs."""
    return {
        "id": row.pk,
        "of": row.of,
        "destination": row.destination.name,
        "folder": row.folder,
        "left_at": row.left_at,
        "left_by": row.left_by,
    }


@admin_required
@require_http_methods(["GET", "HEAD", "POST"])
def left(request: HttpRequest, pk: int) -> HttpResponse:
    """Copies that are left, and the form that deletes them, too, once their folder is typed."""
    row = get_object_or_404(LeftData.objects.select_related("destination"), pk=pk)
    form = TypedNameForm(form_data(request), name=str(row))
    if form.is_bound and form.is_valid():
        job = services.delete_left(actor_of(request), row)
        return done(request, _("The copies are being deleted."), job.get_absolute_url(), {"job": job.pk})
    deleting = live(request, Job.objects.of(row))
    context = {"left": row, "deleting": deleting, "back": reverse("backups:left_list")}
    return show_form(request, "backups/left.html", form, context)


@admin_required
@foretells
@button
def take_up(request: HttpRequest, pk: int) -> HttpResponse:
    """Back up again into these copies, as before."""
    row = get_object_or_404(LeftData, pk=pk)
    try:
        backup = services.take_up(actor_of(request), row)
    except services.NotNow as error:
        return refused(request, str(error), row.get_absolute_url())
    except ValidationError as error:
        return refused(request, " ".join(error.messages), row.get_absolute_url())
    said = _("The backup is there again, switched off. Look at it, then switch it on.")
    return done(request, said, backup.get_absolute_url(), {"id": backup.pk})
