"""The roof's own pages: dashboard, search, health."""

from itertools import groupby
from typing import Any

from django.contrib.auth.decorators import login_not_required
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.shortcuts import render
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_safe

from accounts.permissions import user_of
from gestion.health import all_health
from pages.answers import show_page, wants_json
from pages.limits import search_words
from pages.lists import typed
from pages.registry import Hit, Notice, Step, sections

LEVELS = ("danger", "warning", "info")
SHORTEST_SEARCH = 2


@require_safe
def dashboard(request: HttpRequest) -> HttpResponse:
    """What needs attention first, then the first steps of a new panel, then the rooms' cards."""
    notices = notices_for(request)
    steps = first_steps(request) if user_of(request).is_admin else []
    found = (part.card(request) for part in sections() if part.card)
    if all(step.done for step in steps):
        steps = []
    context = {
        "notices": notices,
        "steps": steps,
        "steps_done": sum(step.done for step in steps),
        "cards": sorted((card for card in found if card), key=lambda card: card.order),
    }
    data = {
        "notices": [{"level": item.level, "text": str(item.text), "url": item.url} for item in notices],
        "first_steps": [{"text": str(s.text), "done": s.done, "url": s.url} for s in steps],
    }
    return show_page(request, "gestion/dashboard.html", context, data)


def notices_for(request: HttpRequest) -> list[Notice]:
    """What needs attention, the worst first."""
    found = [item for part in sections() if part.attention for item in part.attention(request)]
    return sorted(found, key=lambda item: LEVELS.index(item.level))


def first_steps(request: HttpRequest) -> list[Step]:
    """What a new panel wants to have done, in order."""
    found = [step for part in sections() if part.first_steps for step in part.first_steps(request)]
    return sorted(found, key=lambda step: step.order)


@require_safe
def search(request: HttpRequest) -> HttpResponse:
    """Everything that the words find, by kind."""
    words = " ".join(search_words(typed(request, "q")))
    hits: list[Hit] = []
    if len(words) >= SHORTEST_SEARCH:
        hits = [hit for part in sections() if part.search for hit in part.search(request, words)]
    kinds = [(kind, list(group)) for kind, group in groupby(hits, key=lambda hit: str(hit.kind))]
    context = {"words": words, "kinds": kinds, "count": len(hits), "shortest": SHORTEST_SEARCH}
    rows = [{"kind": str(hit.kind), "text": hit.text, "url": hit.url} for hit in hits]
    return show_page(request, "gestion/search.html", context, {"rows": rows, "total": len(rows)})


@login_not_required
@never_cache
@require_safe
def health(request: HttpRequest) -> HttpResponse:
    """503 when this process cannot serve pages; `ok` if all works; an admin also reads what is wrong."""
    found = all_health()
    fine = all(item.ok for item in found)
    answer: dict[str, Any] = {"ok": fine}
    status = 200 if all(item.ok for item in found if item.serving) else 503
    if getattr(request.user, "is_admin", False):
        if not wants_json(request):
            return render(request, "gestion/health.html", {"checks": found, "fine": fine}, status=status)
        answer["checks"] = [{"name": item.name, "ok": item.ok, "words": str(item.words)} for item in found]
    return JsonResponse(answer, status=status)
