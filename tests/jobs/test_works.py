from datetime import UTC, datetime, timedelta
from itertools import pairwise

import pytest

from jobs import works
from jobs.execute import next_try
from jobs.models import Job
from tests.jobs.works import HostAwayError

NOW = datetime(2030, 1, 1, tzinfo=UTC)


def tries(job: Job, chance: float) -> list[datetime]:
    """When it would be tried, if each try failed at once."""
    found, now = [], NOW
    while when := next_try(job, HostAwayError(), now, lambda: chance):
        found.append(when)
        job.attempt += 1
        now = when
    return found


def failing(work: str = "tests.careful", **fields) -> Job:
    return Job(work=work, attempt=1, retry_seconds=300, retry_until=NOW + timedelta(hours=24), **fields)


def test_retries_begin_after_five_minutes_and_end_after_a_day():
    found = tries(failing(), 0.5)
    assert found[0] == NOW + timedelta(seconds=300)
    assert NOW + timedelta(hours=22) < found[-1] <= NOW + timedelta(hours=24)


def test_waits_grow_to_an_hour_and_never_shrink():
    found = [NOW, *tries(failing(), 0.5)]
    waits = [b - a for a, b in pairwise(found)]
    assert waits == sorted(waits)
    assert waits[-1] == timedelta(hours=1)


def test_waits_differ_by_up_to_a_tenth():
    early, late = tries(failing(), 0.0)[0], tries(failing(), 1.0)[0]
    assert (early - NOW, late - NOW) == (timedelta(seconds=270), timedelta(seconds=330))


def test_only_listed_errors_of_repeatable_works_are_retried():
    assert next_try(failing(), ZeroDivisionError(), NOW) is None
    assert next_try(failing("tests.once_only"), HostAwayError(), NOW) is None
    assert next_try(failing("gone.with_its_room"), HostAwayError(), NOW) is None
    assert next_try(Job(work="tests.careful", attempt=1), HostAwayError(), NOW) is None


def test_two_works_cannot_have_one_name():
    with pytest.raises(ValueError, match=r"tests\.note"):
        works.register("tests.note")(lambda run: None)
