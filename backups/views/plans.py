"""The pages of backups: what is planned, and how it stands."""

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
from backups.desired_plans import KIND
from backups.forms.plans import BackupForm, SwitchForm, TypedNameForm
from backups.graphs import Graph, Point, graph
from backups.letting_in import missing
from backups.models import Backup, LeftData
from backups.models.runs import WRONG
from backups.results import Summary, seconds_of, summaries
from backups.services import plans as services
from backups.standing import Standing
from backups.trying import STEPS, Answer, verdict
from jobs.models import ENDED, Job, seconds_said
from pages.answers import done, form_data, refused, show_form, show_page, wants_json
from pages.lists import Filter, ListPage, render_list
from pages.templatetags.pages_tags import binary_size
from servers.models import Rollout, Server

MOST_POINTS = 200
READ = ["GET", "HEAD"]
BOTH = ["GET", "HEAD", "POST"]


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
    by_rank: dict[int, list[int]] = {}
    for pk, summary in stands.items():
        by_rank.setdefault(order.index(summary.standing), []).append(pk)
    whens = [When(pk__in=pks, then=Value(rank)) for rank, pks in by_rank.items()]
    return Case(*whens, default=Value(len(order)), output_field=IntegerField())


def _filters(rows: QuerySet[Backup], stands: dict[int, Summary]) -> tuple[Filter, ...]:
    def standing(all_: QuerySet[Backup], value: str) -> QuerySet[Backup]:
        wanted = {"red": [one for one in Standing if one.red]}.get(value, [value])
        return all_.filter(pk__in=[pk for pk, summary in stands.items() if summary.standing in wanted])

    def servers(field: str) -> list[tuple[str, str]]:
        found = Server.objects.filter(pk__in=rows.order_by().values(field)).order_by("name")
        return [(str(pk), name) for pk, name in found.values_list("pk", "name")]

    return (
        Filter(
            "state", gettext_lazy("State"), [("red", gettext_lazy("not right")), *Standing.choices], standing
        ),
        Filter("source", gettext_lazy("Server"), servers("source"), lambda all_, pk: all_.filter(source=pk)),
        Filter(
            "destination",
            gettext_lazy("Backup server"),
            servers("destination"),
            lambda all_, pk: all_.filter(destination=pk),
        ),
    )


def backup_json(backup: Backup, summary: Summary) -> dict[str, Any]:
    """A backup for programs."""
    return {
        "id": backup.pk,
        "uuid": str(backup.uuid),
        **services.facts_of(backup),
        "version": backup.version,
        "state": summary.standing.value,
        "late": [level.value for level in summary.late],
        "next_run": summary.next_run,
        **summary.figures,
    }


@require_http_methods(READ)
def backup(request: HttpRequest, pk: int) -> HttpResponse:
    """A backup: how it stands, its runs, what is planned, whether its way is free."""
    row = _visible(request, pk)
    summary = summaries([row])[row.pk]
    answers = [Answer(**answer) for answer in row.tried or ()]
    data = {**backup_json(row, summary), "tried": row.tried, "tried_at": row.tried_at}
    if wants_json(request):
        return show_page(request, "", {}, data)
    jobs = Job.objects.filter(subject_type=row._meta.label_lower, subject_id=str(row.pk))
    context = {
        "backup": row,
        "summary": summary,
        "own": _own(request, row),
        "rollout": Rollout.objects.filter(server=row.destination, kind=KIND).first(),
        "trying": jobs.filter(work=services.TRY).exclude(state__in=ENDED).order_by("-pk").first(),
        "answers": [(answer, STEPS[answer.step]) for answer in answers],
        "verdict": verdict(answers) if answers else "",
        "graphs": graphs_of(row),
        "missing": missing(row) if user_of(request).is_admin and not _lets_in(answers) else None,
    }
    return show_page(request, "backups/backup.html", context)


def _own(request: HttpRequest, row: Backup) -> set[int]:
    """Those of its two servers whose pages the user may open."""
    servers = Server.objects.visible_to(user_of(request)).filter(pk__in=[row.source_id, row.destination_id])
    return set(servers.values_list("pk", flat=True))


