"""A wizard asks: its steps, and the page that shows all that will be done."""

from typing import Any

from django import forms
from django.http import Http404, HttpRequest, HttpResponse
from django.urls import reverse
from django.utils.translation import gettext as _
from django.views.decorators.http import require_http_methods

from accounts.actors import actor_of
from accounts.permissions import admin_required
from pages.answers import done, form_data, refused, refused_form, show_form, show_page
from pages.forms import CleanText
from pages.sent import says_yes
from wizards import asking, catalogue
from wizards.by_number import AnyWizard
from wizards.declare import Wizard
from wizards.models import RunState, WizardRun
from wizards.renewing import proposals
from wizards.services import runs as services
from wizards.views.common import (
    back_to_step,
    go_on,
    run_or_404,
    says_what_is_broken,
    says_what_is_gone,
    step_url,
    wizard_or_404,
)

READ = ["GET", "HEAD"]


class LookedOver(CleanText, forms.Form):
    """Which plan was looked at: its digest, as the page has it."""

    seen = forms.CharField(required=False, max_length=64, widget=forms.HiddenInput)


@admin_required
@require_http_methods([*READ, "POST"])
@says_what_is_broken
def new(request: HttpRequest, slug: str) -> HttpResponse:
    """The first step. The draft begins with its answer; parameters of the URL fill fields in."""
    return _step(request, wizard_or_404(slug), None, 0)


@admin_required
@require_http_methods([*READ, "POST"])
@says_what_is_broken
@says_what_is_gone
def step(request: HttpRequest, pk: int, number: int) -> HttpResponse:
    """A step of a draft, from 1; those after the first that was not answered yet send back to it."""
    run = run_or_404(request, pk)
    if run.state != RunState.ASKING:
        return refused(
            request,
            _("This was started already; its answers cannot be changed."),
            run.get_absolute_url(),
        )
    wizard = catalogue.get(run.slug)
    if not 1 <= number <= len(asking.step_names(wizard)):
        raise Http404
    if number - 1 > run.reached:
        return go_on(request, _url(run, run.reached), {"id": run.pk})
    return _step(request, wizard, run, number - 1)


def _step(request: HttpRequest, wizard: AnyWizard, run: WizardRun | None, number: int) -> HttpResponse:
    names = asking.step_names(wizard)
    if not names:
        return _begin_without_steps(request, wizard)
    asked = asking.ask(wizard, run, number, request)
    if asked.form.is_bound and asked.form.is_valid():
        actor = actor_of(request)
        try:
            run = services.answer_step(actor, wizard, run, number, asked)
            if says_yes(form_data(request), asking.REST) and isinstance(wizard, Wizard):
                services.fill_rest(actor, wizard, run)
                return go_on(request, reverse("wizards:review", args=[run.pk]), {"id": run.pk})
        except services.StepRefused as error:
            if run is None:
                raise
            return back_to_step(request, run, error)
        except services.RunRefused as error:
            return refused(request, str(error), run.get_absolute_url() if run else reverse("wizards:wizards"))
        return go_on(request, _url(run, number + 1, names), {"id": run.pk})
    context = {
        "wizard": wizard,
        "run": run,
        "asked": asked,
        "proposals": list(proposals(asked.form, asked.defaults or {})),
        "number": number + 1,
        "name": names[number],
        "stepper": stepper(wizard, run, number),
        "back": _url(run, number - 1) if run and number else "",
        "can_fill": isinstance(wizard, Wizard) and number + 1 < len(names),
        "last": number + 1 == len(names),
        "script_url": _script_url(wizard, run, number) if asked.script else "",
    }
    return show_form(request, "wizards/step.html", asked.form, context)


def _begin_without_steps(request: HttpRequest, wizard: AnyWizard) -> HttpResponse:
    if request.method != "POST":
        context = {
            "wizard": wizard,
            "lines": [{"says": str(task.says({})), "wanted": True} for task in wizard.tasks],
        }
        return show_page(request, "wizards/no_steps.html", context, {"slug": wizard.slug})
    run = services.begin(actor_of(request), wizard)
    return go_on(request, reverse("wizards:review", args=[run.pk]), {"id": run.pk})


@admin_required
@require_http_methods(READ)
@says_what_is_broken
def new_script(request: HttpRequest, slug: str) -> HttpResponse:
    """The script that a wizard of somebody's own brings for its first step."""
    return _script(request, wizard_or_404(slug), None, 0)


