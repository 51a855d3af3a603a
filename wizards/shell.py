"""What this room shows in the shell."""

from collections.abc import Iterable

from django.http import HttpRequest
from django.urls import reverse
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from accounts.permissions import user_of
from pages.registry import Hit, NavItem, Notice, Section
from wizards.catalogue import catalogue
from wizards.models import HALTED, WizardRun

MOST_HITS = 10


def _attention(request: HttpRequest) -> Iterable[Notice]:
    for run in WizardRun.objects.visible_to(user_of(request)).filter(state__in=HALTED)[:MOST_HITS]:
        words = _("%(run)s: %(state)s. Resume it or undo it.")
        if run.undoing:
            words = _("The undo of %(run)s: %(state)s. Resume it.")
        text = words % {"run": run, "state": run.get_state_display()}
        yield Notice("warning", text, run.get_absolute_url())


def _search(request: HttpRequest, words: str) -> Iterable[Hit]:
    if not user_of(request).is_admin:
        return
    wanted = words.lower().split()
    for wizard in catalogue().wizards.values():
        if all(word in str(wizard.name).lower() for word in wanted):
            yield Hit(_("Wizard"), str(wizard.name), reverse("wizards:new", args=[wizard.slug]))
    for run in WizardRun.objects.filter(about__icontains=words)[:MOST_HITS]:
        yield Hit(_("Wizard run"), str(run), run.get_absolute_url())


section = Section(
    "wizards",
    nav=(NavItem(gettext_lazy("Wizards"), "wizards:wizards", "wand", order=65),),
    attention=_attention,
    search=_search,
)
