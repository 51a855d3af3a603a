"""Resume a run that has failed with other answers."""

from django.http import HttpRequest, HttpResponse
from django.utils.translation import gettext as _
from django.views.decorators.http import require_http_methods

from accounts.actors import actor_of
from accounts.permissions import admin_required
from pages.answers import done, form_data, refused, show_form
from wizards import catalogue
from wizards.services import mending
from wizards.services.runs import RunRefused
from wizards.views.common import run_or_404, says_what_is_broken, says_what_is_gone


@admin_required
@require_http_methods(["GET", "HEAD", "POST"])
@says_what_is_broken
@says_what_is_gone
def mend(request: HttpRequest, pk: int) -> HttpResponse:
    """The fields that may be answered anew; sent, the run goes on with them."""
    run = run_or_404(request, pk)
    found = mending.mend_of(catalogue.get(run.slug), run)
    if found is None:
        return refused(request, _("There is nothing to answer anew."), run.get_absolute_url())
    actor = actor_of(request)
    asked = mending.ask_anew(run, found, actor, form_data(request))
    if asked.form.is_bound and asked.form.is_valid():
        try:
            mending.resume_with(actor, run, found, asked)
        except RunRefused as error:
            return refused(request, str(error), run.get_absolute_url())
        return done(request, _("It goes on."), run.get_absolute_url(), {"id": run.pk})
    asked.form.fields = {name: asked.form.fields[name] for name in found.names if name in asked.form.fields}
    context = {"run": run, "asked": asked, "task": found.task}
    return show_form(request, "wizards/mend.html", asked.form, context)
