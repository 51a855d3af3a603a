"""The pages of jobs: permission, form, one service, answer."""

from typing import Any

from asgiref.sync import sync_to_async
from django.apps import apps
from django.db import connections
from django.db.models import Model, QuerySet
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseBase, StreamingHttpResponse
from django.shortcuts import get_object_or_404
from django.urls import reverse
from django.utils import timezone
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_safe

from accounts.actors import actor_of
from accounts.models import User
from accounts.permissions import admin_required, user_of
from accounts.streams import while_allowed
from accounts.token_scopes import never_by_token
from jobs import health, rights, services
from jobs.models import Job, JobState
from jobs.stream import events, full, line_json, state_json
from pages.answers import done, for_programs, refused, show_page
from pages.buttons import button
from pages.lists import Filter, ListPage, number_in, render_list

MOST_LINES = 2000  # shown at once; the last ones
TROUBLE = "trouble"
JSON_FIELDS = (
    "work", "title", "queue", "state", "done_units", "total_units", "created_at", "not_before", "started_at",
    "ended_at", "attempt", "error", "actor_name", "acknowledged_at",
)  # fmt: skip


def _by_state(rows: QuerySet[Any], state: str) -> QuerySet[Any]:
    if state == TROUBLE:
        return rows.filter(state__in=[JobState.FAILED, JobState.LOST], acknowledged_at=None)
    return rows.filter(state=state)


def _by_owner(rows: QuerySet[Any], owner: str) -> QuerySet[Any]:
    return rows.filter(owner=None) if owner == "panel" else rows.filter(owner_id=int(owner))


def _filters(user: User) -> tuple[Filter, ...]:
    states = [(TROUBLE, gettext_lazy("went wrong, not seen yet")), *JobState.choices]
    by_state = Filter("state", gettext_lazy("State"), states, _by_state)
    if not user.is_admin:
        return (by_state,)
    people = [(str(person.pk), str(person)) for person in User.objects.filter(jobs__isnull=False).distinct()]
    owners = [("panel", gettext_lazy("the panel itself")), *people]
    return by_state, Filter("owner", gettext_lazy("Started by"), owners, _by_owner)


@require_safe
def jobs(request: HttpRequest) -> HttpResponse:
    """The jobs one may see, newest first."""
    user = user_of(request)
    rows = Job.objects.visible_to(user)
    listing = ListPage(
        request,
        rows.defer("secrets", "args"),
        search=("title", "work", "actor_name"),
        sorts={"title": "title", "state": "state", "by": "actor_name", "created": ("created_at", "pk")},
        default_sort="-created",
        filters=_filters(user),
    )
    context = {"trouble": rows.unacknowledged().count(), "facts": health.facts() if user.is_admin else None}
    return render_list(request, "jobs/jobs.html", listing, context, job_json)


def job_json(job: Job) -> dict[str, Any]:
    """A job as JSON."""
    return {"id": job.pk, **{name: getattr(job, name) for name in JSON_FIELDS}}


@require_safe
def job(request: HttpRequest, pk: int) -> HttpResponse:
    """One job: state, steps, log."""
    user = user_of(request)
    found = _visible(request, pk)
    state = state_json(found)
    total = found.lines.count()
    lines = list(found.lines.select_related("step").order_by("-pk")[:MOST_LINES])[::-1]
    context = {
        "job": found,
        "live": state,
        "lines": lines,
        "last_line": lines[-1].pk if lines else 0,
        "lines_left_out": total - len(lines),
        "subject": _subject(found) if user.is_admin else None,
        "may_run_again": rights.may_run_again(user, found),
    }
    data = {"job": job_json(found), **state, "lines": [line_json(line) for line in lines]}
    return show_page(request, "jobs/job.html", context, data)


@button
def stop(request: HttpRequest, pk: int) -> HttpResponse:
    """Stop a job that waits or runs."""
    found = _visible(request, pk)
    url = found.get_absolute_url()
    try:
        services.stop_job(actor_of(request), found)
    except services.JobRefusedError as error:
        return refused(request, str(error), url)
    message = _("Stopped.") if found.ended else _("The job has been asked to stop.")
    return done(request, message, url, {"state": found.state})


@never_by_token
@button
def again(request: HttpRequest, pk: int) -> HttpResponse:
    """Run an ended job's work anew."""
    found = _visible(request, pk)
    try:
        fresh = services.run_again(actor_of(request), found)
    except services.JobRefusedError as error:
        return refused(request, str(error), found.get_absolute_url())
    return done(request, _("Started again."), fresh.get_absolute_url(), {"id": fresh.pk})


@button
def acknowledge(request: HttpRequest, pk: int) -> HttpResponse:
    """Note that a job that went wrong has been seen."""
    found = _visible(request, pk)
    services.acknowledge(actor_of(request), [found])
    return done(request, _("Noted: you have seen it."), found.get_absolute_url())


@admin_required
@button
def acknowledge_all(request: HttpRequest) -> HttpResponse:
    """Note that all jobs that went wrong so far have been seen."""
    count = services.acknowledge(actor_of(request), Job.objects.unacknowledged())
    return done(request, _("Noted: you have seen them."), reverse("jobs:list"), {"count": count})


@admin_required
@button
def test_worker(request: HttpRequest) -> HttpResponse:
    """Start the built-in work that proves that a worker works."""
    fresh = services.start_job(actor_of(request), "jobs.check", _("Worker test"), {"seconds": 5, "lines": 10})
    return done(request, _("The test has been started."), fresh.get_absolute_url(), {"id": fresh.pk})


@for_programs
@never_cache
@require_safe
async def stream(request: HttpRequest, pk: int) -> HttpResponseBase:
    """A job as it goes, as server-sent events; `after` or Last-Event-ID is the last line one has."""
    user = await sync_to_async(user_of)(request)
    if not await Job.objects.visible_to(user).filter(pk=pk).aexists():
        raise Http404
    await sync_to_async(_let_go_of_connections)()
    if request.method == "HEAD":
        return HttpResponse(content_type="text/event-stream")
    if full(user.pk):
        words = _("You have too many pages open that follow jobs. Close some, and load this one again.")
        return HttpResponse(words, status=429, headers={"Retry-After": "30"}, content_type="text/plain")
    after = number_in(request.headers.get("Last-Event-ID") or request.GET.get("after", ""))
    headers = {"X-Accel-Buffering": "no"}
    news = while_allowed(
        request,
        user,
        events(pk, after, timezone.get_current_timezone(), user.pk),
        Job.objects.visible_to,
        pk,
    )
    return StreamingHttpResponse(news, content_type="text/event-stream", headers=headers)


def _let_go_of_connections() -> None:
    """Close this request's connections now: its end may be ten minutes away."""
    for connection in connections.all(initialized_only=True):
        if not connection.in_atomic_block:
            connection.close()


def _subject(job: Job) -> Model | None:
    """What the job is about, if that still exists and has a page."""
    try:
        model = apps.get_model(job.subject_type)
    except (LookupError, ValueError):
        return None
    if not hasattr(model, "get_absolute_url"):
        return None
    found: Model | None = model._default_manager.filter(pk=job.subject_id).first()
    return found


def _visible(request: HttpRequest, pk: int) -> Job:
    return get_object_or_404(Job.objects.visible_to(user_of(request)), pk=pk)
