"""One view for people and programs: the same form, as a page or as JSON on the same URL.

A program sends `Accept: application/json` (and a JSON body where it sends data), and gets
`{"ok": true, …}`, or 422 with `{"ok": false, "errors": {field: [message, …]}}`.
"""

from collections.abc import Callable
from typing import Any, TypeVar

from django.contrib import messages
from django.core.exceptions import BadRequest
from django.forms import BaseForm
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect, JsonResponse, QueryDict
from django.shortcuts import render
from django.utils.translation import gettext as _

from pages.json_values import jsonable
from pages.limits import check_text, json_object
from pages.sent import Sent, initial_of, names_of

View = TypeVar("View", bound=Callable[..., Any])
FORM_TYPES = {"application/x-www-form-urlencoded", "multipart/form-data"}
PREVIEW = "preview"  # sent beside a form's fields: say what saving would do, and do nothing
HANGS = ("blocked", "holds")  # on what the form deletes: see templates/pages/_confirm_delete.html


class WouldBeDone(HttpResponse):
    """What `done` answers to a request that only asks."""


def for_programs(view: View) -> View:
    """For what programs alone ask: a refusal of it is JSON too, whatever is accepted, and leads to no page."""
    view.for_programs = True  # type: ignore[attr-defined]  # read by wants_json
    return view


def wants_json(request: HttpRequest) -> bool:
    """Whether the caller gets JSON: who asked for it, or takes no page. A program with an API token always does."""
    view = getattr(request.resolver_match, "func", None)
    if getattr(request, "api_token", None) or getattr(view, "for_programs", False):
        return True
    said_what_it_takes = bool(request.accepted_types)
    return said_what_it_takes and request.get_preferred_type(["text/html", "application/json"]) != "text/html"


def form_data(request: HttpRequest) -> QueryDict | None:
    """What was sent to be bound to a form: POST data or a JSON object; None unless the method is POST.

    Of a program it is a Sent: a form takes what it does not name from its initial values.

    Raises BadRequest (400) for a body that is neither a form nor a JSON object, is above a limit
    (`pages/limits.py`), or has text that cannot be kept.
    """
    if request.method != "POST":
        return None
    if request.content_type != "application/json":
        _check_readable(request)
        data = _without_question(request, check_text(request.POST))
        return Sent.of(data, [*data, *request.FILES], (), request.GET) if wants_json(request) else data
    found = json_object(request.body)
    if _is_read(request):
        found.pop(PREVIEW, None)
    boxes = [name for name, value in found.items() if _ticks(value)]
    data = Sent.of(QueryDict(), found, boxes, request.GET)
    for name, value in found.items():
        if isinstance(value, list):
            data.setlist(name, [_text(name, item) for item in value])
        elif value is None:
            data.setlist(name, [])  # said: of what is absent, a form for a row keeps the old value
        elif value is not False:  # a form knows an unticked box by its absence
            data[name] = "on" if value is True else _text(name, value)
    return check_text(data)


def _check_readable(request: HttpRequest) -> None:
    """Refuse what would be passed over, and the answer be “Saved”: a body that is called neither a form nor JSON."""
    if request.content_type not in FORM_TYPES and request.body.strip():
        words = _("The body is called “%s”: send it as application/json, or as a form.")
        raise BadRequest(words % str(request.content_type)[:100])


def only_asks(request: HttpRequest) -> bool:
    """Whether this request only asks what its form would do: servers/foretelling.py undoes all that it does."""
    return bool(getattr(request, "only_asks", False))


def _is_read(request: HttpRequest) -> bool:
    """Whether the question was read already: then it is no field of the form."""
    return hasattr(request, "only_asks")


def _without_question(request: HttpRequest, data: QueryDict) -> QueryDict:
    if not _is_read(request) or PREVIEW not in data:
        return data
    data = data.copy()
    del data[PREVIEW]
    return data


def _ticks(value: Any) -> bool:
    """Whether JSON's true or false was said, or null in a list: none of them is a word that somebody typed."""
    in_list = isinstance(value, list) and any(one is None or isinstance(one, bool) for one in value)
    return in_list or isinstance(value, bool)


def _text(name: str, value: Any) -> str:
    if isinstance(value, dict | list):
        raise BadRequest(_("“%s” must be a value or a list of values.") % name[:100])
    return str(value)


def show_form(
    request: HttpRequest, template: str, form: BaseForm, context: dict[str, Any] | None = None
) -> HttpResponse:
    """The page with this form: 200, or 422 with its errors by field (as JSON where asked)."""
    status = 422 if form.is_bound and form.errors else 200
    if wants_json(request):
        if status == 422:
            return JsonResponse({"ok": False, "errors": form.errors}, status=422)
        fields = {
            part: {"label": str(field.label or name), "required": field.required and part == name}
            for name, field in form.fields.items()
            for part in sorted(names_of(form, name))
        }
        known = {"errors": form.errors} if form.errors else {}  # of what is kept, and holds no more
        hangs = {name: [str(held.text) for held in (context or {}).get(name, ())] for name in HANGS}
        said = {name: texts for name, texts in hangs.items() if texts}
        return JsonResponse({"ok": True, "fields": fields, "initial": initial_of(form), **known, **said})
    answer = render(request, template, {"form": form, **(context or {})}, status=status)
    answer.form = form  # type: ignore[attr-defined]  # for who asks for a piece of this page alone
    return answer


def done(request: HttpRequest, message: str, url: str, data: dict[str, Any] | None = None) -> HttpResponse:
    """The answer to a change that was made: a redirect with a message, or JSON."""
    if only_asks(request):
        return WouldBeDone()
    if wants_json(request):
        return JsonResponse({"ok": True, "message": str(message), "url": url, **jsonable(data or {})})
    messages.success(request, message)
    if request.headers.get("HX-Request") == "true":
        return HttpResponse(status=204, headers={"HX-Redirect": url})
    return HttpResponseRedirect(url)


def refused(request: HttpRequest, message: str, url: str, status: int = 409) -> HttpResponse:
    """The answer to a change that was not made: back to `url` with the reason, or JSON with `status`."""
    if wants_json(request):
        return JsonResponse({"ok": False, "errors": {"__all__": [str(message)]}}, status=status)
    messages.error(request, message)
    if request.headers.get("HX-Request") == "true":
        return HttpResponse(status=204, headers={"HX-Redirect": url})
    return HttpResponseRedirect(url)


def refused_form(request: HttpRequest, form: BaseForm, url: str = "/") -> HttpResponse:
    """The answer to values that are wrong where there is no page for them: back to `url`, or JSON by the field."""
    if wants_json(request):
        return JsonResponse({"ok": False, "errors": form.errors}, status=422)
    return refused(request, str(next(iter(form.errors.values()))[0]), url, 422)


def show_page(
    request: HttpRequest, template: str, context: dict[str, Any], data: dict[str, Any] | None = None
) -> HttpResponse:
    """A page that is read; `data` is what a program gets instead."""
    if wants_json(request):
        return JsonResponse(jsonable(data or {}))
    return render(request, template, context)
