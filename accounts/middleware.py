"""Signs programs in by token, asks everyone else to sign in, and shows times in the user's own zone."""

import zoneinfo
from collections.abc import Callable
from typing import Any

from django.contrib.auth.middleware import LoginRequiredMiddleware as DjangoLoginRequired
from django.http import HttpRequest, HttpResponse, HttpResponseBase, JsonResponse
from django.utils import timezone
from django.utils.translation import gettext as _

from accounts.models import ApiToken
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
        request.api_token = found  # type: ignore[attr-defined]  # so that a view can tell a program from a person
        request._dont_enforce_csrf_checks = True  # type: ignore[attr-defined]  # Django's own switch
        return self.get_response(request)


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
