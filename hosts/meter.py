"""Counts the time that a piece of work spends on what lies outside the panel: hosts, Proxmox, other services."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass


@dataclass
class Meter:
    """Seconds that its block has spent outside so far."""

    seconds: float = 0.0
    depth: int = 0


_current: ContextVar[Meter | None] = ContextVar("outside_meter", default=None)


@contextmanager
def metered() -> Iterator[Meter]:
    """Count within the block, in this thread; threads that it starts are not counted."""
    meter = Meter()
    token = _current.set(meter)
    try:
        yield meter
    finally:
        _current.reset(token)


@contextmanager
def outside() -> Iterator[None]:
    """The block waits for, or speaks with, something outside. Blocks within blocks count once."""
    meter = _current.get()
    if meter is None or meter.depth:
        yield
        return
    meter.depth += 1
    began = time.monotonic()
    try:
        yield
    finally:
        meter.depth -= 1
        meter.seconds += time.monotonic() - began


def seconds_outside() -> float:
    """What the innermost `metered` block of this thread has counted; 0 without one."""
    meter = _current.get()
    return meter.seconds if meter else 0.0
