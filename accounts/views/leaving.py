"""Somebody leaves: what is taken away, and where it is gone already."""

from typing import Any

from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404
from django.urls import reverse
from django.utils.translation import gettext as _
from django.views.decorators.http import require_http_methods

from accounts import leaving, registry
from accounts.actors import actor_of
from accounts.models import AuditEntry, User
from accounts.permissions import admin_required
from accounts.services import NotAllowed
from accounts.sessions import sessions_of
from accounts.token_scopes import changes_by_token
from pages.answers import done, refused, show_page
from pages.buttons import takes_no_fields


def was_offboarded(person: User) -> bool:
    """Whether all access was taken away here; somebody may have been switched off by an edit only."""
    kind = User._meta.label_lower
    rows = AuditEntry.objects.filter(object_type=kind, object_id=str(person.pk), verb="user.offboard")
    return rows.exists()


@changes_by_token
@admin_required
@require_http_methods(["GET", "HEAD", "POST"])
@takes_no_fields
def offboard(request: HttpRequest, pk: int) -> HttpResponse:
    """Before: what will be taken away. After: how far that is, until nothing is open."""
    person = get_object_or_404(User, pk=pk)
    here = reverse("accounts:offboard", args=[pk])
    if request.method == "POST":
        try:
            leaving.take_access(actor_of(request), person)
        except NotAllowed as error:
            return refused(request, str(error), person.get_absolute_url())
        said = _("%s has no access to this panel any more; servers lose the SSH keys as they fetch.")
        return done(request, said % person, here)
    parts = registry.left_of(request, person)
    facts = {
        "is_active": person.is_active,
        "can_sign_in": person.is_active and person.has_usable_password(),
        "sessions": len(sessions_of(person)),
        "api_tokens": person.api_tokens.count(),
        "open": sum(part.open for part in parts),
    }
    panels = [part.panel for part in parts]
    data: dict[str, Any] = dict(facts)
    for part in parts:
        data |= part.data
    begun = not person.is_active and was_offboarded(person)
    context = {"person": person, "panels": panels, "begun": begun, **facts}
    return show_page(request, "accounts/offboard.html", context, data)
