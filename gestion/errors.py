"""What people and programs see when something is refused or broken."""

import logging
from collections.abc import Callable
from typing import Any

from django.conf import settings
from django.core.exceptions import ObjectDoesNotExist, RequestDataTooBig, TooManyFieldsSent
from django.db import IntegrityError
from django.http import HttpRequest, HttpResponse, HttpResponseBase, HttpResponseNotAllowed, JsonResponse
from django.middleware.common import CommonMiddleware
from django.shortcuts import render
from django.template.loader import render_to_string
from django.urls import is_valid_path
from django.utils.translation import gettext as _

from pages.answers import wants_json

log = logging.getLogger(__name__)
READING = ("GET", "HEAD")


def bad_request(request: HttpRequest, exception: Exception) -> HttpResponse:
    """400."""
    return _answer(request, 400, _("This request makes no sense"), _words_of(exception))


def forbidden(request: HttpRequest, exception: Exception) -> HttpResponse:
    """403."""
    words = _words_of(exception) or _("Your account may not do this. An admin can.")
    return _answer(request, 403, _("Not allowed"), words)


def csrf_failed(request: HttpRequest, reason: str = "") -> HttpResponse:
    """403 for a form that does not come from one of our pages, or from one that is too old."""
    log.warning("CSRF check failed for %s: %s", request.path, reason)
    words = _("This form is too old or does not come from this panel. Go back, load the page again, retry.")
    return _answer(request, 403, _("Not done"), words)


def not_found(request: HttpRequest, exception: Exception) -> HttpResponse:
    """404, for what is not there and for what one may not see: nobody can tell which."""
    words = _("There is nothing at this address, or nothing that your account may see.")
    if request.method not in READING and is_valid_path(f"{request.path_info}/"):
        words = _("Nothing was done: this address ends with a slash, as %s does.") % f"{request.path}/"
    return _answer(request, 404, _("Not found"), words)


def server_error(request: HttpRequest) -> HttpResponse:
    """500; needs neither the database nor the session."""
    words = _("Something broke in the panel. It is in the log; nothing was half saved.")
    if wants_json(request):
        return JsonResponse({"ok": False, "errors": {"__all__": [words]}}, status=500)
    context = {"title": _("Something broke"), "words": words, "code": 500, "layout": "bare.html"}
    return HttpResponse(render_to_string("gestion/error.html", context), status=500)


def too_much_work(request: HttpRequest) -> HttpResponse:
    """503 for a request whose work took the database too long; asks it for nothing more."""
    words = _(
        "The database needed too long for this and was stopped; nothing was half saved. Ask for less, or later."
    )
    headers = {"Retry-After": "30"}
    if wants_json(request):
        return JsonResponse({"ok": False, "errors": {"__all__": [words]}}, status=503, headers=headers)
    context = {"title": _("Too much work"), "words": words, "code": 503, "layout": "bare.html"}
    return HttpResponse(render_to_string("gestion/error.html", context), status=503, headers=headers)


class NoExitMiddleware:
    """Makes an error of a wish to end the process, as code of somebody's own has it, such as a wizard's."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponseBase]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        """The answer. Raises RuntimeError, which is one page's 500, in place of what would end the panel."""
        try:
            return self.get_response(request)
        except (SystemExit, KeyboardInterrupt) as error:
            raise RuntimeError(f"{request.path} asked the panel to end: {error!r}") from error


class MeanwhileMiddleware:
    """Tells who changes something that another has deleted or made in that moment, where its room does not.

    It is what two people at the same row come to, and no fault of the panel; that it was one all the same is in the
    log.
    """

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponseBase]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        """The answer."""
        return self.get_response(request)

    def process_exception(self, request: HttpRequest, exception: Exception) -> HttpResponse | None:
        """409 where a row is gone, or there already, that was not when the request began; else nothing."""
        if request.method in READING or not isinstance(exception, ObjectDoesNotExist | IntegrityError):
            return None
        log.error("Not done, as if somebody else were at it: %s", request.path, exc_info=exception)
        words = _(
            "Not done: what this is about seems to have been changed or deleted by somebody else in this moment. "
            "Nothing was half saved. Load the page again."
        )
        return _answer(request, 409, _("Not done"), words)


class SlashMiddleware(CommonMiddleware):
    """Django's, but only who reads is led to the address that ends with a slash.

    Programs follow as a GET, and without what they sent: the form came back with 200, and nothing was done.
    """

    def should_redirect_with_slash(self, request: HttpRequest) -> bool:
        """Whether it is led on; what is not finds nothing, and is told why."""
        return request.method in READING and super().should_redirect_with_slash(request)


class WrongMethodMiddleware:
    """Gives a 405 a body that says what the address takes: Django's has none, so a person saw an empty page."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponseBase]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        """The answer, with words where it is a 405 without any."""
        response = self.get_response(request)
        if not isinstance(response, HttpResponseNotAllowed) or response.content:
            return response
        words = _("This address does not take %(method)s, only %(allowed)s.")
        told = _answer(
            request,
            405,
            _("Not this way"),
            words % {"method": request.method, "allowed": response.headers["Allow"]},
        )
        told.headers["Allow"] = response.headers["Allow"]
        return told


def _words_of(exception: Exception) -> str:
    """A sentence for who asked; Django's own of these speak to who has written the panel."""
    if isinstance(exception, RequestDataTooBig):
        return _("The body is too long: at most %d bytes.") % settings.DATA_UPLOAD_MAX_MEMORY_SIZE
    if isinstance(exception, TooManyFieldsSent):
        return _("The body has too many values: at most %d.") % settings.DATA_UPLOAD_MAX_NUMBER_FIELDS
    words = str(exception.args[0]) if exception.args else ""
    return words if len(words) < 500 else ""


def _answer(request: HttpRequest, status: int, title: str, words: str) -> HttpResponse:
    if wants_json(request):
        return JsonResponse({"ok": False, "errors": {"__all__": [words or title]}}, status=status)
    user: Any = getattr(request, "user", None)
    context = {
        "title": title,
        "words": words,
        "code": status,
        "layout": "base.html" if user is not None and user.is_authenticated else "bare.html",
    }
    return render(request, "gestion/error.html", context, status=status)
