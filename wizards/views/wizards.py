"""Which wizards there are, and the drafts that wait to be continued."""

from django.http import HttpRequest, HttpResponse
from django.utils.translation import gettext as _
from django.views.decorators.http import require_http_methods

from accounts.permissions import admin_required, user_of
from pages.answers import show_page
from wizards.asking import step_names
from wizards.by_number import AnyWizard
from wizards.catalogue import catalogue, own_folder
from wizards.models import ACTIVE, HALTED, RunState, WizardRun

MOST_DRAFTS = 20


@admin_required
@require_http_methods(["GET", "HEAD"])
def wizards(request: HttpRequest) -> HttpResponse:
    """A card for each wizard, the files that cannot be read, and what was begun and not ended."""
    found = catalogue()
    rows = sorted(found.wizards.values(), key=lambda wizard: str(wizard.name))
    open_runs = WizardRun.objects.visible_to(user_of(request)).filter(
        state__in=[RunState.ASKING, *ACTIVE, *HALTED]
    )[:MOST_DRAFTS]
    context = {
        "wizards": [{"wizard": wizard, "steps": step_names(wizard)} for wizard in rows],
        "broken": found.broken,
        "folder": own_folder() or _("wizards/wizards/"),
        "open_runs": open_runs,
    }
    data = {"wizards": [_json(wizard) for wizard in rows], "broken": found.broken}
    return show_page(request, "wizards/wizards.html", context, data)


def _json(wizard: AnyWizard) -> dict[str, object]:
    return {
        "slug": wizard.slug,
        "name": str(wizard.name),
        "description": str(wizard.description),
        "needs": [str(need) for need in wizard.needs],
        "steps": step_names(wizard),
        "tasks": [str(task.name) for task in wizard.tasks],
    }
