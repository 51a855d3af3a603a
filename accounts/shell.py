"""What accounts shows in the shell."""

from collections.abc import Iterable

from django.db.models import Q
from django.http import HttpRequest
from django.urls import reverse
from django.utils.translation import gettext_lazy as _

from accounts.models import User
from pages.registry import Hit, NavItem, Section, Step


def _search(request: HttpRequest, words: str) -> Iterable[Hit]:
    if not getattr(request.user, "is_admin", False):
        return
    rows = User.objects.all()
    for word in words.split():
        rows = rows.filter(
            Q(username__icontains=word) | Q(full_name__icontains=word) | Q(email__icontains=word)
        )
    for person in rows[:10]:
        yield Hit(_("Person"), f"{person} ({person.username})", person.get_absolute_url())


def _first_steps(_request: HttpRequest) -> Iterable[Step]:
    yield Step(
        _("Give the others an account"),
        User.objects.count() > 1,
        reverse("accounts:new_user"),
        _("Members manage their own SSH keys; admins use the whole panel."),
        order=40,
    )


section = Section(
    "accounts",
    nav=(
        NavItem(_("People"), "accounts:users", "users", order=30),
        NavItem(_("Audit trail"), "accounts:audit", "history", order=90),
    ),
    search=_search,
    first_steps=_first_steps,
)
