"""Notices that a backup has become older than its rhythm allows, and that it is well again; each is told once."""

from django.db import transaction
from django.utils import timezone
from django.utils.translation import gettext as _

from backups.models import Backup, BackupState, RunState
from backups.results import Summary, summaries
from backups.services.runs import here_and_now, state_of
from backups.standing import Standing
from backups.telling import STALE, visible
from jobs import schedule
from notifications.telling import tell


def look_for_stale() -> None:
    """Look at every backup. What was told is remembered, whatever becomes of the panel meanwhile."""
    backups = list(Backup.objects.select_related("source", "destination").order_by("pk"))
    told = set(BackupState.objects.exclude(stale_since=None).values_list("backup", flat=True))
    stands = summaries(backups, here_and_now())
    for backup in backups:
        summary = stands[backup.pk]
        # Its first copy may take days; whoever waits for it was told enough when it was late to begin.
        stale = bool(summary.late) and summary.standing != Standing.RUNNING
        if stale and backup.pk not in told:
            _has_become(backup, summary)
        elif not summary.late and backup.pk in told:
            _is_well(backup)


@transaction.atomic
def _has_become(backup: Backup, summary: Summary) -> None:
    state_of(backup)
    unknown = BackupState.objects.filter(backup=backup, stale_since=None)
    if unknown.update(stale_since=timezone.now()):
        words = {"levels": summary.late_words, "standing": summary.standing.label}
        text = _("Late: %(levels)s. It stands like this: %(standing)s.") % words
        if summary.last is not None and summary.last.state != RunState.DONE:
            text += f"\n{summary.why}"
        title = _("Backup of %s: stale") % backup
        tell(STALE.name, title, text, path=backup.get_absolute_url(), may_see=visible(backup))


@transaction.atomic
def _is_well(backup: Backup) -> None:
    known = BackupState.objects.filter(backup=backup).exclude(stale_since=None)
    # Switched off, it is late no more, but not well either: nobody expects anything of it.
    if known.update(stale_since=None) and backup.active:
        title = _("Backup of %s: no longer stale") % backup
        tell(STALE.name, title, path=backup.get_absolute_url(), may_see=visible(backup))


def register() -> None:
    """Put it on the schedule."""
    schedule.every("backups.look_for_stale", 120, look_for_stale)
