"""When a backup is good, and what is wrong with one that is not."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from backups.models import Level
from backups.standing import Ended, Facts, Standing, allowed, late_levels, next_run, standing

START = datetime(2026, 1, 1, tzinfo=UTC)
ALL = tuple(Level)
HOUR = timedelta(hours=1)


def facts(**fields) -> Facts:
    return Facts(**{"active": True, "created_at": START, "keeps": ALL, "last": Ended.GOOD, **fields})


@pytest.mark.parametrize(
    ("level", "hours"), [("hourly", 8), ("daily", 48), ("weekly", 8 * 24), ("monthly", 32 * 24)]
)
def test_one_run_may_be_missed_but_no_more_than_a_day(level, hours):
    good = facts(keeps=(Level(level),), good={Level(level): START})
    assert allowed(Level(level)) == hours * HOUR
    assert standing(good, START + hours * HOUR) == Standing.GOOD
    assert standing(good, START + hours * HOUR + timedelta(seconds=1)) == Standing.OVERDUE


def test_a_higher_level_is_late_only_when_there_is_a_copy_that_it_should_have_taken_over():
    now = START + timedelta(days=5)
    good = {Level.HOURLY: now, Level.DAILY: START}
    assert late_levels(facts(good=good), now) == []
    assert late_levels(facts(good=good, can=frozenset({Level.DAILY})), now) == [Level.DAILY]
    assert late_levels(facts(good={Level.HOURLY: now}, can=frozenset({Level.DAILY})), now) == []


def test_a_backup_that_never_ran_is_red_from_the_start():
    assert standing(facts(last=Ended.NOT_YET), START) == Standing.NEVER
    assert next_run(facts(last=Ended.NOT_YET), START) == START


@pytest.mark.parametrize(("last", "stands"), [("held", "held"), ("failed", "failed"), ("running", "running")])
def test_how_the_last_run_ended_counts_before_its_age(last, stands):
    assert standing(facts(last=Ended(last), good={Level.HOURLY: START}), START) == Standing(stands)


def test_a_run_that_hangs_does_not_hide_that_the_backup_is_stale():
    week = START + timedelta(days=7)
    assert standing(facts(last=Ended.RUNNING, good={Level.HOURLY: START}), week) == Standing.OVERDUE
    assert standing(facts(last=Ended.RUNNING), week) == Standing.RUNNING  # the first copy


def test_switched_off_is_not_red_unless_it_is_held():
    assert standing(facts(active=False), START + timedelta(days=99)) == Standing.OFF
    assert standing(facts(active=False, last=Ended.HELD), START) == Standing.HELD
    assert next_run(facts(active=False), START) is None


@pytest.mark.parametrize(
    ("level", "now", "then"),
    [
        ("hourly", "2026-03-31 03:59", "2026-03-31 04:00"),
        ("hourly", "2026-03-31 21:00", "2026-04-01 00:00"),
        ("daily", "2026-12-31 12:00", "2027-01-01 00:00"),
        ("weekly", "2026-03-29 12:00", "2026-03-30 00:00"),  # a Sunday
        ("weekly", "2026-03-30 00:00", "2026-04-06 00:00"),
        ("monthly", "2026-12-01 12:00", "2027-01-01 00:00"),
        ("monthly", "2028-02-29 12:00", "2028-03-01 00:00"),
    ],
)
def test_the_next_run_is_at_the_beginning_of_the_next_slot(level, now, then):
    now, then = (datetime.fromisoformat(text).replace(tzinfo=UTC) for text in (now, then))
    kind = Level(level)
    assert next_run(facts(keeps=(kind,), good={kind: now}), now) == then
    assert next_run(facts(keeps=(kind,), last=Ended.HELD, tried_at=now), now) == then
    assert next_run(facts(keeps=(kind,), good={kind: now}), then) == then


moments = st.datetimes(datetime(2026, 1, 1), datetime(2027, 1, 1), timezones=st.just(UTC))  # noqa: DTZ001


@given(
    st.dictionaries(st.sampled_from(ALL), moments), moments, st.timedeltas(timedelta(), timedelta(days=99))
)
def test_what_is_late_stays_late_until_it_runs(good, now, later):
    all_can = facts(good=good, can=frozenset(ALL))
    assert set(late_levels(all_can, now)) <= set(late_levels(all_can, now + later))
