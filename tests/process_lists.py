"""What a machine tells of its processes, sampled while something is at work; those of a lab's hosts, too."""

import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path


class Sampled:
    """Command lines that were seen, each with its process's environment."""

    def __init__(self) -> None:
        self.seen: set[tuple[bytes, bytes]] = set()

    def ran(self, word: str) -> bool:
        """Whether a command line with this word was seen."""
        return any(word.encode() in line for line, _environment in self.seen)

    def telling(self, *words: str) -> list[bytes]:
        """The command lines of those that had one of these words in it or in their environments."""
        return [line for line, more in self.seen if any(word.encode() in line + more for word in words)]

    def look(self) -> None:
        """One look at all processes but this one."""
        for folder in Path("/proc").iterdir():
            if not folder.name.isdecimal() or int(folder.name) == os.getpid():
                continue
            with suppress(OSError):
                self.seen.add(((folder / "cmdline").read_bytes(), (folder / "environ").read_bytes()))


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
