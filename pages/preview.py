"""The question what a form would do: views that answer it are marked; to all others it is refused before they run."""

from collections.abc import Callable
from typing import Any, TypeVar

from django.core.exceptions import BadRequest
from django.http import HttpRequest, HttpResponse, HttpResponseBase, JsonResponse
from django.utils.translation import gettext as _

from pages.answers import PREVIEW, form_data, wants_json

View = TypeVar("View", bound=Callable[..., Any])


def answers_preview(view: View) -> View:
    """Mark a view that does nothing when asked what it would do."""
    view.answers_preview = True  # type: ignore[attr-defined]  # read by the middleware
    return view


class PreviewMiddleware:
    """Refuses the question (422, by its name) where it would be passed over and the thing done."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponseBase]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        """Nothing by itself: what counts is which view was asked."""
        return self.get_response(request)

    def process_view(self, request: HttpRequest, view: Any, _args: Any, _kwargs: Any) -> HttpResponse | None:
        """The refusal, or None; raises BadRequest for a browser, and where the question stands in the address.

        Views outside the protection of forms read the body themselves, and are let through.
        """
        if request.method != "POST" or getattr(view, "csrf_exempt", False):
            return None
        if PREVIEW in request.GET and wants_json(request):
            raise BadRequest(_("Send “preview” in the body, beside the fields. Nothing was changed."))
        sent = form_data(request)
        if getattr(view, "answers_preview", False) or not sent or PREVIEW not in sent:
            return None
        words = _("What this would do cannot be shown before. Nothing was changed.")
        if not wants_json(request):
            raise BadRequest(words)
        return JsonResponse({"ok": False, "errors": {PREVIEW: [words]}}, status=422)
