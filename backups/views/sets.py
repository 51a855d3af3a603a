"""The pages of sets."""

from typing import Any

from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404
from django.urls import reverse
from django.utils.translation import gettext as _
from django.views.decorators.http import require_http_methods

from accounts.actors import actor_of
from accounts.permissions import admin_required
from backups.forms.sets import BackupSetForm
from backups.models import BackupSet, BackupSetRun, SetState
from backups.services import sets as services
from backups.services.runs import RunRefused
from pages.answers import done, form_data, refused, show_form, show_page
from pages.buttons import button, takes_no_fields
from pages.lists import ListPage, render_list
from pages.registry import Held
from servers.services import StaleEdit

READ = ["GET", "HEAD"]
BOTH = ["GET", "HEAD", "POST"]
MOST_RUNS = 30


def set_json(set_: BackupSet) -> dict[str, Any]:
    """A set for programs."""
    return {"id": set_.pk, **services.set_facts(set_), "version": set_.version}


def set_run_json(run: BackupSetRun) -> dict[str, Any]:
    """A set's run for programs."""
    names = ("state", "asked_by", "started_at", "ended_at", "words")
    return {"id": run.pk, **{name: getattr(run, name) for name in names}}


@admin_required
@require_http_methods(READ)
def set_list(request: HttpRequest) -> HttpResponse:
    """Every set, and how its last run went."""
    listing = ListPage(
        request,
        BackupSet.objects.with_last().prefetch_related("members"),
        search=("name",),
        sorts={"name": "name", "at": ("hour", "minute", "name"), "last": ("last_at", "name")},
        default_sort="name",
    )
    return render_list(request, "backups/sets.html", listing, {"states": SetState}, set_json)


@admin_required
@require_http_methods(READ)
def set_page(request: HttpRequest, pk: int) -> HttpResponse:
    """A set: its backups in their order, the run that is on, and those before."""
    set_ = get_object_or_404(BackupSet, pk=pk)
    runs = list(set_.runs.prefetch_related("parts__run", "parts__backup__source")[:MOST_RUNS])
    context = {
        "set": set_,
        "members": set_.members.select_related("backup__source", "backup__destination"),
        "running": next((run for run in runs if run.state == SetState.RUNNING), None),
        "runs": runs,
    }
    return show_page(
        request, "backups/set.html", context, {**set_json(set_), "runs": [set_run_json(r) for r in runs]}
    )


@admin_required
@require_http_methods(BOTH)
def new(request: HttpRequest) -> HttpResponse:
    """Make a set."""
    return _edit(request, BackupSetForm(form_data(request)))


@admin_required
@require_http_methods(BOTH)
def edit(request: HttpRequest, pk: int) -> HttpResponse:
    """Change a set."""
    set_ = get_object_or_404(BackupSet, pk=pk)
    return _edit(request, BackupSetForm(form_data(request), instance=set_))


def _edit(request: HttpRequest, form: BackupSetForm) -> HttpResponse:
    if form.is_bound and form.is_valid():
        data = form.cleaned_data
        try:
            made = services.save_set(
                actor_of(request), form.instance, data, data["backups"], version=data["version"]
            )
        except StaleEdit as error:
            form.add_error(None, str(error))
        else:
            return done(request, _("Saved."), made.get_absolute_url(), set_json(made))
    set_ = BackupSet.objects.filter(pk=form.instance.pk).first()
    return show_form(request, "backups/edit_set.html", form, {"set": set_})


@admin_required
@button
def run(request: HttpRequest, pk: int) -> HttpResponse:
    """Run a set now; while it runs already, it is not started."""
    set_ = get_object_or_404(BackupSet, pk=pk)
    started = services.run_set(actor_of(request), set_)
    if started.state == SetState.NOT_STARTED:
        return refused(request, _("Not started. %s") % started.words, set_.get_absolute_url())
    return done(request, _("%s is running.") % set_, set_.get_absolute_url(), set_run_json(started))


@admin_required
@button
def stop(request: HttpRequest, pk: int) -> HttpResponse:
    """Stop the run of a set that is on."""
    set_ = get_object_or_404(BackupSet, pk=pk)
    running = set_.runs.filter(state=SetState.RUNNING).first()
    if running is None:
        return refused(request, _("This set is not running."), set_.get_absolute_url())
    try:
        services.stop_set(actor_of(request), running)
    except RunRefused as error:
        return refused(request, str(error), set_.get_absolute_url())
    return done(request, _("The set is being stopped."), set_.get_absolute_url())


@admin_required
@require_http_methods(BOTH)
@takes_no_fields
def delete(request: HttpRequest, pk: int) -> HttpResponse:
    """Delete a set; its backups stay."""
    set_ = get_object_or_404(BackupSet, pk=pk)
    if request.method == "POST":
        try:
            services.delete_set(actor_of(request), set_)
        except RunRefused as error:
            return refused(request, str(error), set_.get_absolute_url())
        return done(request, _("%s is deleted.") % set_, reverse("backups:sets"))
    words = _("%s is switched off, and runs in no other set: it is copied no more")
    keeps = [Held(words % one, one.get_absolute_url()) for one in services.run_by_it_alone(set_)]
    data = {"keeps": [held.text for held in keeps]}
    return show_page(request, "backups/delete_set.html", {"set": set_, "keeps": keeps}, data)