def graphs_of(row: Backup) -> list[Graph]:
    """Size and duration over time, of the last runs that copied."""
    ended = row.runs.filter(ended_at__isnull=False, started_at__isnull=False).defer("output")[:MOST_POINTS]
    runs = [(run, run.started_at) for run in ended if run.copies and run.started_at]
    size = [Point(began, run.bytes, run.state in WRONG) for run, began in runs if run.bytes is not None]
    took = [Point(began, seconds_of(run) or 0.0, run.state in WRONG) for run, began in runs]
    drawn = (
        graph(gettext_lazy("Size of what is copied"), size, lambda value: str(binary_size(value))),
        graph(gettext_lazy("How long a run takes"), took, seconds_said),
    )
    return [one for one in drawn if one]


def _lets_in(answers: list[Answer]) -> bool:
    return any(answer.step == "login" and answer.ok for answer in answers)


def _visible(request: HttpRequest, pk: int) -> Backup:
    rows = Backup.objects.visible_to(user_of(request)).select_related("source__vm_host", "destination")
    return get_object_or_404(rows, pk=pk)


@admin_required
@require_http_methods(BOTH)
def new(request: HttpRequest) -> HttpResponse:
    """Add a backup; `source` and `destination` in the query string are filled in."""
    initial = {name: _server(request, name) for name in ("source", "destination")}
    form = BackupForm(form_data(request), initial={name: row for name, row in initial.items() if row})
    source = initial["source"]
    computed = services.suggested(source, initial["destination"]) if source else None
    return _edit(request, form, {"computed": computed})


def _server(request: HttpRequest, name: str) -> Server | None:
    text = request.GET.get(name, "")
    return Server.objects.filter(pk=int(text)).first() if text.isdecimal() and len(text) < 18 else None


@admin_required
@require_http_methods(BOTH)
def edit(request: HttpRequest, pk: int) -> HttpResponse:
    """Change a backup; where its copies lie stays."""
    row = _visible(request, pk)
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
        except services.StaleBackup as error:
            form.add_error(None, str(error))
        else:
            return _saved(request, made)
    return show_form(request, "backups/edit_backup.html", form, context)


def _saved(request: HttpRequest, made: Backup) -> HttpResponse:
    said = _("Saved. %(server)s is getting its configuration now.") % {"server": made.destination}
    return done(request, said, made.get_absolute_url(), backup_json(made, summaries([made])[made.pk]))


@admin_required
@require_POST
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
@require_POST
def make_key(request: HttpRequest, pk: int) -> HttpResponse:
    """Have root's key on a backup server read, or made."""
    server = get_object_or_404(Server, pk=pk)
    job = services.make_key(actor_of(request), server)
    return done(request, _("Reading the key."), job.get_absolute_url(), {"job": job.pk})


@admin_required
@require_POST
def switch(request: HttpRequest, pk: int) -> HttpResponse:
    """Switch a backup on or off (`active`)."""
    row = _visible(request, pk)
    form = SwitchForm(form_data(request))
    if not form.is_valid():
        return refused(request, _("Say whether it should be active."), row.get_absolute_url(), 422)
    active = form.cleaned_data["active"]
    try:
        services.switch_backup(actor_of(request), row, active=active)
    except services.StaleBackup as error:
        return refused(request, str(error), reverse("backups:backups"))
    said = _("The backup is switched on.") if active else _("The backup is switched off.")
    return done(request, said, row.get_absolute_url())


@admin_required
@require_http_methods(BOTH)
def delete(request: HttpRequest, pk: int) -> HttpResponse:
    """Delete a backup; its copies stay where they are."""
    row = _visible(request, pk)
    form = TypedNameForm(form_data(request), name=str(row))
    if form.is_bound and form.is_valid():
        try:
            left = services.delete_backup(actor_of(request), row)
        except (services.StaleBackup, services.NotNow) as error:
            return refused(request, str(error), reverse("backups:backups"))
        said = _("%(of)s is not backed up any more. Its copies stay in %(folder)s on %(server)s.")
        words = {"of": left.of, "folder": left.folder, "server": left.destination}
        return done(request, said % words, left.get_absolute_url(), {"left": left.pk})
    return show_form(request, "backups/delete_backup.html", form, {"backup": row})


@require_POST
def try_way(request: HttpRequest, pk: int) -> HttpResponse:
    """Try the way to the source; for everybody who may see the backup."""
    row = _visible(request, pk)
    job = services.try_way(actor_of(request), row)
    return done(request, _("Trying the way of this backup."), row.get_absolute_url(), {"job": job.pk})
