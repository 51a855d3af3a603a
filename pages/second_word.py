"""A second word before a change that takes something dear away, such as the last way in to a server.

A service calls `ask(SecondWordNeeded(sentences))` inside its transaction. Where the word is missing that is raised, and
the middleware then shows, for any view, what would be lost, with a box to tick; ticked, the same form is sent again
with `confirm_lockout`. Beside it goes what the person has read, so that what others have done meanwhile is asked anew.
"""

import hashlib
import json
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar

from django.http import HttpRequest, HttpResponse, HttpResponseBase, JsonResponse
from django.shortcuts import render

from pages.answers import PREVIEW, form_data, wants_json
from pages.sent import says_yes
from pages.targets import page_before

FIELD = "confirm_lockout"
READ = "confirm_lockout_read"  # the digest of each question that the word is for; none: whatever is asked


class SecondWordNeeded(Exception):  # noqa: N818  # a question, not a fault
    """Nothing was changed: the person should first read these sentences and say the word.

    `beside`: what is worth reading with them, and is not what the word is for.
    """

    def __init__(self, sentences: Sequence[str]) -> None:
        self.sentences = list(sentences)
        self.beside: list[str] = []
        super().__init__(" ".join(self.sentences))

    @property
    def digest(self) -> str:
        """What tells it from a question with other sentences."""
        return hashlib.sha256(json.dumps([str(text) for text in self.sentences]).encode()).hexdigest()[:32]


Word = Callable[[SecondWordNeeded], bool]
_given: ContextVar[Word] = ContextVar("second_word_given", default=lambda _question: False)


def ask(question: SecondWordNeeded) -> None:
    """Raise the question, if it asks anything, unless the word was given for it."""
    if question.sentences and not _given.get()(question):
        raise question


@contextmanager
def second_word(word: Word = lambda _question: True) -> Iterator[None]:
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
        # Only when asked: some views read the body themselves.
        with second_word(lambda question: _word_of(request, question)):
            return self.get_response(request)

    def process_exception(self, request: HttpRequest, exception: Exception) -> HttpResponse | None:
        """The question, as a page or as JSON; None for any other exception."""
        if not isinstance(exception, SecondWordNeeded):
            return None
        sentences = [*exception.sentences, *exception.beside]
        if wants_json(request):
            answer = {"ok": False, "errors": {FIELD: sentences}, READ: exception.digest}
            return JsonResponse(answer, status=409)
        context = {
            "question": exception,
            "sentences": sentences,
            "sent": sent_again(request),
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


def _word_of(request: HttpRequest, question: SecondWordNeeded) -> bool:
    if request.content_type not in {
        "application/json",
        "application/x-www-form-urlencoded",
        "multipart/form-data",
    }:
        return False
    data = form_data(request)
    read = data.getlist(READ) if data else []
    return says_yes(data, FIELD) and (not read or question.digest in read)
