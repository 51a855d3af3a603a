"""The scripts there are, and running one."""

from itertools import groupby
from typing import Any

from django.http import Http404, HttpRequest, HttpResponse
from django.urls import reverse
from django.utils.translation import gettext as _
from django.views.decorators.http import require_http_methods

from accounts.actors import actor_of
from accounts.permissions import admin_required, user_of
from fabrun import services
from fabrun.catalogue import catalogue, folder, why_none
from fabrun.forms import RunForm
from fabrun.loading import Script
from pages.answers import done, form_data, refused, show_form, show_page
from pages.lists import typed


@admin_required
@require_http_methods(["GET", "HEAD"])
def scripts(request: HttpRequest) -> HttpResponse:
    """All scripts of the folder, by file, and the files that cannot be read."""
    found = catalogue()
    rows = sorted(found.scripts.values(), key=lambda script: script.name.partition(".")[0])
    groups = [
        (name, list(members)) for name, members in groupby(rows, lambda row: row.name.partition(".")[0])
    ]
    context = {
        "groups": groups,
        "broken": found.broken,
        "folder": folder(),
        "server": typed(request, "server"),
    }
    data = {"scripts": [_json(script) for script in rows], "broken": found.broken}
    return show_page(request, "fabrun/scripts.html", context, data)


@admin_required
@require_http_methods(["GET", "HEAD", "POST"])
def script(request: HttpRequest, name: str) -> HttpResponse:
    """One script: what it does, and the form to run it. `server=3` chooses that server beforehand."""
    there = catalogue()
    found = there.scripts.get(name)
    if found is None:
        if f"{name.partition('.')[0]}.py" not in there.broken:
            raise Http404
        return refused(request, why_none(there, name), reverse("fabrun:scripts"), 404)
    asked = typed(request, "server")
    initial = {"servers": [asked] if asked.isdecimal() else []}
    form = RunForm(form_data(request), script=found, user=user_of(request), initial=initial)
    if form.is_bound and form.is_valid():
        run = services.run_script(
            actor_of(request),
            found.name,
            form.chosen,
            arguments=form.arguments,
            unix_user=form.cleaned_data.get("unix_user", ""),
            seconds=form.cleaned_data["seconds"],
        )
        return done(request, _("%s is running.") % found.name, run.get_absolute_url(), {"run": run.pk})
    return show_form(request, "fabrun/script.html", form, {"script": found})


def _json(script: Script) -> dict[str, Any]:
    return {
        "name": script.name,
        "doc": script.doc,
        "markers": list(script.markers),
        "arguments": [
            {"name": item.name, "kind": item.kind, "default": item.default, "required": item.required}
            for item in script.parameters
        ],
    }
