"""What every page of the shell needs."""

from typing import Any

from django.conf import settings
from django.http import HttpRequest

from pages.registry import nav_items


def shell(request: HttpRequest) -> dict[str, Any]:
    """Navigation for the signed-in user, and whether this is the demo."""
    user = getattr(request, "user", None)
    if user is None or not user.is_authenticated:
        return {"demo": settings.DEMO, "nav": []}
    match = request.resolver_match
    return {
        "demo": settings.DEMO,
        "nav": nav_items(admin=user.is_admin),
        "nav_section": match.app_name or match.url_name if match else "",
    }
