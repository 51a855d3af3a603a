"""A second word before a change that takes something dear away, such as the last way in to a server.

A service raises `SecondWordNeeded` inside its transaction unless `given()`. The middleware then shows, for
any view, what would be lost, with a box to tick; ticked, the same form is sent again with `confirm_lockout`.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar

from django.http import HttpRequest, HttpResponse, HttpResponseBase, JsonResponse
from django.shortcuts import render

from pages.answers import PREVIEW, form_data, wants_json
from pages.sent import says_yes
from pages.targets import page_before

FIELD = "confirm_lockout"
_given: ContextVar[Callable[[], bool]] = ContextVar("second_word_given", default=lambda: False)


class SecondWordNeeded(Exception):  # noqa: N818  # a question, not a fault
    """Nothing was changed: the person should first read these sentences and say the word."""

    def __init__(self, sentences: Sequence[str]) -> None:
        self.sentences = list(sentences)
        super().__init__(" ".join(self.sentences))


def given() -> bool:
    """Whether the word was given for what is being done now."""
    return _given.get()()


@contextmanager
def second_word(word: Callable[[], bool] = lambda: True) -> Iterator[None]:
    """Do what is inside with the second word, or as `word` says when asked."""
    token = _given.set(word)
    try:
        yield
    finally:
        _given.reset(token)


class SecondWordMiddleware:
    """Takes the word from the request, and asks for it where it is missing (409)."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponseBase]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        """Answer with the word in effect."""
        if request.method != "POST":
            return self.get_response(request)
        with second_word(lambda: _word_of(request)):  # only when asked: some views read the body themselves
            return self.get_response(request)

    def process_exception(self, request: HttpRequest, exception: Exception) -> HttpResponse | None:
        """The question, as a page or as JSON; None for any other exception."""
        if not isinstance(exception, SecondWordNeeded):
            return None
        if wants_json(request):
            return JsonResponse({"ok": False, "errors": {FIELD: exception.sentences}}, status=409)
        context = {
            "sentences": exception.sentences,
            "sent": sent_again(request),
            "field": FIELD,
            "back": page_before(request) or "/",
        }
        return render(request, "pages/second_word.html", context, status=409)


def sent_again(request: HttpRequest) -> list[tuple[str, str]]:
    """What was sent, to be sent once more with the word, or without the question what it would do."""
    left_out = {FIELD, PREVIEW, "csrfmiddlewaretoken"}
    return [
        (name, str(value))
        for name, values in request.POST.lists()
        if name not in left_out and "password" not in name
        for value in values
    ]


def _word_of(request: HttpRequest) -> bool:
    if request.content_type not in {
        "application/json",
        "application/x-www-form-urlencoded",
        "multipart/form-data",
    }:
        return False
    data = form_data(request)
    return says_yes(data, FIELD)
