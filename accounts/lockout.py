"""What somebody sees who tried too many wrong passwords; django-axes counts them."""

import datetime
import math
from typing import Any

from axes.helpers import get_cool_off
from axes.models import AccessAttempt
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.shortcuts import render
from django.utils import timezone
from django.utils.translation import ngettext

from accounts.actors import client_address
from accounts.tries import TryLater, hidden
from pages.answers import wants_json


def locked_out(request: HttpRequest, *_from_axes: Any) -> HttpResponse:
    """429, with how many minutes it lasts; the same whether the user name exists or not."""
    # Under ASGI axes 8.3 passes its arguments in another order, so the credentials are read from the request.
    credentials = getattr(request, "axes_credentials", None) or {}
    minutes = minutes_left(credentials.get("username"), client_address(request))
    words = (
        ngettext(
            "Too many wrong passwords for this user name from your address. Try again in %d minute.",
            "Too many wrong passwords for this user name from your address. Try again in %d minutes.",
            minutes,
        )
        % minutes
    )
    if wants_json(request):
        answer: HttpResponse = JsonResponse({"ok": False, "errors": {"__all__": [words]}}, status=429)
    else:
        context = {"words": words, "alone": True}  # nobody else, and from nowhere else
        answer = render(request, "accounts/locked_out.html", context, status=429)
    answer["Retry-After"] = str(minutes * 60)
    return answer


def try_later(request: HttpRequest, error: TryLater) -> HttpResponse:
    """429 for what this panel counts itself."""
    if wants_json(request):
        answer: HttpResponse = JsonResponse({"ok": False, "errors": {"__all__": [str(error)]}}, status=429)
    else:
        answer = render(request, "accounts/locked_out.html", {"words": str(error)}, status=429)
    answer["Retry-After"] = str(error.seconds)
    return answer


def minutes_left(username: str | None, address: str | None) -> int:
    """How long this name stays shut out from this address, in whole minutes, at least one."""
    last = (
        AccessAttempt.objects.filter(username=hidden(username), ip_address=address)
        .order_by("-attempt_time")
        .values_list("attempt_time", flat=True)
        .first()
    )
    if last is None:
        return 1
    left = last + (get_cool_off() or datetime.timedelta()) - timezone.now()
    return max(1, math.ceil(left.total_seconds() / 60))
