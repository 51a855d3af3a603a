"""Waiting for something to come true, in tests of every room."""

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any


def wait_for(
    what: Callable[[], Any], seconds: float = 15.0, log: Path | None = None, *, name: str = "it"
) -> Any:
    """What `what` says once it says anything; fails after `seconds`, with the log, when it never does."""
    until = time.monotonic() + seconds
    while not (said := what()):
        words = log.read_text() if log else ""
        assert time.monotonic() < until, f"{name} did not come about in {seconds:g} s\n{words}"
        time.sleep(0.05)
    return said
