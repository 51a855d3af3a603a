"""Views that say what saving their form rolls out: before, when asked or when a second word is wanted, and after."""

import json
from collections.abc import Callable
from functools import wraps
from typing import Any

from django.contrib import messages
from django.db import transaction
from django.http import HttpRequest, HttpResponseBase, HttpResponseRedirect, JsonResponse
from django.shortcuts import render
from django.urls import reverse
from django.utils.html import format_html, format_html_join
from django.utils.translation import gettext as _

from accounts.models import User
from accounts.permissions import user_of
from pages.answers import PREVIEW, WouldBeDone, form_data, wants_json
from pages.preview import answers_preview
from pages.second_word import SecondWordNeeded, second_word, sent_again
from pages.targets import page_before
from servers import registry
from servers.foretelling import Effect, effects, look
from servers.models import Rollout
from servers.rollouts import Asked, noted

View = Callable[..., Any]


def foretells(view: View) -> View:
    """A view whose form has things rolled out.

    Sent with `preview`, it does what it does in a transaction that is undone, and the answer is what would be
    rolled out: a page with the words to save it, a piece of the form's page for htmx, or JSON. Where a second word is
    asked for, that stands there, too. After saving, the answer says where it is being rolled out.
    """

    @answers_preview
    @wraps(view)
    def told(request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
        request.foretells = True  # type: ignore[attr-defined]  # for templates/pages/_form_end.html
        if request.method != "POST":
            answer: HttpResponseBase = view(request, *args, **kwargs)
            return answer
        asks = PREVIEW in (form_data(request) or {})
        request.only_asks = False  # type: ignore[attr-defined]
        if asks:
            found, answer = _try(view, request, *args, **kwargs)
            return _asked(request, found, answer)
        try:
            with noted() as asked:
                answer = view(request, *args, **kwargs)
        except SecondWordNeeded as error:
            found, _answer = _try(view, request, *args, **kwargs)
            error.beside = [one.sentence for one in found or ()]
            raise
        return _saved(request, answer, asked)

    return told


def _try(
    view: View, request: HttpRequest, *args: Any, **kwargs: Any
) -> tuple[list[Effect] | None, HttpResponseBase]:
    """What the view would roll out, None where it would do nothing, and its answer. Nothing of it stays."""
    request.only_asks = True  # type: ignore[attr-defined]
    try:
        with transaction.atomic(), second_word(), noted() as asked:
            answer: HttpResponseBase = view(request, *args, **kwargs)
            after = look(asked)
            transaction.set_rollback(True)
    finally:
        request.only_asks = False  # type: ignore[attr-defined]
    if not isinstance(answer, WouldBeDone):
        return None, answer
    return for_reader(user_of(request), effects(look(asked), after)), answer


def for_reader(user: User, found: list[Effect]) -> list[Effect]:
    """What this user may read of it: of a kind that needs an admin, others read nothing."""
    return [one for one in found if user.is_admin or not registry.needs_admin(one.kind)]


def _asked(request: HttpRequest, found: list[Effect] | None, answer: HttpResponseBase) -> HttpResponseBase:
    if request.headers.get("HX-Request") == "true":
        return render(
            request, "pages/_effects.html", {"effects": found, "asked": True, **_wrong(request, answer)}
        )
    if found is None:
        return answer
    if wants_json(request):
        difference = "".join(one.difference for one in found)
        return JsonResponse({"ok": True, PREVIEW: [one.as_json() for one in found], "difference": difference})
    context = {"effects": found, "sent": sent_again(request), "back": page_before(request) or request.path}
    return render(request, "servers/foretold.html", context)


def _wrong(request: HttpRequest, answer: HttpResponseBase) -> dict[str, Any]:
    """What keeps the form from being saved, for who pressed the button; nobody hears of it while he types."""
    form = getattr(answer, "form", None)
    if form is None or request.headers.get("HX-Trigger-Name") != PREVIEW:
        return {}
    labels = {name: str(field.label or name) for name, field in form.fields.items()}
    return {"wrong": [(labels.get(name, ""), texts) for name, texts in form.errors.items()]}


def _saved(request: HttpRequest, answer: HttpResponseBase, asked: Asked) -> HttpResponseBase:
    """The answer with what is being rolled out now."""
    kinds = [key for key in asked if user_of(request).is_admin or not registry.needs_admin(key[1])]
    rows = Rollout.objects.filter(server__in={pk for pk, _kind in kinds}).select_related("server")
    rolled = [row for row in rows.order_by("server__name", "kind") if (row.server_id, row.kind) in kinds]
    if not rolled:
        return answer
    if isinstance(answer, JsonResponse) and answer.status_code == 200:
        data = json.loads(answer.content)
        told = [
            {"server": row.server.name, "kind": row.kind, "url": row.get_absolute_url()} for row in rolled
        ]
        return JsonResponse({**data, "rolls_out": told})
    if isinstance(answer, HttpResponseRedirect) or "HX-Redirect" in answer.headers:
        links = [(row.get_absolute_url(), _title(row)) for row in rolled[: registry.MOST_SAID]]
        if len(rolled) > registry.MOST_SAID:
            links.append((reverse("servers:rollouts"), _("and %d more") % (len(rolled) - registry.MOST_SAID)))
        shown = format_html_join(", ", '<a href="{}">{}</a>', links)
        messages.info(request, format_html("{} {}", _("Being rolled out:"), shown))
    return answer


def _title(row: Rollout) -> str:
    return _("%(kind)s of %(server)s") % {"kind": row.title, "server": row.server}
