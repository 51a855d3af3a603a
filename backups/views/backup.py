"""The page of one backup: how it stands, its runs, what is planned, whether its way is free."""

from django.http import HttpRequest, HttpResponse
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy
from django.views.decorators.http import require_http_methods

from accounts.actors import actor_of
from accounts.permissions import user_of
from backups import desired_sources
from backups.desired_plans import KIND, why_left_out
from backups.graphs import Graph, Point, graph
from backups.letting_in import missing
from backups.models import Backup
from backups.models.runs import WRONG
from backups.results import seconds_of, summaries
from backups.services import plans as services
from backups.trying import STEPS, Answer, verdict
from backups.views.common import backup_json, visible_backup
from backups.ways import NoWay, reader_of
from jobs.live import live
from jobs.models import Job, seconds_said
from pages.answers import done, show_page, wants_json
from pages.buttons import button
from pages.templatetags.pages_tags import binary_size
from servers.models import Rollout, Server

MOST_POINTS = 200


@require_http_methods(["GET", "HEAD"])
def backup(request: HttpRequest, pk: int) -> HttpResponse:
    """A backup: how it stands, its runs, what is planned, whether its way is free."""
    row = visible_backup(request, pk)
    summary = summaries([row])[row.pk]
    answers = [Answer(**answer) for answer in row.tried or ()]
    checked = summary.proved
    data = {
        **backup_json(row, summary),
        "tried": row.tried,
        "tried_at": row.tried_at,
        "verified_at": checked.good_at,
        "verification_red": checked.red,
        "left_out": why_left_out(row),
        "copies_there": [{"name": copy.name, "at": copy.seconds, "of": copy.of} for copy in summary.copies],
    }
    if wants_json(request):
        return show_page(request, "", {}, data)
    jobs = Job.objects.visible_to(user_of(request)).of(row)
    context = {
        "backup": row,
        "summary": summary,
        "own": _own(request, row),
        "left_out": data["left_out"],
        "rollout": Rollout.objects.filter(server=row.destination, kind=KIND).first(),
        "reader": _reader(row),
        "reading": Rollout.objects.filter(server=row.source, kind=desired_sources.KIND).first(),
        "trying": live(request, jobs.filter(work=services.TRY)),
        "answers": [(answer, STEPS[answer.step]) for answer in answers],
        "verdict": verdict(answers) if answers else "",
        "graphs": graphs_of(row),
        "verified": checked,
        "missing": missing(row) if user_of(request).is_admin and not _lets_in(answers) else None,
    }
    return show_page(request, "backups/backup.html", context)


def _reader(row: Backup) -> str:
    try:
        return reader_of(row)
    except NoWay:
        return ""


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


@button
def try_way(request: HttpRequest, pk: int) -> HttpResponse:
    """Try the way to the source; for everybody who may see the backup."""
    row = visible_backup(request, pk)
    job = services.try_way(actor_of(request), row)
    return done(request, _("Trying the way of this backup."), row.get_absolute_url(), {"job": job.pk})
