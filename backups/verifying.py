"""Whether the copies of a backup were proved to be restorable lately."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime

from django.db.models import OuterRef, Subquery
from django.utils import timezone
from django.utils.translation import gettext as _

from backups.models import Backup, TaskState, Verification
from backups.services.restores import LATE

BAD = (TaskState.FAILED, TaskState.INCOMPLETE, TaskState.LOST)


@dataclass(frozen=True)
class Verified:
    """The last verification that came to an end, and whether somebody should look at it."""

    last: Verification | None = None
    running: Verification | None = None
    good_at: datetime | None = None
    failed: bool = False
    overdue: bool = False

    @property
    def red(self) -> bool:
        """Whether it failed, or is too long ago."""
        return self.failed or self.overdue

    @property
    def words(self) -> str:
        """What is wrong, in a sentence; empty if nothing is."""
        if self.failed and self.last:
            return _("The copy could not be verified. %s") % self.last.error
        if self.overdue:
            return _("The copies have not been verified for too long.")
        return ""


def verified(backups: Iterable[Backup], now: datetime | None = None) -> dict[int, Verified]:
    """How each of these backups was verified, by primary key; two queries."""
    now = now or timezone.now()
    rows = list(backups)
    of = Verification.objects.filter(backup=OuterRef("pk")).order_by("-asked_at", "-pk").values("pk")
    ended = of.filter(state__in=[TaskState.DONE, *BAD])
    picked = Backup.objects.filter(pk__in=[row.pk for row in rows]).annotate(
        last_pk=Subquery(ended[:1]),
        good_pk=Subquery(of.filter(state=TaskState.DONE)[:1]),
        running_pk=Subquery(of.filter(state=TaskState.RUNNING)[:1]),
    )
    ids = {pk: found for pk, *found in picked.values_list("pk", "last_pk", "good_pk", "running_pk")}
    wanted = {one for found in ids.values() for one in found if one}
    tasks = Verification.objects.defer("output").in_bulk(wanted)
    return {row.pk: _of(row, [tasks.get(one) for one in ids.get(row.pk, (None,) * 3)], now) for row in rows}


def _of(backup: Backup, found: list[Verification | None], now: datetime) -> Verified:
    last, good, running = found
    good_at = good.ended_at if good else None
    every = backup.verify_every
    since = good_at or backup.created_at
    overdue = bool(backup.active and every and now - since > every * LATE)
    return Verified(last, running, good_at, bool(last and last.state in BAD), overdue)
