"""Time outside is counted once, in its own thread, and only where somebody counts."""

import threading
import time
from contextlib import suppress
from pathlib import Path

from hosts.meter import metered, outside, seconds_outside


def test_blocks_within_blocks_count_once():
    with metered() as meter:
        with outside(), outside():
            time.sleep(0.05)
        assert 0.05 <= meter.seconds < 5
        assert seconds_outside() == meter.seconds
    assert seconds_outside() == 0


def test_it_counts_what_ends_by_an_error_and_nothing_of_other_threads():
    def elsewhere() -> None:
        with outside():
            time.sleep(0.01)

    with metered() as meter:
        with suppress(OSError), outside():
            Path("/no/such/file").read_bytes()
        counted = meter.seconds
        thread = threading.Thread(target=elsewhere)
        thread.start()
        thread.join()
        assert meter.seconds == counted > 0
