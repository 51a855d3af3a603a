"""When a backup is due: pure, from what was rotated and tried before. Time is divided into slots, one run for each.

The slots are of the calendar, in the zone of `now`: hours 0, 4, 8 … for "hourly" (the seed's four hours), days, weeks
from Monday, months. So whoever runs `backup_cron` a little early or late moves nothing.
"""

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime, timedelta

from backups.models import Level

HOURS = 4
SET_LATEST = timedelta(hours=1)  # a set that is later than this waits for its next time


def slot(level: Level, moment: datetime) -> tuple[int, ...]:
    """The slot in which a moment lies; moments of one zone compare."""
    if level == Level.HOURLY:
        return (moment.toordinal(), moment.hour // HOURS)
    if level == Level.DAILY:
        return (moment.toordinal(),)
    if level == Level.WEEKLY:
        return tuple(moment.isocalendar())[:2]
    return (moment.year, moment.month)


def longest_slot(level: Level) -> timedelta:
    """No slot of this level lasts longer; an hour more than it should, for when clocks are put back."""
    days = {Level.HOURLY: HOURS / 24, Level.DAILY: 1, Level.WEEKLY: 7, Level.MONTHLY: 31}[level]
    return timedelta(days=days, hours=1)


def due(
    keeps: Sequence[Level], rotated: Mapping[str, datetime], tries: Iterable[datetime], now: datetime
) -> list[Level]:
    """The levels to rotate now, the highest first, as rsnapshot(1) wants it; none while it is not its time.

    `keeps` are the levels that are kept, the lowest first; `rotated` says when each was last rotated; `tries` are
    when runs were asked for since the beginning of the slot, and may be more: one that came to nothing is tried again
    by `repeating`. A higher level is rotated together with the lowest.
    """
    lowest = keeps[0]
    if _in_slot(lowest, rotated.get(lowest), now):
        return []
    if any(_in_slot(lowest, each, now) for each in tries):
        return []
    return with_lowest(keeps, rotated, now)


def with_lowest(keeps: Sequence[Level], rotated: Mapping[str, datetime], now: datetime) -> list[Level]:
    """What a run now rotates whether or not it is its time: the lowest level, and those above that are due."""
    higher = [level for level in keeps[1:] if not _in_slot(level, rotated.get(level), now)]
    return [*reversed(higher), keeps[0]]


def _in_slot(level: Level, moment: datetime | None, now: datetime) -> bool:
    return moment is not None and slot(level, moment.astimezone(now.tzinfo)) == slot(level, now)


def set_due(hour: int, minute: int, last: datetime | None, now: datetime) -> bool:
    """Whether a set is to run: its time of day has come since it last ran, and is not more than an hour ago."""
    latest = set_time(hour, minute, now)
    return now - latest < SET_LATEST and (last is None or last < latest)


def set_missed(hour: int, minute: int, since: datetime, last: datetime | None, now: datetime) -> bool:
    """Whether a set's last time of day went by without a start; `since` is when it was given this time."""
    latest = set_time(hour, minute, now)
    return now - latest >= SET_LATEST and since < latest and (last is None or last < latest)


def set_time(hour: int, minute: int, now: datetime) -> datetime:
    """When this time of day was last."""
    today = now.replace(hour=hour, minute=minute, second=0, microsecond=0)
    return today if today <= now else today - timedelta(days=1)
