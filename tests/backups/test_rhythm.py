"""When a backup is due, with a clock that is moved."""

from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

from hypothesis import given
from hypothesis import strategies as st

from backups.models import Level
from backups.rhythm import due, set_due, slot, with_lowest

BERLIN = ZoneInfo("Europe/Berlin")
ALL = tuple(Level)


def at(text: str) -> datetime:
    """A moment in Berlin."""
    return datetime.fromisoformat(text).replace(tzinfo=BERLIN)


def names(levels: list[Level]) -> list[str]:
    """As they are written."""
    return [level.value for level in levels]


def test_a_new_backup_is_due_with_all_its_levels_the_highest_first():
    assert names(due(ALL, {}, (), at("2026-03-10 10:00"))) == ["monthly", "weekly", "daily", "hourly"]


def test_every_four_hours_one_run():
    rotated = dict.fromkeys(Level.values, at("2026-03-10 08:00"))
    assert due(ALL, rotated, (), at("2026-03-10 11:59")) == []
    assert names(due(ALL, rotated, (), at("2026-03-10 12:00"))) == ["hourly"]


def test_a_day_a_week_and_a_month_each_once():
    rotated = dict.fromkeys(Level.values, at("2026-02-27 20:00"))  # a Friday
    assert names(due(ALL, rotated, (), at("2026-02-28 00:00"))) == ["daily", "hourly"]
    assert names(due(ALL, rotated, (), at("2026-03-01 00:00"))) == ["monthly", "daily", "hourly"]  # a Sunday
    rotated["monthly"] = at("2026-03-01 00:00")
    assert names(due(ALL, rotated, (), at("2026-03-02 00:00"))) == ["weekly", "daily", "hourly"]


def test_a_month_of_runs_by_a_moved_clock_rotates_each_level_as_often_as_it_should():
    rotated: dict[str, datetime] = {}
    count = dict.fromkeys(Level, 0)
    now = at("2026-03-02 00:00")
    for _minute in range(28 * 24 * 12):  # every five minutes of four weeks
        for level in due(ALL, rotated, (), now):
            rotated[level] = now
            count[level] += 1
        now += timedelta(minutes=5)
    assert count == {Level.HOURLY: 28 * 6, Level.DAILY: 28, Level.WEEKLY: 4, Level.MONTHLY: 1}


def test_clocks_that_go_forward_or_back_neither_skip_nor_double_a_day():
    for first in ("2026-03-28 00:00", "2026-10-24 00:00"):  # the nights in which Berlin changes its clocks
        rotated: dict[str, datetime] = {}
        days = 0
        now = at(first).astimezone(ZoneInfo("UTC"))
        for _step in range(3 * 24 * 4):
            here = now.astimezone(BERLIN)
            for level in due((Level.HOURLY, Level.DAILY), rotated, (), here):
                rotated[level] = here
                days += level == Level.DAILY
            now += timedelta(minutes=15)
        assert days in {3, 4}  # the fourth has begun where a day was shorter


def test_a_higher_level_waits_for_the_lowest_to_run():
    rotated = {"hourly": at("2026-03-10 00:00"), "daily": at("2026-03-09 00:00")}
    assert due((Level.HOURLY, Level.DAILY), rotated, (), at("2026-03-10 01:00")) == []


def test_what_was_tried_is_due_again_in_the_next_slot():
    held = at("2026-03-10 04:00")
    assert due((Level.HOURLY,), {}, [held], at("2026-03-10 07:59")) == []
    assert due((Level.HOURLY,), {}, [held], at("2026-03-10 08:00"))


def test_a_backup_without_hourly_copies_runs_once_a_day():
    keeps = (Level.DAILY, Level.WEEKLY)
    rotated = {"daily": at("2026-03-10 00:00"), "weekly": at("2026-03-10 00:00")}
    assert due(keeps, rotated, (), at("2026-03-10 23:59")) == []
    assert names(due(keeps, rotated, (), at("2026-03-11 00:00"))) == ["daily"]


def test_by_hand_the_lowest_level_runs_at_any_time():
    rotated = dict.fromkeys(Level.values, at("2026-03-10 08:00"))
    assert names(with_lowest(ALL, rotated, at("2026-03-10 08:01"))) == ["hourly"]


@given(
    st.sampled_from(list(Level)),
    st.datetimes(datetime(2020, 1, 1), datetime(2035, 1, 1)),  # noqa: DTZ001 - as the clock on the wall
    st.timedeltas(timedelta(0), timedelta(days=40)),
)
def test_slots_never_go_back_in_time(level, moment, later):
    assert slot(level, moment) <= slot(level, moment + later)


def test_a_set_runs_once_a_day_at_its_time_and_not_hours_late():
    now = at("2026-03-10 22:03")
    assert set_due(22, 0, None, now)
    assert set_due(22, 0, at("2026-03-09 22:00"), now)
    assert not set_due(22, 0, at("2026-03-10 22:01"), now)
    assert not set_due(22, 0, None, at("2026-03-10 21:59"))
    assert not set_due(22, 0, None, at("2026-03-11 03:00"))
    assert set_due(23, 50, at("2026-03-09 23:50"), at("2026-03-11 00:10"))
