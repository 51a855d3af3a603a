"""What the pages of this room share."""

import logging
from collections.abc import Callable
from functools import wraps
from typing import Any

from django.core.exceptions import ObjectDoesNotExist
from django.db import Error as DatabaseTrouble
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect, JsonResponse
from django.shortcuts import get_object_or_404, render
from django.urls import reverse
from django.utils.translation import gettext as _

from accounts.actors import actor_of
from accounts.permissions import user_of
from pages.answers import refused, wants_json
from wizards import catalogue
from wizards.asking import check_again
from wizards.by_number import AnyWizard
from wizards.models import RunState, WizardRun
from wizards.services.runs import StepRefused
from wizards.trouble import WHATEVER, Broken, where

View = Callable[..., HttpResponse]
log = logging.getLogger(__name__)


def says_what_is_broken(view: View) -> View:
    """A view that shows, where a wizard's own file is at fault, which line of it and why (409)."""

    @wraps(view)
    def careful(request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        try:
            return view(request, *args, **kwargs)
        except Broken as error:
            why = str(error)
        except WHATEVER as error:
            path = catalogue.own_file_in(error)
            if path is None or isinstance(error, (Http404, DatabaseTrouble)):
                raise
            log.exception("%s: a wizard's own file is at fault", request.path)
            why = where(error, path)
        if wants_json(request):
            return JsonResponse({"ok": False, "errors": {"__all__": [why]}}, status=409)
        return render(request, "wizards/broken.html", {"why": why}, status=409)

    return careful


def says_what_is_gone(view: View) -> View:
    """A view of a run that leads, where what it was told to use is gone, back to the step that chose it."""

    @wraps(view)
    def careful(request: HttpRequest, pk: int, *args: Any, **kwargs: Any) -> HttpResponse:
        try:
            return view(request, pk, *args, **kwargs)
        except ObjectDoesNotExist:
            run = run_or_404(request, pk)
            if run.state != RunState.ASKING:
                words = _(
                    "What it was told to use is not there any more. What it made has to be put right by hand."
                )
                return refused(request, words, run.get_absolute_url())
            ended = check_again(catalogue.get(run.slug), run, actor_of(request))
            if ended is None:
                raise
            return back_to_step(request, run, StepRefused.of(*ended))

    return careful


def step_url(run: WizardRun, number: int) -> str:
    """The page of a step (from 0) of a draft."""
    return reverse("wizards:step", args=[run.pk, number + 1])


def back_to_step(request: HttpRequest, run: WizardRun, error: StepRefused) -> HttpResponse:
    """Back to a step whose answers do not hold, with the reason; a program gets it by the field."""
    url = step_url(run, error.number)
    if wants_json(request) and error.errors:
        return JsonResponse({"ok": False, "errors": error.errors, "url": url}, status=409)
    return refused(request, str(error), url)


def wizard_or_404(slug: str) -> AnyWizard:
    """The wizard that a person asked for."""
    found = catalogue.catalogue().wizards.get(slug)
    if found is None:
        raise Http404
    return found


def run_or_404(request: HttpRequest, pk: int) -> WizardRun:
    """The run, if its user may see it."""
    runs = WizardRun.objects.visible_to(user_of(request)).select_related("job")
    return get_object_or_404(runs, pk=pk)


def go_on(request: HttpRequest, url: str, data: dict[str, Any]) -> HttpResponse:
    """On to the next page, without a word."""
    if wants_json(request):
        return JsonResponse({"ok": True, "url": url, **data})
    return HttpResponseRedirect(url)
