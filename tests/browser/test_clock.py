"""The clock by which a change must be live two seconds after the click."""

from tests.browser.enlisted import WITHIN, Clock


class Machine:
    """A machine with a time of its own: it goes on by a tenth of a second with each look at it."""

    def __init__(self, waits: float = 0.0) -> None:
        self.at = 0.0
        self.clock = Clock(lambda: self.at * waits, self.now)

    def now(self) -> float:
        """The time there."""
        self.at += 0.1
        return self.at

    def in_time(self, seconds: float) -> bool:
        """What the clock says of that which becomes true so much later."""
        end = self.at + seconds
        return self.clock.in_time(lambda: self.at > end)


def test_what_takes_longer_is_late_on_a_machine_that_waits_for_nothing() -> None:
    assert not Machine().in_time(WITHIN + 0.5)
    assert Machine().in_time(0.5)


def test_the_time_in_which_the_machine_could_not_go_on_does_not_count() -> None:
    assert Machine(waits=0.2).in_time(WITHIN + 0.3)
    assert not Machine(waits=0.2).in_time(1.25 * WITHIN + 0.5)


def test_on_a_busy_machine_it_is_enough_that_it_comes_about() -> None:
    assert Machine(waits=0.5).in_time(10 * WITHIN)
    assert not Machine(waits=0.5).in_time(1000 * WITHIN)
