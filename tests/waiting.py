"""Waiting for something to come true, in tests of every room.

A test waits for a state, never for a time. The time here is only what a machine that is busy with other things may
need: a test that passes does not use it up.
"""

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

PATIENCE_SECONDS = 60.0


def wait_for(
    what: Callable[[], Any], seconds: float = PATIENCE_SECONDS, log: Path | None = None, *, name: str = "it"
) -> Any:
    """What `what` says once it says anything; fails after `seconds`, with the log, when it never does."""
    until = time.monotonic() + seconds
    while not (said := what()):
        words = log.read_text() if log else ""
        assert time.monotonic() < until, f"{name} did not come about in {seconds:g} s\n{words}"
        time.sleep(0.05)
    return said
