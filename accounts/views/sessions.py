"""Where a person is signed in: the own sessions, and an admin's end to somebody else's."""

from typing import Any

from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404
from django.urls import reverse
from django.utils.translation import gettext as _
from django.utils.translation import ngettext
from django.views.decorators.http import require_http_methods

from accounts import services
from accounts import sessions as kept
from accounts.actors import actor_of
from accounts.models import Session, User
from accounts.permissions import admin_required, for_people_only, user_of
from accounts.token_scopes import only_read_by_token
from pages.answers import done, refused, show_page
from pages.buttons import button


@only_read_by_token
@require_http_methods(["GET", "HEAD"])
def sessions(request: HttpRequest) -> HttpResponse:
    """The own sessions."""
    rows = kept.sessions_of(user_of(request))
    this = request.session.session_key
    context = {"sessions": [(row, row.session_key == this) for row in rows]}
    data = {"rows": [session_json(row, this) for row in rows]}
    return show_page(request, "accounts/sessions.html", context, data)


@button
def end_session(request: HttpRequest, number: str) -> HttpResponse:
    """End one of the own sessions."""
    for_people_only(request)
    url = reverse("accounts:sessions")
    if kept.number_of(request.session.session_key or "") == number:
        return refused(request, _("This is the session that you are using: sign out instead."), url)
    if not services.end_session(actor_of(request), user_of(request), number):
        raise Http404
    return done(request, _("The session has ended."), url)


@button
def end_others(request: HttpRequest) -> HttpResponse:
    """End all own sessions but this one."""
    for_people_only(request)
    ended = services.end_sessions(actor_of(request), user_of(request), but=request.session.session_key)
    words = ngettext("%d session has ended.", "%d sessions have ended.", ended) % ended
    return done(request, words, reverse("accounts:sessions"), {"ended": ended})


@admin_required
@button
def end_all_of(request: HttpRequest, pk: int) -> HttpResponse:
    """End all sessions of a person."""
    person = get_object_or_404(User, pk=pk)
    but = request.session.session_key if person == request.user else None
    ended = services.end_sessions(actor_of(request), person, but=but)
    words = ngettext("%d session has ended.", "%d sessions have ended.", ended) % ended
    return done(request, words, person.get_absolute_url(), {"ended": ended})


def session_json(row: Session, this: str | None = None) -> dict[str, Any]:
    """What may be known of a session."""
    return {
        "number": row.number,
        "device": row.device,
        "address": row.address,
        "began_at": row.began_at,
        "seen_at": row.seen_at,
        "this": row.session_key == this,
    }
