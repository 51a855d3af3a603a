"""The repositories: what to paste where, and the last pulls."""

from typing import Any

from django.conf import settings
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404
from django.urls import reverse
from django.utils.translation import gettext as _
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_http_methods

from accounts.actors import actor_of
from accounts.permissions import admin_required
from githooks import services
from githooks.forms import BranchForm
from githooks.models import Repository
from githooks.pulling import checked_out_or_why, folder_of
from githooks.signatures import signing_token
from jobs.models import Job
from pages.answers import done, form_data, refused, show_form, show_page
from pages.buttons import button

MOST_SHOWN = 20


@admin_required
@require_http_methods(["GET", "HEAD"])
def repositories(request: HttpRequest) -> HttpResponse:
    """Those of GIT_REPOS."""
    known = list(Repository.objects.all())
    rows = [{"repository": row, "folder": folder_of(row), "last": row.pulls.first()} for row in known]
    missing = services.not_set_up()
    data = {"rows": [_json(row) for row in known], "not_set_up": missing}
    return show_page(request, "githooks/repositories.html", {"rows": rows, "missing": missing}, data)


@admin_required
@button
def set_up(request: HttpRequest, key: str) -> HttpResponse:
    """Give one of GIT_REPOS its secret."""
    if key not in settings.GIT_REPOS:
        raise Http404
    row, made = services.set_up(actor_of(request), key)
    if not made:
        return refused(
            request,
            _("It is set up already. Its secret is on its page, for people; a program has a new one made."),
            row.get_absolute_url(),
        )
    words = _("Now give URL and secret to the git host, and try it.")
    return done(request, words, row.get_absolute_url(), _to_paste(row))


@admin_required
@never_cache
@require_http_methods(["GET", "HEAD"])
def repository(request: HttpRequest, key: str) -> HttpResponse:
    """One repository: URL and secret to paste, the last calls and pulls."""
    row = _repository(key)
    folder = folder_of(row)
    current, why_none = checked_out_or_why(folder) if folder else ("", "")
    context = {
        "repository": row,
        "folder": folder,
        "url": hook_url(row),
        "signing_token": signing_token(row.secret),
        "branch": row.branch or current,
        "why_none": why_none,
        "pulls": row.pulls.all()[:MOST_SHOWN],
        "calls": row.calls.all()[:MOST_SHOWN],
        "job": Job.objects.of(row).first(),
    }
    return show_page(request, "githooks/repository.html", context, _json(row))


@admin_required
@require_http_methods(["GET", "HEAD", "POST"])
def branch(request: HttpRequest, key: str) -> HttpResponse:
    """Which branch counts."""
    row = _repository(key)
    form = BranchForm(form_data(request), instance=row)
    if form.is_bound and form.is_valid():
        services.change_branch(actor_of(request), row, form.cleaned_data["branch"])
        return done(request, _("Saved."), row.get_absolute_url())
    return show_form(request, "githooks/branch.html", form, {"repository": row})


@admin_required
@button
def secret(request: HttpRequest, key: str) -> HttpResponse:
    """Another secret."""
    row = services.renew_secret(actor_of(request), _repository(key))
    words = _("It has a new secret: give it to the git host.")
    return done(request, words, row.get_absolute_url(), _to_paste(row))


@admin_required
@button
def pull(request: HttpRequest, key: str) -> HttpResponse:
    """Pull now."""
    row = _repository(key)
    job = services.pull_now(actor_of(request), row)
    return done(request, _("%s is being pulled.") % row, row.get_absolute_url(), {"job": job.pk})


def hook_url(row: Repository) -> str:
    """What a git host calls."""
    return settings.GESTION_URL.rstrip("/") + reverse("git_hook", args=[row.key])


def _to_paste(row: Repository) -> dict[str, Any]:
    """What a program that has made a secret gives to the git host; it is told this once."""
    return {"hook_url": hook_url(row), "secret": row.secret, "signing_token": signing_token(row.secret)}


def _repository(key: str) -> Repository:
    return get_object_or_404(Repository, key=key)


def _json(row: Repository) -> dict[str, Any]:
    last = row.pulls.first()
    return {
        "key": row.key,
        "branch": row.branch,
        "url": hook_url(row),
        "last_pull": {"at": last.at, "before": last.before, "after": last.after, "error": last.error}
        if last
        else None,
    }
