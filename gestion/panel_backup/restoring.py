"""What a restore checks before it changes anything, and what it puts in order afterwards."""

from collections.abc import Iterable, Iterator
from datetime import timedelta

from django.conf import settings
from django.contrib.sessions.models import Session
from django.db import connection
from django.db.migrations.loader import MigrationLoader
from django.utils import timezone

from accounts.actors import Actor
from accounts.audit import record
from accounts.models import User
from gestion.panel_backup import archive, database
from gestion.panel_backup.archive import Archive
from jobs import hooks
from jobs.models import ENDED, Job, JobState, WorkerState
from jobs.pulse import DEAD_AFTER


def refusals(found: Archive, *, replace: bool, secrets_go_somewhere: bool) -> Iterator[str]:
    """Every reason not to restore this archive here and now, each as a sentence that says what to do."""
    yield from not_for_this_panel(found)
    yield from _in_use(replace=replace)
    if not (found.fits_our_keys() or secrets_go_somewhere):
        yield (
            "The secrets in this backup were encrypted with other keys than this panel's. "
            + (
                "Say --secrets-to FILE, then put the lines of that file in the place of those in your settings."
                if found.secrets
                else "It was made without its secrets: set GESTION_ENCRYPTION_KEYS and SECRET_KEY as they were."
            )
        )


def not_for_this_panel(found: Archive) -> Iterator[str]:
    """Every reason that will not go away by ending the panel or giving an option."""
    if found.manifest["database"] != database.file_name():
        yield (
            f"The backup holds a {found.manifest['database']}, and this panel's database is another kind. "
            "Set DATABASE_URL as it was where the backup was made."
        )
    if unknown := unknown_migrations((app, name) for app, name in found.manifest["migrations"]):
        yield (
            f"The backup is of a newer panel, version {found.manifest['version']} (this is {settings.VERSION}; "
            f"it knows nothing of {', '.join(unknown[:3])}). Install that version first."
        )


def _in_use(*, replace: bool) -> Iterator[str]:
    tables = connection.introspection.table_names()
    alive = timezone.now() - timedelta(seconds=DEAD_AFTER)
    if WorkerState._meta.db_table in tables and WorkerState.objects.filter(heartbeat_at__gte=alive).exists():
        yield (
            "The panel runs. End it first (systemctl stop gestion.target 'gestion-*.service'); a worker that was "
            f"killed counts as alive for {DEAD_AFTER:.0f} s."
        )
    if not replace and User._meta.db_table in tables and User.objects.exists():
        yield "This panel has accounts already. Say --replace to put the backup in the place of all it holds."


def unknown_migrations(applied: Iterable[tuple[str, str]]) -> list[str]:
    """Which of these (app and name) this version of the panel does not have: a newer one does."""
    known = MigrationLoader(None).disk_migrations
    return [f"{app}.{name}" for app, name in applied if (app, name) not in known]


def differing_secrets(found: Archive) -> dict[str, str]:
    """The backup's secrets that this panel has not, or has otherwise."""
    ours = archive.own_secrets()
    return {name: value for name, value in found.secrets.items() if ours.get(name) != value}


def put_in_order(made_at: str) -> int:
    """After the rows are back: what was under way then is not now. Returns how many jobs were given up."""
    now = timezone.now()
    WorkerState.objects.all().delete()
    Session.objects.all().delete()  # one that was ended since must not come back
    given_up = 0
    for job in Job.objects.exclude(state__in=ENDED):
        Job.objects.filter(pk=job.pk).update(
            state=JobState.LOST, ended_at=now, secrets="", once_key="",
            error=f"The panel was restored from a backup of {made_at}; what became of this job is not known.",
            acknowledged_at=now, acknowledged_by="restore",
        )  # fmt: skip
        job.refresh_from_db()
        hooks.ended(job)
        given_up += 1
    record(Actor.system("restore"), "panel.restore", after={"made_at": made_at, "jobs_given_up": given_up})
    return given_up
