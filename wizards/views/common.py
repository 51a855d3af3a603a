"""What the pages of this room share."""

from collections.abc import Callable
from functools import wraps
from typing import Any

from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect, JsonResponse
from django.shortcuts import get_object_or_404, render

from accounts.permissions import user_of
from pages.answers import wants_json
from wizards import catalogue
from wizards.by_number import AnyWizard
from wizards.models import WizardRun
from wizards.trouble import Broken

View = Callable[..., HttpResponse]


def says_what_is_broken(view: View) -> View:
    """A view that shows, where a wizard's own file is at fault, which line of it and why (409)."""

    @wraps(view)
    def careful(request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        try:
            return view(request, *args, **kwargs)
        except Broken as error:
            if wants_json(request):
                return JsonResponse({"ok": False, "errors": {"__all__": [str(error)]}}, status=409)
            return render(request, "wizards/broken.html", {"why": str(error)}, status=409)

    return careful


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
