"""What a work prints goes to its job's log, and what everybody else in this process prints goes where it always went.

A worker runs several jobs at once, each in a thread, so the streams are one for all: they look whose context it is.
"""

import sys
import threading
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

from jobs.run import Run

STREAMS = {"stdout": "out", "stderr": "err"}  # what sys calls them, and what a log does
_into: ContextVar[Run | None] = ContextVar("into", default=None)
_lock = threading.Lock()
_users: list[Run] = []  # as often as blocks are open


class _Shared:
    """Stands in the place of a stream: text of a work goes to its log, all else to the stream itself."""

    def __init__(self, real: Any, stream: str) -> None:
        self.real, self.stream = real, stream

    def write(self, text: str) -> int:
        run = _into.get()
        if run is None:
            return int(self.real.write(text) or 0)
        run.output(self.stream, text.encode(errors="replace"))
        return len(text)

    def writelines(self, texts: Iterable[str]) -> None:
        for text in texts:
            self.write(text)

    def isatty(self) -> bool:
        return _into.get() is None and bool(self.real.isatty())

    def __getattr__(self, name: str) -> Any:
        return getattr(self.real, name)


@contextmanager
def printed_into(run: Run) -> Iterator[None]:
    """Within the block, what this thread prints is in the run's log, masked and bounded as all of it.

    So is what threads print that copy its context (asyncio.to_thread does); others write where the worker does.
    """
    _share(run)
    before = _into.set(run)
    try:
        yield
    finally:
        _into.reset(before)
        run.end_lines()
        _leave(run)


def _share(run: Run) -> None:
    with _lock:
        _users.append(run)
        for name, stream in STREAMS.items():
            if not isinstance(getattr(sys, name), _Shared):
                setattr(sys, name, _Shared(getattr(sys, name), stream))


def _leave(run: Run) -> None:
    with _lock:
        _users.remove(run)
        for name in STREAMS:
            shared = getattr(sys, name)
            if not _users and isinstance(shared, _Shared):
                setattr(sys, name, shared.real)