@admin_required
@require_http_methods(READ)
@says_what_is_broken
@says_what_is_gone
def step_script(request: HttpRequest, pk: int, number: int) -> HttpResponse:
    """The same for a step of a draft."""
    run = run_or_404(request, pk)
    wizard = catalogue.get(run.slug)
    if not 1 <= number <= len(asking.step_names(wizard)):
        raise Http404
    return _script(request, wizard, run, number - 1)


def _script(request: HttpRequest, wizard: AnyWizard, run: WizardRun | None, number: int) -> HttpResponse:
    asked = asking.ask(wizard, run, number, request)
    return HttpResponse(
        asked.script, content_type="text/javascript; charset=utf-8", headers={"Cache-Control": "no-store"}
    )


@admin_required
@require_http_methods([*READ, "POST"])
@says_what_is_broken
@says_what_is_gone
def review(request: HttpRequest, pk: int) -> HttpResponse:
    """All that was answered and all that will be done. POST begins with what was seen."""
    run = run_or_404(request, pk)
    looked = LookedOver(form_data(request))
    if looked.is_bound and not looked.is_valid():
        return refused_form(request, looked, run.get_absolute_url())
    if run.state != RunState.ASKING:
        if request.method == "POST":
            return refused(request, _("This was started already."), run.get_absolute_url())
        return go_on(request, run.get_absolute_url(), {"id": run.pk})
    wizard = catalogue.get(run.slug)
    names = asking.step_names(wizard)
    if run.reached < len(names):
        return go_on(request, _url(run, run.reached), {"id": run.pk})
    if request.method == "POST":
        return _start(request, wizard, run, looked)
    answers = [
        {"name": name, "url": _url(run, number), "shown": run.answers.get(str(number), {}).get("shown", [])}
        for number, name in enumerate(names)
    ]
    lines = services.plan(wizard, run)
    ended = asking.check_again(wizard, run, actor_of(request))
    context = {
        "wizard": wizard,
        "run": run,
        "ended": {"url": _url(run, ended[0]), "why": asking.first_error(ended[1])} if ended else None,
        "answers": answers,
        "lines": lines,
        "goes": (goes := services.going(wizard, run)),
        "stays": wizard.stays(asking.flat(asking.all_steps(run))) if isinstance(wizard, Wizard) else [],
        "seen": (seen := services.digest(lines, goes)),
        "stepper": stepper(wizard, run, len(names)),
        "back": _url(run, len(names) - 1) if names else "",
    }
    data = {
        **services.as_json(run),
        "tasks": lines,
        "goes": [str(one.text) for one in goes],
        "seen": seen,
        "errors": ended[1].errors if ended else {},
    }
    return show_page(request, "wizards/review.html", context, data)


def _start(request: HttpRequest, wizard: AnyWizard, run: WizardRun, looked: LookedOver) -> HttpResponse:
    if not looked.cleaned_data["seen"] and services.going(
        wizard, run
    ):  # it may be more than when it was answered
        words = _("Read first what goes by it (“goes” of GET), and send the “seen” that stands with it.")
        looked.add_error("seen", words)
        return refused_form(request, looked, run.get_absolute_url())
    try:
        services.start_run(actor_of(request), wizard, run, seen=looked.cleaned_data["seen"])
    except services.StepRefused as error:
        return back_to_step(request, run, error)
    except services.RunRefused as error:  # a draft's page leads to what will be done
        return refused(request, str(error), run.get_absolute_url())
    return done(request, _("It is running."), run.get_absolute_url(), {"id": run.pk})


def stepper(wizard: AnyWizard, run: WizardRun | None, current: int) -> list[dict[str, Any]]:
    """The steps with what each is: done, current or still to come; the page that shows all comes last."""
    names = asking.step_names(wizard)
    reached = run.reached if run else 0
    places = []
    for number, name in enumerate([*names, _("Look over")]):
        kind = "current" if number == current else "done" if number < reached else "next"
        can_go = run is not None and number <= reached and number != current
        places.append(
            {
                "number": number + 1,
                "name": name,
                "kind": kind,
                "url": _url(run, number, names) if run and can_go else "",
            }
        )
    return places


def _url(run: WizardRun, number: int, names: list[str] | None = None) -> str:
    """The page of a step (from 0) of a draft; after the last one, the page that shows all."""
    if names is not None and number >= len(names):
        return reverse("wizards:review", args=[run.pk])
    return step_url(run, number)


def _script_url(wizard: AnyWizard, run: WizardRun | None, number: int) -> str:
    if run is None:
        return reverse("wizards:new_script", args=[wizard.slug])
    return reverse("wizards:step_script", args=[run.pk, number + 1])
