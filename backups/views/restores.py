"""Pages of restores and verifications."""

from typing import Any

from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404
from django.urls import reverse
from django.utils.translation import gettext as _
from django.views.decorators.http import require_http_methods

from accounts.actors import actor_of
from accounts.permissions import user_of
from backups.earlier import copied_at
from backups.forms.restores import ORIGIN, RestoreForm
from backups.inside_copies import shown
from backups.models import Backup, Restore, TaskState, Verification
from backups.models.restores import facts_of_task
from backups.reading_copies import NotInCopy
from backups.restoring import change_words
from backups.services import restores as services
from backups.services.runs import RunRefused
from backups.views.common import visible_backup
from backups.views.snapshots import asked_path, copy_at, made_at
from pages.answers import done, form_data, refused, show_form, show_page
from pages.buttons import button
from servers.models import Server

READ = ["GET", "HEAD"]
BOTH = ["GET", "HEAD", "POST"]
MOST_ROWS = 50


def restore_json(row: Restore) -> dict[str, Any]:
    """A restore for programs."""
    facts = {"id": row.pk, "backup": row.backup_id, **facts_of_task(row), **services.facts_of(row)}
    return {**facts, "path": row.path, "counts": row.counts, "overwrites": row.overwrites, "live": row.live}


def verification_json(row: Verification) -> dict[str, Any]:
    """A verification for programs."""
    return {"id": row.pk, "backup": row.backup_id, **facts_of_task(row), "live": row.live}


@require_http_methods(BOTH)
def restore_from(request: HttpRequest, pk: int, at: int, path: str = "") -> HttpResponse:
    """Choose where a file, a folder or all of a copy goes; then it is looked what that would change."""
    backup = visible_backup(request, pk)
    where = asked_path(path)
    copy = copy_at(request, backup, at)
    user = user_of(request)
    targets = services.targets_for(backup, list(Server.objects.visible_to(user).select_related("vm_host")))
    elsewhere = services.why_not_where_it_was(backup, at)
    form = RestoreForm(form_data(request), backup=backup, targets=targets, elsewhere=elsewhere)
    if form.is_bound and form.is_valid():
        data = form.cleaned_data
        wanted = Restore(
            backup=backup,
            at=at,
            path=path,
            target=data["target"],
            folder="" if data["where"] == ORIGIN else data["folder"],
            checksum=data["checksum"],
            delete_extra=data["delete_extra"],
        )
        try:
            row = services.ask_restore(actor_of(request), wanted)
        except (services.RestoreRefused, NotInCopy) as error:
            form.add_error(None, str(error))
        else:
            said = _("Looking what it would change.")
            return done(request, said, row.get_absolute_url(), restore_json(row))
    context = {
        "backup": backup,
        "copy": copy,
        "made_at": made_at(at),
        "shown": shown(where),
        "back": reverse("backups:copy", args=[backup.pk, at]),
        "came_from": Restore(backup=backup, path=path, target=backup.source).where,
        "copied": copied_at(backup, at),
        "elsewhere": elsewhere,
    }
    return show_form(request, "backups/restore_from.html", form, context)


def _restore(request: HttpRequest, pk: int) -> Restore:
    rows = Restore.objects.visible_to(user_of(request))
    rows = rows.select_related("backup__source", "backup__destination", "target", "job")
    return get_object_or_404(rows, pk=pk)


@require_http_methods(READ)
def restore(request: HttpRequest, pk: int) -> HttpResponse:
    """A restore: what it would change, how far it is, what came of it."""
    row = _restore(request, pk)
    context = {
        "restore": row,
        "backup": row.backup,
        "made_at": made_at(row.at),
        "changes": [(*change_words(what), name) for what, name in row.changes],
        "question": services.question(row),
        "counted": sum(row.counts.values()),
        "copied": copied_at(row.backup, row.at),
    }
    return show_page(
        request,
        "backups/restore.html",
        context,
        {**restore_json(row), "changes": row.changes, "output": row.output},
    )


@button
def begin(request: HttpRequest, pk: int) -> HttpResponse:
    """Do what the preview showed."""
    row = _restore(request, pk)
    try:
        services.begin_restore(actor_of(request), row)
    except (services.RestoreRefused, NotInCopy) as error:
        return refused(request, str(error), row.get_absolute_url())
    return done(request, _("It is being restored."), row.get_absolute_url(), restore_json(row))


@button
def look_again(request: HttpRequest, pk: int) -> HttpResponse:
    """The same restore anew, with a new preview."""
    row = _restore(request, pk)
    try:
        fresh = services.look_again(actor_of(request), row)
    except (services.RestoreRefused, NotInCopy) as error:
        return refused(request, str(error), row.get_absolute_url())
    return done(request, _("Looking what it would change."), fresh.get_absolute_url(), restore_json(fresh))


@button
def stop(request: HttpRequest, pk: int) -> HttpResponse:
    """Stop a restore or its preview."""
    return _stop(request, _restore(request, pk))


@button
def verify(request: HttpRequest, pk: int) -> HttpResponse:
    """Verify the newest copy of a backup now."""
    backup = visible_backup(request, pk)
    try:
        row = services.ask_verification(actor_of(request), backup)
    except (RunRefused, NotInCopy) as error:
        return refused(request, str(error), backup.get_absolute_url())
    said = _("The newest copy is being restored for a test, and compared.")
    return done(request, said, row.get_absolute_url(), verification_json(row))


def _verification(request: HttpRequest, pk: int) -> Verification:
    rows = Verification.objects.filter(backup__in=Backup.objects.visible_to(user_of(request)).values("pk"))
    return get_object_or_404(rows.select_related("backup__source", "backup__destination", "job"), pk=pk)


@require_http_methods(READ)
def verification(request: HttpRequest, pk: int) -> HttpResponse:
    """A verification: how far it is, or what came of it."""
    row = _verification(request, pk)
    context = {"task": row, "backup": row.backup, "made_at": made_at(row.at)}
    return show_page(
        request, "backups/verification.html", context, {**verification_json(row), "output": row.output}
    )


@button
def stop_verification(request: HttpRequest, pk: int) -> HttpResponse:
    """Stop a verification."""
    return _stop(request, _verification(request, pk))


def _stop(request: HttpRequest, row: Restore | Verification) -> HttpResponse:
    try:
        services.stop_task(actor_of(request), row)
    except RunRefused as error:
        return refused(request, str(error), row.get_absolute_url())
    return done(request, _("It is being stopped."), row.get_absolute_url())


@require_http_methods(READ)
def restores(request: HttpRequest, pk: int) -> HttpResponse:
    """The last restores and verifications of a backup."""
    backup = visible_backup(request, pk)
    mine = Restore.objects.visible_to(user_of(request)).filter(backup=backup)
    found = list(mine.select_related("target").defer("output", "changes")[:MOST_ROWS])
    checks = list(backup.verifications.defer("output")[:MOST_ROWS])
    for row in found:
        row.backup = backup
    context = {"backup": backup, "restores": found, "verifications": checks, "ready": TaskState.READY}
    data = {
        "restores": [restore_json(row) for row in found],
        "verifications": [verification_json(row) for row in checks],
    }
    return show_page(request, "backups/restores.html", context, data)
