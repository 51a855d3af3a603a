"""Whether a backup is as it should be: pure, from when each level last went well and how the last run ended."""

from calendar import monthrange
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from django.db import models
from django.utils.translation import gettext_lazy as _

from backups.models import Level
from backups.rhythm import HOURS, slot

DAY = timedelta(days=1)


class Standing(models.TextChoices):
    """How a backup stands; everything but good, running and switched off is red."""

    HELD = "held", _("held")
    FAILED = "failed", _("failed")
    OVERDUE = "overdue", _("stale")
    NEVER = "never", _("never run")
    RUNNING = "running", _("running")
    OFF = "off", _("switched off")
    GOOD = "ok", _("good")

    @property
    def red(self) -> bool:
        """Whether somebody should look at it."""
        return self in {Standing.HELD, Standing.FAILED, Standing.OVERDUE, Standing.NEVER}


class Ended(models.TextChoices):
    """How the last run ended, as far as the standing is concerned."""

    NOT_YET = "", _("not run yet")
    RUNNING = "running", _("running")
    GOOD = "good", _("good")
    HELD = "held", _("held")
    FAILED = "failed", _("failed")


@dataclass(frozen=True)
class Facts:
    """What the standing depends on. `good`: when the last run that rotated a level began.

    `can`: the levels above the lowest for which there is a copy to take over from the level below.
    """

    active: bool
    created_at: datetime
    keeps: tuple[Level, ...]  # the lowest first
    good: Mapping[Level, datetime] = field(default_factory=dict)
    last: Ended = Ended.NOT_YET
    can: frozenset[Level] = frozenset()
    tried_at: datetime | None = None  # when the last run began, whatever came of it


def allowed(level: Level) -> timedelta:
    """How old the last good run of a level may be: one may be missed, but no more than a day."""
    return level.every + min(level.every, DAY)


def late_levels(facts: Facts, now: datetime) -> list[Level]:
    """The levels whose last good run is older than their rhythm allows.

    The lowest counts from the start if it never ran. A higher one is late only if there is a copy that it should
    have taken over, and not before its first time: that comes when the level below has all of its copies.
    """
    found = []
    for level in facts.keeps:
        last = facts.good.get(level)
        if level == facts.keeps[0]:
            last = last or facts.created_at
        elif level not in facts.can:
            continue
        if last and now - last > allowed(level):
            found.append(level)
    return found


def next_run(facts: Facts, now: datetime) -> datetime | None:
    """When the lowest level is due again; None while switched off, `now` when it is due already.

    `now` is in the panel's time zone: the slots of rhythm begin by its calendar.
    """
    if not facts.active or not facts.keeps:
        return None
    level = facts.keeps[0]
    for moment in (facts.good.get(level), facts.tried_at):
        if moment and slot(level, moment.astimezone(now.tzinfo)) == slot(level, now):
            return _slot_end(level, now)
    return now


def _slot_end(level: Level, now: datetime) -> datetime:
    midnight = now.replace(hour=0, minute=0, second=0, microsecond=0)
    if level == Level.HOURLY:
        return midnight + timedelta(hours=now.hour // HOURS * HOURS + HOURS)
    days = {Level.DAILY: 1, Level.WEEKLY: 7 - now.weekday()}.get(level)
    if days is None:  # the first of the next month
        days = monthrange(now.year, now.month)[1] - now.day + 1
    return midnight + timedelta(days=days)


def standing(facts: Facts, now: datetime) -> Standing:
    """How the backup stands now; of several troubles, the one to see to first."""
    late = facts.active and bool(late_levels(facts, now))
    if (
        facts.last == Ended.RUNNING
    ):  # one that hangs must not hide that it is late; a first copy may take days
        return Standing.OVERDUE if late and facts.good else Standing.RUNNING
    if facts.last == Ended.HELD:
        return Standing.HELD
    if not facts.active:
        return Standing.OFF
    if facts.last == Ended.FAILED:
        return Standing.FAILED
    if not facts.good:
        return Standing.NEVER
    return Standing.OVERDUE if late else Standing.GOOD
