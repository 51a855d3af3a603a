"""What a machine tells of its processes, sampled while something is at work; those of a lab's hosts, too."""

import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress


class Sampled:
    """Command lines that were seen, each with its process's environment."""

    def __init__(self) -> None:
        self.seen: set[tuple[bytes, bytes]] = set()
        self._lines: dict[str, bytes] = {}

    def ran(self, word: str) -> bool:
        """Whether a command line with this word was seen."""
        return any(word.encode() in line for line, _environment in self.seen)

    def telling(self, *words: str) -> list[bytes]:
        """The command lines of those that had one of these words in it or in their environments."""
        return [line for line, more in self.seen if any(word.encode() in line + more for word in words)]

    def look(self) -> None:
        """One look at all processes but this one: quick, for there are thousands, and some last for a moment only."""
        ours = str(os.getpid())
        for pid in os.listdir("/proc"):  # noqa: PTH208 - a Path for each takes longer than all the rest
            if not pid.isdecimal() or pid == ours:
                continue
            with suppress(OSError):
                line = _read(f"/proc/{pid}/cmdline")
                if self._lines.get(pid) == line:
                    continue  # its environment was looked at: only a program that begins has another
                self._lines[pid] = line
                more = b""
                with suppress(OSError):
                    more = _read(f"/proc/{pid}/environ")
                self.seen.add((line, more))


def _read(path: str) -> bytes:
    handle = os.open(path, os.O_RDONLY)
    try:
        pieces = []
        while piece := os.read(handle, 65536):
            pieces.append(piece)
        return b"".join(pieces)
    finally:
        os.close(handle)


@contextmanager
def processes_meanwhile() -> Iterator[Sampled]:
    """Look at all processes again and again until the end of the block."""
    sampled, over = Sampled(), threading.Event()

    def work() -> None:
        while not over.is_set():
            sampled.look()

    thread = threading.Thread(target=work)
    thread.start()
    try:
        yield sampled
    finally:
        over.set()
        thread.join()
        sampled.look()  # the last one may have begun before what is still at work
