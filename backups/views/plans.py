"""The pages of backups: all of them, and what a person does with one."""

from typing import Any

from django.core.exceptions import ValidationError
from django.db.models import Case, IntegerField, QuerySet, Value, When
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404
from django.urls import reverse
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy
from django.views.decorators.http import require_http_methods, require_POST

from accounts.actors import actor_of
from accounts.permissions import admin_required, user_of
from backups.forms.plans import BackupForm, TypedNameForm
from backups.models import Backup, LeftData
from backups.results import Summary, summaries
from backups.services import plans as services
from backups.standing import Standing
from backups.views.common import backup_json, visible_backup
from backups.watching_plans import backup_holds
from pages.answers import done, form_data, refused, refused_form, show_form
from pages.buttons import SwitchForm, button
from pages.lists import Filter, ListPage, asked_number, render_list
from servers.models import Server
from servers.services import StaleEdit
from servers.views.foretelling import foretells

READ = ["GET", "HEAD"]
BOTH = ["GET", "HEAD", "POST"]
UNPROVED = gettext_lazy("not verified")


@require_http_methods(READ)
def backup_list(request: HttpRequest) -> HttpResponse:
    """Every backup that the user may see, what is not right first."""
    rows = Backup.objects.visible_to(user_of(request)).select_related("source", "destination")
    stands = summaries(rows)
    listing = ListPage(
        request,
        rows.annotate(rank=_rank(stands)),
        search=("source__name", "source_folder", "destination__name", "destination_folder", "note"),
        sorts={
            "state": ("rank", "source__name", "source_folder"),
            "source": ("source__name", "source_folder"),
            "destination": ("destination__name", "destination_folder"),
        },
        default_sort="state",
        filters=_filters(rows, stands),
    )
    for row in listing.rows:
        row.summary = stands[row.pk]
    context = {"left": LeftData.objects.count() if user_of(request).is_admin else 0}
    return render_list(
        request, "backups/backups.html", listing, context, lambda row: backup_json(row, row.summary)
    )


def _rank(stands: dict[int, Summary]) -> Case:
    order = list(Standing)
    last_red = max(order.index(one) for one in order if one.red)
    by_rank: dict[int, list[int]] = {}
    for pk, summary in stands.items():
        rank = order.index(summary.standing)
        by_rank.setdefault(min(rank, last_red) if summary.unproved else rank, []).append(pk)
    whens = [When(pk__in=pks, then=Value(rank)) for rank, pks in by_rank.items()]
    return Case(*whens, default=Value(len(order)), output_field=IntegerField())


def _filters(rows: QuerySet[Backup], stands: dict[int, Summary]) -> tuple[Filter, ...]:
    def standing(all_: QuerySet[Backup], value: str) -> QuerySet[Backup]:
        fits = {"red": lambda one: one.red, "unproved": lambda one: one.unproved}
        fit = fits.get(value, lambda one: one.standing == value)
        return all_.filter(pk__in=[pk for pk, summary in stands.items() if fit(summary)])

    def servers(field: str) -> list[tuple[str, str]]:
        found = Server.objects.filter(pk__in=rows.order_by().values(field)).order_by("name")
        return [(str(pk), name) for pk, name in found.values_list("pk", "name")]

    return (
        Filter(
            "state",
            gettext_lazy("State"),
            [("red", gettext_lazy("not right")), *Standing.choices, ("unproved", UNPROVED)],
            standing,
        ),
        Filter("source", gettext_lazy("Server"), servers("source"), lambda all_, pk: all_.filter(source=pk)),
        Filter(
            "destination",
            gettext_lazy("Backup server"),
            servers("destination"),
            lambda all_, pk: all_.filter(destination=pk),
        ),
    )


@admin_required
@require_http_methods(BOTH)
@foretells
def new(request: HttpRequest) -> HttpResponse:
    """Add a backup; `source` and `destination` in the query string are filled in."""
    initial = {name: _server(request, name) for name in ("source", "destination")}
    form = BackupForm(form_data(request), initial={name: row for name, row in initial.items() if row})
    source = initial["source"]
    computed = services.suggested(source, initial["destination"]) if source else None
    return _edit(request, form, {"computed": computed})


