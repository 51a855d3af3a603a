"""Pages of copies: what is in them, folder by folder; download a file."""

import datetime
from collections.abc import AsyncIterator
from typing import Any

from asgiref.sync import sync_to_async
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseBase, StreamingHttpResponse
from django.urls import reverse
from django.utils.http import content_disposition_header
from django.utils.translation import gettext as _
from django.views.decorators.http import require_http_methods

from accounts.actors import actor_of
from accounts.audit import record
from accounts.permissions import user_of
from accounts.streams import while_allowed
from backups.earlier import copied_at
from backups.inside_copies import NoPath, file_name, parent_of, path_of, shown, token_of
from backups.models import Backup
from backups.reading_copies import (
    CHUNK,
    Entry,
    NotInCopy,
    copies_of,
    copy_name,
    file_part,
    file_size,
    parents,
)
from backups.rights import of_copy
from backups.services import restores as services
from backups.views.common import visible_backup
from hosts.errors import HostError
from jobs.rights import may_operate
from pages.answers import done, refused, show_page
from pages.buttons import button
from servers.connect import connect
from servers.words import sentence

READ = ["GET", "HEAD"]


def asked_path(token: str) -> bytes:
    """The path of a URL; 404 for what is none."""
    try:
        return path_of(token)
    except NoPath:
        raise Http404 from None


def copy_at(request: HttpRequest, backup: Backup, at: int) -> str:
    """The name of the copy of this time; 404 when it is not there, or of a server that is not this person's."""
    if not may_operate(user_of(request), of_copy(backup, at)):
        raise Http404(_("This copy was made when the backup had another source, which is not yours."))
    try:
        return copy_name(backup, at)
    except NotInCopy as error:
        raise Http404(str(error)) from None


def made_at(at: int) -> datetime.datetime:
    """When a copy was made."""
    return datetime.datetime.fromtimestamp(at, datetime.UTC)


def entry_json(entry: Entry) -> dict[str, Any]:
    """A thing in a folder, for programs."""
    names = ("kind", "mode", "user", "group", "size", "modified", "path", "link")
    return {"name": entry.name, **{name: getattr(entry, name) for name in names}}


# The same pages for the whole copy, which has no path.
WHOLE = {"copy_folder": "copy", "read_again": "read_copy_again", "restore_from": "restore_copy"}


@require_http_methods(READ)
def folder(request: HttpRequest, pk: int, at: int, path: str = "") -> HttpResponse:
    """A folder of a copy; while it is being read, the job that does it."""
    backup = visible_backup(request, pk)
    where = asked_path(path)
    copy = copy_at(request, backup, at)
    row = services.folder_of(actor_of(request), backup, at, path)
    entries = [Entry(**entry) for entry in row.entries]
    context = {
        "backup": backup,
        "copy": copy,
        "copies": [(name, one, made_at(one)) for name, one in copies_of(backup)],
        "at": at,
        "made_at": made_at(at),
        "path": path,
        "copied": copied_at(backup, at),
        "shown": shown(where),
        "up": token_of(parent_of(where)) if where else None,
        "way": list(parents(where)),
        "row": row,
        "entries": [(entry, made_at(int(entry.modified))) for entry in entries],
        "reading": row.read_at is None and not row.error,
        "restore_url": _url("restore_from", backup, at, path),
    }
    data = {
        "copy": copy, "at": at, "path": path, "reading": context["reading"], "error": row.error,
        "total": row.total, "entries": [entry_json(entry) for entry in entries],
    }  # fmt: skip
    return show_page(request, "backups/folder.html", context, data)


def _url(name: str, backup: Backup, at: int, path: str) -> str:
    if path:
        return reverse(f"backups:{name}", args=[backup.pk, at, path])
    return reverse(f"backups:{WHOLE[name]}", args=[backup.pk, at])


@button
def read_again(request: HttpRequest, pk: int, at: int, path: str = "") -> HttpResponse:
    """Read the folder once more, after it could not be read."""
    backup = visible_backup(request, pk)
    asked_path(path)
    copy_at(request, backup, at)
    services.folder_of(actor_of(request), backup, at, path, again=True)
    return done(request, _("It is being read again."), _url("copy_folder", backup, at, path))


@button
def download(request: HttpRequest, pk: int, at: int, path: str) -> HttpResponseBase:
    """The bytes of a file of a copy, as they come from the backup server; never shown by the browser itself."""
    backup = visible_backup(request, pk)
    where = asked_path(path)
    copy = copy_at(request, backup, at)
    try:
        with connect(backup.destination) as host:
            size = file_size(host, backup, at, where)
    except (NotInCopy, HostError) as error:
        words = sentence(error) if isinstance(error, HostError) else str(error)
        return refused(request, words, _url("copy_folder", backup, at, token_of(parent_of(where))))
    record(
        actor_of(request),
        "backup.download",
        backup,
        after={"file": shown(where), "copy": copy, "bytes": size},
    )
    headers = {
        "Content-Length": str(size),
        "Content-Disposition": content_disposition_header(True, file_name(where)) or "attachment",
        "X-Content-Type-Options": "nosniff",
        "Content-Security-Policy": "sandbox; default-src 'none'",
        "Cache-Control": "no-store",
        "X-Accel-Buffering": "no",
    }
    chunks = while_allowed(
        request,
        user_of(request),
        _chunks(backup, at, where, size),
        Backup.objects.visible_to,
        backup.pk,
    )
    return StreamingHttpResponse(chunks, content_type="application/octet-stream", headers=headers)


async def _chunks(backup: Backup, at: int, path: bytes, size: int) -> AsyncIterator[bytes]:
    """The file piece by piece, so that no more than a piece is held in memory.

    An error ends the answer before its announced length, so that nobody takes a part for the whole; so does the end of
    the right to read it.
    """

    def piece(start: int) -> bytes:
        with connect(backup.destination) as host:
            return file_part(host, backup, at, path, start)

    sent = 0
    while sent < size:
        data = await sync_to_async(piece, thread_sensitive=False)(sent)
        if not data or sent + len(data) > size or (len(data) < CHUNK and sent + len(data) != size):
            raise ConnectionError(f"The file ended after {sent + len(data)} of {size} bytes.")
        sent += len(data)
        yield data
