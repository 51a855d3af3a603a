"""Signs programs in by token, asks everyone else to sign in, by two factors where required; local times."""

import zoneinfo
from collections.abc import Callable
from functools import partial
from typing import Any

from django.contrib.auth.middleware import LoginRequiredMiddleware as DjangoLoginRequired
from django.http import HttpRequest, HttpResponse, HttpResponseBase, JsonResponse
from django.shortcuts import redirect
from django.utils import timezone
from django.utils.translation import gettext as _

from accounts import second_factor, sessions
from accounts.entering import WITH_CODE
from accounts.models import ApiToken, User
from accounts.permissions import is_allowed_without_second_factor
from pages.answers import wants_json

GetResponse = Callable[[HttpRequest], HttpResponseBase]


class ApiTokenMiddleware:
    """`Authorization: Bearer …` acts as the token's user. No cookie is involved, so CSRF does not apply."""

    def __init__(self, get_response: GetResponse) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        """Act as the token's user, or 401."""
        scheme, _space, token = request.headers.get("Authorization", "").partition(" ")
        if scheme.lower() != "bearer":
            return self.get_response(request)
        found = (
            ApiToken.objects.select_related("user").filter(digest=ApiToken.digest_of(token.strip())).first()
        )
        now = timezone.now()
        if found is None or not found.user.is_active or (found.expires_at and found.expires_at <= now):
            return JsonResponse(
                {"ok": False, "errors": {"__all__": [_("This token is unknown or has expired.")]}},
                status=401,
                headers={"WWW-Authenticate": "Bearer"},
            )
        if found.last_used_at is None or (now - found.last_used_at).total_seconds() > 60:
            ApiToken.objects.filter(pk=found.pk).update(last_used_at=now)
        request.user = found.user
        request.auser = partial(_itself, found.user)  # for asynchronous views
        request.api_token = found  # type: ignore[attr-defined]  # so that a view can tell a program from a person
        request._dont_enforce_csrf_checks = True  # type: ignore[attr-defined]  # Django's own switch
        return self.get_response(request)


async def _itself(user: User) -> User:
    return user


class LoginRequiredMiddleware(DjangoLoginRequired):
    """Django's, but a program gets 401 as JSON instead of the sign-in page."""

    def handle_no_permission(self, request: HttpRequest, view_func: Any) -> HttpResponse:  # type: ignore[override]
        """The sign-in page, or 401."""
        if wants_json(request):
            return JsonResponse(
                {"ok": False, "errors": {"__all__": [_("Sign in, or send an API token.")]}},
                status=401,
                headers={"WWW-Authenticate": "Bearer"},
            )
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
            return JsonResponse({"ok": False, "errors": {"__all__": [words]}}, status=403)
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
