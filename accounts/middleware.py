"""Signs programs in by token, asks everyone else to sign in, by two factors where required; local times."""

import base64
import contextlib
import zoneinfo
from collections.abc import Callable
from functools import partial
from typing import Any

from django.conf import settings
from django.contrib.auth.middleware import LoginRequiredMiddleware as DjangoLoginRequired
from django.http import HttpRequest, HttpResponse, HttpResponseBase, JsonResponse
from django.shortcuts import redirect
from django.utils import timezone
from django.utils.translation import gettext as _

from accounts import second_factor, sessions
from accounts.entering import WITH_CODE
from accounts.models import ApiToken, User
from accounts.models.tokens import PREFIX
from accounts.permissions import is_allowed_without_second_factor
from accounts.token_scopes import EVERYTHING, may
from accounts.token_uses import note_use
from pages.answers import wants_json

GetResponse = Callable[[HttpRequest], HttpResponseBase]


class ApiTokenMiddleware:
    """`Authorization: Bearer …` acts as the token's user, as far as its scopes go; the answer is JSON.

    Cookies do not count beside it: there is no session, so CSRF does not apply.
    """

    def __init__(self, get_response: GetResponse) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        """Act as the token's user, or 401."""
        scheme, _space, text = request.headers.get("Authorization", "").partition(" ")
        if scheme.lower() != "bearer":
            if _holds_a_token(scheme, text) or _is_a_header(request):
                return _refused(_("An API token is sent in the header Authorization, as: Bearer gst_…"), 401)
            return self.get_response(request)
        found = (
            ApiToken.objects.select_related("user").filter(digest=ApiToken.digest_of(text.strip())).first()
        )
        if found is None or found.expired or not found.user.is_active:
            answer: HttpResponseBase = _refused(_("This token is unknown or has ended."), 401)
        else:
            self._sign_in(request, found)
            answer = self.get_response(request)
        if found is not None:
            note_use(found, request, answer.status_code)
        return answer

    def _sign_in(self, request: HttpRequest, token: ApiToken) -> None:
        request.user = token.user
        request.auser = partial(_itself, token.user)  # for asynchronous views
        request.api_token = token  # type: ignore[attr-defined]  # so that a view can tell a program from a person
        request.COOKIES.pop(settings.SESSION_COOKIE_NAME, None)
        request.session = sessions.SessionStore()
        request._dont_enforce_csrf_checks = True  # type: ignore[attr-defined]  # Django's own switch

    def process_view(
        self, request: HttpRequest, view: Any, _args: Any, _kwargs: Any
    ) -> HttpResponseBase | None:
        """403 for what the token's scopes do not open."""
        token: ApiToken | None = getattr(request, "api_token", None)
        if token is None:
            return None
        spaces = request.resolver_match.namespaces if request.resolver_match else []
        room, method = spaces[0] if spaces else "", request.method or ""
        if may(token.scopes, view, room, method):
            return None
        if may([EVERYTHING], view, room, method):
            return _refused(
                _("This token's scopes do not open this. Make one that has the scope for it."), 403
            )
        return _refused(_("No token opens this, whatever its scopes: sign in with a browser."), 403)


def _holds_a_token(scheme: str, text: str) -> bool:
    """Whether one of our tokens is sent in another way than we take it: its sender is a program, and has to be told."""
    if scheme.lower() == "basic":  # a proxy's own passwords are none of ours
        with contextlib.suppress(ValueError):
            text = base64.b64decode(text).decode()
    return PREFIX in f"{scheme} {text}"


def _is_a_header(request: HttpRequest) -> bool:
    """Whether one of them is a header of its own, as other panels take theirs (`X-Api-Key`, `Private-Token`)."""
    return any(value.startswith(PREFIX) for value in request.headers.values())


def _refused(words: str, status: int) -> JsonResponse:
    headers = {"WWW-Authenticate": "Bearer"} if status == 401 else None
    return JsonResponse({"ok": False, "errors": {"__all__": [words]}}, status=status, headers=headers)


async def _itself(user: User) -> User:
    return user


class LoginRequiredMiddleware(DjangoLoginRequired):
    """Django's, but a program gets 401 as JSON instead of the sign-in page."""

    def handle_no_permission(self, request: HttpRequest, view_func: Any) -> HttpResponse:  # type: ignore[override]
        """The sign-in page, or 401."""
        if wants_json(request):
            return _refused(_("Sign in, or send an API token."), 401)
        return super().handle_no_permission(request, view_func)


class SecondFactorMiddleware:
    """Who must have a second factor (REQUIRE_TWO_FACTOR) and has none sets it up, and can do nothing else.

    Also notes, at most each five minutes, that the session is in use. A program's token is a factor of its own.
    """

    def __init__(self, get_response: GetResponse) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        """Nothing by itself: what counts is which view was asked for."""
        return self.get_response(request)

    def process_view(
        self, request: HttpRequest, view: Any, _args: Any, _kwargs: Any
    ) -> HttpResponseBase | None:
        """Lead to the set-up where it is needed."""
        user = request.user
        if not isinstance(user, User) or getattr(request, "api_token", None):
            return None
        sessions.note_seen(request.session)
        if not second_factor.is_required(user) or is_allowed_without_second_factor(view):
            return None
        if request.session.get(WITH_CODE) or second_factor.is_on(user):
            return None
        words = _("Set up two-factor sign-in first: this panel requires it of you.")
        if wants_json(request):
            return _refused(words, 403)
        return redirect("accounts:two_factor")


class LocalTimeMiddleware:
    """Times are shown in the user's time zone, or the panel's."""

    def __init__(self, get_response: GetResponse) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        """Answer in the user's time zone."""
        name = getattr(request.user, "time_zone", "")
        if name and name in zoneinfo.available_timezones():
            with timezone.override(name):
                return self.get_response(request)
        return self.get_response(request)
