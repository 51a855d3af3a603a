"""What the pages of backups share: finding the backup, and backups as JSON."""

from typing import Any

from django.http import HttpRequest
from django.shortcuts import get_object_or_404

from accounts.permissions import user_of
from backups.models import Backup
from backups.results import Summary
from backups.services.plans import facts_of


def visible_backup(request: HttpRequest, pk: int) -> Backup:
    """The backup, if the signed-in user may see it; else 404."""
    rows = Backup.objects.visible_to(user_of(request))
    return get_object_or_404(rows.select_related("source__vm_host", "destination", "state"), pk=pk)


def backup_json(backup: Backup, summary: Summary) -> dict[str, Any]:
    """A backup for programs."""
    return {
        "id": backup.pk,
        "uuid": str(backup.uuid),
        **facts_of(backup),
        "version": backup.version,
        "state": summary.standing.value,
        "late": [level.value for level in summary.late],
        "verification": summary.proved.words if summary.unproved else "",
        "next_run": summary.next_run,
        **summary.figures,
    }
