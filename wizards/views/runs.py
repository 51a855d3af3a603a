"""Runs: the list, one as it goes, stop, resume, undo, delete."""

import logging
from typing import Any

from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.urls import reverse
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy
from django.views.decorators.http import require_http_methods

from accounts.actors import actor_of
from accounts.permissions import admin_required, user_of
from jobs.models import seconds_said
from pages.answers import done, refused, show_page, wants_json
from pages.buttons import button, takes_no_fields
from pages.lists import Filter, ListPage, render_list
from pages.registry import Held
from servers.registry import sentence
from wizards import asking, catalogue
from wizards.declare import Data, Line
from wizards.hanging import in_the_way
from wizards.models import HALTED, RunState, WizardRun
from wizards.services import runs as services
from wizards.services import undoing
from wizards.services.mending import mend_of
from wizards.trouble import WHATEVER, Broken
from wizards.views.common import go_on, run_or_404, says_what_is_broken, says_what_is_gone

READ = ["GET", "HEAD"]
log = logging.getLogger(__name__)


def _by_state(rows: QuerySet[Any], state: str) -> QuerySet[Any]:
    return rows.filter(state=state)


@admin_required
@require_http_methods(READ)
def runs(request: HttpRequest) -> HttpResponse:
    """Every run and draft, newest first."""
    listing = ListPage(
        request,
        WizardRun.objects.visible_to(user_of(request)),
        search=("name", "about", "actor_name", "slug"),
        sorts={"created": ("created_at", "pk"), "name": ("name", "about")},
        default_sort="-created",
        filters=(Filter("state", gettext_lazy("State"), RunState.choices, _by_state),),
    )
    return render_list(request, "wizards/runs.html", listing, row_json=services.as_json)


@admin_required
@require_http_methods(READ)
def run(request: HttpRequest, pk: int) -> HttpResponse:
    """One run as it goes; a draft goes on where it was left."""
    row = run_or_404(request, pk)
    if row.state == RunState.ASKING and not wants_json(request):
        return (
            go_on(request, reverse("wizards:step", args=[pk, row.reached + 1]), {})
            if _left(row)
            else go_on(request, reverse("wizards:review", args=[pk]), {})
        )
    tasks = list(row.tasks.select_related("job"))
    held = _in_the_way(row) if row.undoing and row.state in HALTED else []
    context = {
        "run": row,
        "tasks": tasks,
        "halted": row.state in HALTED,
        "answers": [row.answers[number]["shown"] for number in sorted(row.answers, key=int)],
        "can_undo": _can_undo(row),
        "can_mend": _can_mend(row),
        "lines": _finish_lines(row) if row.state == RunState.DONE else [],
        "held": held,
        "why": _("First change this:") if held and row.why == sentence(held) else row.why,
        "total_said": seconds_said(row.total_seconds),
        "own_said": seconds_said(row.own_seconds),
        "outside_said": seconds_said(min(row.outside_seconds, row.total_seconds)),
    }
    return show_page(request, "wizards/run.html", context, _json(row, tasks, context["lines"]))


def _left(row: WizardRun) -> bool:
    """Whether a draft has steps that were not answered."""
    wizard = catalogue.catalogue().wizards.get(row.slug)
    return wizard is None or row.reached < len(asking.step_names(wizard))


def _can_undo(row: WizardRun) -> bool:
    return row.state in {*HALTED, RunState.DONE} and not row.undoing


def _can_mend(row: WizardRun) -> bool:
    try:
        return row.state == RunState.FAILED and mend_of(catalogue.get(row.slug), row) is not None
    except Broken:
        return False


def _finish_lines(row: WizardRun) -> list[Line]:
    try:
        wizard = catalogue.get(row.slug)
    except Broken:
        return []
    results: dict[str, Data] = {task.slug: task.facts for task in row.tasks.all()}
    try:
        lines = list(wizard.finish(asking.flat(asking.all_steps(row)), results))
        if not all(isinstance(line, Line) for line in lines):
            raise TypeError("finish gives a list of Line")
    except WHATEVER:  # a wizard's own words, perhaps about what is gone; its run's page stands without them
        log.exception("The wizard %s could not say what %s made", row.slug, row)
        return []
    return lines


def _in_the_way(row: WizardRun) -> list[Held]:
    """What keeps its undo from going on, as far as its wizard can say."""
    try:
        return list(in_the_way(catalogue.get(row.slug), row))
    except Broken:
        return []
    except WHATEVER:
        log.exception("The wizard %s could not say what is in the way of %s", row.slug, row)
        return []


def _json(row: WizardRun, tasks: list[Any], lines: Any) -> dict[str, Any]:
    return {
        **services.as_json(row),
        "reached": row.reached,
        "tasks": [
            {
                "slug": task.slug,
                "name": task.name,
                "says": task.says,
                "state": task.state,
                "why": task.why,
                "job": task.job_id,
            }
            for task in tasks
        ],
        "job": row.job_id,
        "result": [{"label": str(line.label), "text": line.text, "url": line.url} for line in lines],
    }


@admin_required
@button
def stop(request: HttpRequest, pk: int) -> HttpResponse:
    """End it after what it is doing now."""
    row = run_or_404(request, pk)
    try:
        services.stop_run(actor_of(request), row)
    except services.RunRefused as error:
        return refused(request, str(error), row.get_absolute_url())
    return done(request, _("It ends after what it is doing now."), row.get_absolute_url())


@admin_required
@button
def resume(request: HttpRequest, pk: int) -> HttpResponse:
    """Go on where it stopped."""
    row = run_or_404(request, pk)
    try:
        services.resume_run(actor_of(request), row)
    except services.RunRefused as error:
        return refused(request, str(error), row.get_absolute_url())
    return done(request, _("It goes on."), row.get_absolute_url())


@admin_required
@require_http_methods([*READ, "POST"])
@takes_no_fields
@says_what_is_broken
@says_what_is_gone
def undo(request: HttpRequest, pk: int) -> HttpResponse:
    """What undoing would do, in order, with a box to tick; then do it."""
    row = run_or_404(request, pk)
    if not _can_undo(row):
        return refused(request, _("There is nothing to undo."), row.get_absolute_url())
    wizard = catalogue.get(row.slug)
    if request.method == "POST":
        try:
            undoing.undo_run(actor_of(request), row, wizard)
        except services.RunRefused as error:
            return refused(request, str(error), row.get_absolute_url())
        return done(request, _("It is being undone."), row.get_absolute_url(), {"id": row.pk})
    undone, stays = undoing.undo_plan(wizard, row)
    held = in_the_way(wizard, row)
    context = {
        "run": row,
        "undone": undone,
        "stays": stays,
        "held": held,
        "question": undoing.question(undone, stays),
    }
    data = {"undone": undone, "stays": stays, "first": [str(one.text) for one in held]}
    return show_page(request, "wizards/undo.html", context, data)


@admin_required
@require_http_methods([*READ, "POST"])
@takes_no_fields
def delete(request: HttpRequest, pk: int) -> HttpResponse:
    """Forget a draft, or what has ended."""
    row = run_or_404(request, pk)
    if request.method == "POST":
        try:
            services.delete_run(actor_of(request), row)
        except services.RunRefused as error:
            return refused(request, str(error), row.get_absolute_url())
        return done(request, _("Deleted."), reverse("wizards:runs"))
    context = {
        "run": row,
        "halted": row.state in HALTED,
        "draft": row.state == RunState.ASKING,
        "undone": row.state == RunState.UNDONE,
    }
    return show_page(request, "wizards/delete_run.html", context, services.as_json(row))
