"""The clock by which a change must be live two seconds after the click."""

import time
from collections.abc import Callable

from tests.browser.enlisted import WITHIN, Clock


def after(seconds: float) -> Callable[[], bool]:
    """What becomes true so much later."""
    end = time.monotonic() + seconds
    return lambda: time.monotonic() > end


def test_what_takes_longer_is_late_on_a_machine_that_waits_for_nothing() -> None:
    assert not Clock(lambda: 0.0).in_time(after(WITHIN + 0.1))
    assert Clock(lambda: 0.0).in_time(after(0.1))


def test_the_time_in_which_the_machine_could_not_go_on_does_not_count() -> None:
    assert Clock(lambda: time.monotonic() / 2).in_time(after(WITHIN + 0.5))
    assert not Clock(lambda: time.monotonic() / 2).in_time(after(2 * WITHIN + 0.5))