def _server(request: HttpRequest, name: str) -> Server | None:
    return Server.objects.filter(pk=asked_number(request, name)).first()


@admin_required
@require_http_methods(BOTH)
@foretells
def edit(request: HttpRequest, pk: int) -> HttpResponse:
    """Change a backup; where its copies lie stays."""
    row = visible_backup(request, pk)
    return _edit(request, BackupForm(form_data(request), instance=row), {"backup": row})


def _edit(request: HttpRequest, form: BackupForm, context: dict[str, Any]) -> HttpResponse:
    if form.is_bound and form.is_valid():
        actor = actor_of(request)
        try:
            if form.instance.pk:
                version = form.cleaned_data["version"]
                made = services.change_backup(actor, form.filled(), version=version)
            else:
                made = services.create_backup(actor, form.filled())
        except ValidationError as error:
            form.refuse(error)
        except StaleEdit as error:
            form.add_error(None, str(error))
        else:
            return _saved(request, made)
    return show_form(request, "backups/edit_backup.html", form, context)


def _saved(request: HttpRequest, made: Backup) -> HttpResponse:
    return done(request, _("Saved."), made.get_absolute_url(), backup_json(made, summaries([made])[made.pk]))


@admin_required
@foretells
@button
def back_up_server(request: HttpRequest, pk: int) -> HttpResponse:
    """Plan the backup of a whole server in one step, everything computed."""
    source = get_object_or_404(Server.objects.select_related("vm_host"), pk=pk)
    computed = services.suggested(source)
    if computed is None:
        said = _("Which server is the backup server? Choose it here, or set BACKUP_SERVER.")
        return refused(request, said, f"{reverse('backups:new_backup')}?source={source.pk}")
    try:
        made = services.create_backup(actor_of(request), computed)
    except ValidationError as error:
        return refused(
            request, " ".join(error.messages), f"{reverse('backups:new_backup')}?source={source.pk}"
        )
    return _saved(request, made)


@admin_required
@button
def make_key(request: HttpRequest, pk: int) -> HttpResponse:
    """Have root's key on a backup server read, or made."""
    server = get_object_or_404(Server, pk=pk)
    job = services.make_key(actor_of(request), server)
    return done(request, _("Reading the key."), job.get_absolute_url(), {"job": job.pk})


@admin_required
@require_POST
@foretells
def switch(request: HttpRequest, pk: int) -> HttpResponse:
    """Switch a backup on or off (`active`)."""
    row = visible_backup(request, pk)
    form = SwitchForm(form_data(request))
    if not form.is_valid():
        return refused_form(request, form, row.get_absolute_url())
    active = form.cleaned_data["active"]
    try:
        services.switch_backup(actor_of(request), row, active=active)
    except StaleEdit as error:
        return refused(request, str(error), reverse("backups:backups"))
    said = _("The backup is switched on.") if active else _("The backup is switched off.")
    return done(request, said, row.get_absolute_url())


@admin_required
@require_http_methods(BOTH)
@foretells
def delete(request: HttpRequest, pk: int) -> HttpResponse:
    """Delete a backup; its copies stay where they are."""
    row = visible_backup(request, pk)
    form = TypedNameForm(form_data(request), name=str(row))
    if form.is_bound and form.is_valid():
        try:
            left = services.delete_backup(actor_of(request), row)
        except (StaleEdit, services.NotNow) as error:
            return refused(request, str(error), reverse("backups:backups"))
        if left is None:
            said = _("%s is not backed up any more. It had not made a copy yet.") % row
            return done(request, said, reverse("backups:backups"), {"left": None})
        said = _("%(of)s is not backed up any more. Its copies stay in %(folder)s on %(server)s.")
        words = {"of": left.of, "folder": left.folder, "server": left.destination}
        return done(request, said % words, left.get_absolute_url(), {"left": left.pk})
    return show_form(
        request, "backups/delete_backup.html", form, {"backup": row, "holds": backup_holds([row])}
    )
