"""What servers should hold and how they stand: the fleet's overview, and one rollout with its buttons."""

from django.core.exceptions import PermissionDenied
from django.db.models import Case, IntegerField, QuerySet, Value, When
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404
from django.urls import reverse
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, ngettext
from django.views.decorators.http import require_http_methods, require_POST

from accounts.actors import actor_of
from accounts.permissions import admin_required, user_of
from jobs.live import live
from jobs.models import ENDED, Job, JobQuerySet, JobState
from pages.answers import done, form_data, refused, refused_form, show_page
from pages.buttons import button
from pages.lists import Filter, ListPage, render_list
from servers import registry, services
from servers.forms import AdoptForm
from servers.models import Rollout, RolloutState, Server
from servers.views.common import for_reader, rollout_json, visible_server

WORST_FIRST = (
    RolloutState.FAILED,
    RolloutState.UNREACHABLE,
    RolloutState.DRIFTED,
    RolloutState.WAITING,
    RolloutState.APPLYING,
    RolloutState.IN_SYNC,
)
HISTORY = 30
LOOKS = 20  # each is of one kind, or of all


def _by_state(rows: QuerySet[Rollout], state: str) -> QuerySet[Rollout]:
    return rows.filter(state=state)


def _by_kind(rows: QuerySet[Rollout], kind: str) -> QuerySet[Rollout]:
    return rows.filter(kind=kind)


@admin_required
@require_http_methods(["GET", "HEAD"])
def rollouts(request: HttpRequest) -> HttpResponse:
    """Every rollout of the fleet, what is not in sync first."""
    whens = [When(state=state, then=Value(place)) for place, state in enumerate(WORST_FIRST)]
    rows = Rollout.objects.annotate(badness=Case(*whens, output_field=IntegerField()))
    kinds = [(name, kind.title) for name, kind in registry.kinds().items()]
    listing = ListPage(
        request,
        rows.select_related("server"),
        search=("server__name", "kind", "why"),
        sorts={
            "state": ("badness", "server__name", "kind"),
            "server": ("server__name", "kind"),
            "kind": ("kind", "server__name"),
            "since": ("-since",),
        },
        default_sort="state",
        filters=[
            Filter("state", gettext_lazy("State"), RolloutState.choices, _by_state),
            Filter("kind", gettext_lazy("Kind"), kinds, _by_kind),
        ],
    )
    stuck = [RolloutState.WAITING, RolloutState.FAILED, RolloutState.UNREACHABLE]
    context = {"stuck": Rollout.objects.filter(state__in=stuck).count()}
    return render_list(request, "servers/rollouts.html", listing, context, row_json=rollout_json)


@admin_required
@button
def roll_out_waiting(request: HttpRequest) -> HttpResponse:
    """Try anew what waits, failed or could not reach its server, on all servers."""
    count = services.roll_out_waiting(actor_of(request), Server.objects.all())
    text = ngettext("%d rollout is on its way.", "%d rollouts are on their way.", count)
    return done(request, text % count, reverse("servers:rollouts"), {"count": count})


def _rollout(request: HttpRequest, pk: int, kind: str) -> Rollout:
    row = visible_server(request, pk)
    return get_object_or_404(Rollout.objects.select_related("server", "job"), server=row, kind=kind)


def _may_operate(request: HttpRequest, kind_name: str) -> bool:
    return user_of(request).is_admin or not registry.needs_admin(kind_name)


def _check_operate(request: HttpRequest, kind_name: str) -> None:
    if not _may_operate(request, kind_name):
        raise PermissionDenied(_("Only an admin may roll this out."))


@require_http_methods(["GET", "HEAD"])
def rollout(request: HttpRequest, pk: int, kind: str) -> HttpResponse:
    """One kind on one server: what differs, what was applied, the buttons."""
    found = _rollout(request, pk, kind)
    user = user_of(request)
    for_reader(user, [found])
    records = found.server.rollout_records.filter(kind=kind).select_related("job")[:HISTORY]
    jobs = Job.objects.visible_to(user).of(found.server)
    failed = _failed_look(found, jobs)
    context = {
        "rollout": found,
        "server": found.server,
        "may_operate": _may_operate(request, kind),
        "live_job": live(request, jobs.filter(work__in=["servers.roll_out", "servers.look"])),
        "failed_look": failed,
        "records": for_reader(user, records),
    }
    data = {**rollout_json(found), "look_failed": failed.error if failed else ""}
    return show_page(request, "servers/rollout.html", context, data)


def _failed_look(found: Rollout, jobs: JobQuerySet) -> Job | None:
    """The last look at this kind that somebody asked for, where it failed: what the page shows is of one before it."""
    looks = jobs.filter(work="servers.look", state__in=ENDED)
    if found.checked_at:
        looks = looks.filter(started_at__gt=found.checked_at)  # else it failed behind this kind
    for job in looks.order_by("-pk")[:LOOKS]:
        if found.kind in (job.args["kinds"] or [found.kind]):
            return job if job.state in (JobState.FAILED, JobState.LOST) else None
    return None


@button
def roll_out_all(request: HttpRequest, pk: int) -> HttpResponse:
    """Roll out all that is not in sync on one server."""
    row = visible_server(request, pk)
    kinds = row.rollouts.exclude(state=RolloutState.IN_SYNC).values_list("kind", flat=True)
    allowed = [kind for kind in kinds if _may_operate(request, kind)]
    if not allowed:
        return refused(request, _("There is nothing to roll out here."), row.get_absolute_url())
    services.roll_out(actor_of(request), row, allowed)
    return done(request, _("The rollout is on its way."), row.get_absolute_url(), {"kinds": allowed})


@button
def roll_out(request: HttpRequest, pk: int, kind: str) -> HttpResponse:
    """Roll out one kind: what drifted is put back."""
    found = _rollout(request, pk, kind)
    _check_operate(request, kind)
    services.roll_out(actor_of(request), found.server, [kind])
    return done(request, _("The rollout is on its way."), found.get_absolute_url())


@button
def look(request: HttpRequest, pk: int, kind: str) -> HttpResponse:
    """Compare now, and change nothing: what a rollout would do."""
    found = _rollout(request, pk, kind)
    job = services.look_closer(actor_of(request), found.server, [kind])
    message = _("The server is being compared with what it should hold.")
    return done(request, message, found.get_absolute_url(), {"job": job.pk})


@require_POST
def adopt(request: HttpRequest, pk: int, kind: str) -> HttpResponse:
    """Roll out, and replace the files that lie there and are not ours; they are kept aside."""
    found = _rollout(request, pk, kind)
    _check_operate(request, kind)
    form = AdoptForm(form_data(request), foreign=found.foreign)
    if not form.is_valid():
        if not form.has_error("paths", "invalid_choice"):
            return refused_form(request, form, found.get_absolute_url())
        message = _("What lies there has changed since you looked. Look again.")
        return refused(request, message, found.get_absolute_url())
    services.adopt(actor_of(request), found, form.cleaned_data["paths"])
    return done(request, _("The rollout is on its way."), found.get_absolute_url())
