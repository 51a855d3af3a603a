"""Faults on demand: a server that is slow, refuses, loses answers, or lies about how a task ended.

`server.faults.add(Slow(5, path="*/lxc"))`, and `remove` or `clear` to be well again. In a world file:
"faults": [{"kind": "Slow", "seconds": 5, "path": "*/lxc"}]. They are no part of the API's own paths.
"""

import fnmatch
import json
import threading
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any, TypeVar

Json = dict[str, Any]


@dataclass(eq=False)
class Fault:
    """Hits requests with this method and path ("*/lxc/*/config"; from after /api2/json), `times` of them."""

    method: str = "*"
    path: str = "*"
    times: int | None = None

    def hits(self, method: str, path: str) -> bool:
        """Return whether a request is meant."""
        return fnmatch.fnmatchcase(method, self.method) and fnmatch.fnmatchcase(path, self.path)


@dataclass(eq=False)
class Slow(Fault):
    """Answers only after some seconds; a very large number is a server that hangs."""

    seconds: float = 5.0
    after: bool = False
    """Do the work first: a client that gives up has still changed something."""


@dataclass(eq=False)
class Refuses(Fault):
    """Answers with a status and a reason: 595 "No route to host", 596 "Connection timed out", 503 …"""

    status: int = 595
    reason: str = "No route to host"
    after: bool = False
    """Do the work first, and then say that it was refused."""


@dataclass(eq=False)
class Drops(Fault):
    """Closes the connection without an answer."""

    after: bool = False


@dataclass(eq=False)
class Lacks(Fault):
    """Rights are missing: nobody but root@pam has these privileges."""

    privileges: tuple[str, ...] = ()


@dataclass(eq=False)
class Locked(Fault):
    """A guest is locked for as long as this lasts: something goes on with it, a backup for instance."""

    vmid: int = 0
    lock: str = "backup"


@dataclass(eq=False)
class IdTaken(Fault):
    """Somebody else makes a container with the wanted id just before we look whether it is free."""

    name: str = "somebody-elses"


@dataclass(eq=False)
class TaskFails(Fault):
    """A task of this type ("vzcreate"; "*") ends with this message, `seconds` late; `path` is its guest's id.

    `done`: it has done all its work before: a create says failed, and the container is there.
    """

    type: str = "*"
    message: str = "command 'lab' failed: exit code 1"
    seconds: float = 0.0
    done: bool = False

    def hits(self, method: str, path: str) -> bool:
        """Return whether a task is meant, by its type and its guest's id."""
        return fnmatch.fnmatchcase(method, self.type) and fnmatch.fnmatchcase(path, self.path)


ALL: tuple[type[Fault], ...] = (Slow, Refuses, Drops, Lacks, Locked, IdTaken, TaskFails)
KINDS = {kind.__name__: kind for kind in ALL}
F = TypeVar("F", bound=Fault)


def from_json(data: Json) -> Fault:
    """Return the fault that {"kind": "Slow", …} describes."""
    kind = KINDS[data["kind"]]
    known = {item.name for item in fields(kind)}
    return kind(**{key: value for key, value in data.items() if key in known})


def to_json(fault: Fault) -> Json:
    """Return the fault as a world file has it."""
    return {"kind": type(fault).__name__, **asdict(fault)}


def write_faults(file: Path, faults: Sequence[Fault]) -> None:
    """Write down the faults that a server is to have, whole or not at all: it may be reading."""
    new = file.with_suffix(".new")
    new.write_text(json.dumps([to_json(fault) for fault in faults]))
    new.rename(file)


class Faults:
    """The faults a server has at present. With a file: those in it, read again when it changes."""

    def __init__(self, file: Path | None = None) -> None:
        self._faults: list[Fault] = []
        self._lock = threading.Lock()
        self._changed = threading.Condition(self._lock)
        self._file = file
        # Of the file: its time, which two that are written at once may share, and its number.
        self._read = (0, 0)

    def add(self, fault: F) -> F:
        """Begin a fault; give the result to `remove`."""
        with self._lock:
            self._faults.append(fault)
        return fault

    def remove(self, fault: Fault) -> None:
        """End a fault, also for requests that it holds up."""
        with self._changed:
            self._faults = [other for other in self._faults if other is not fault]
            self._changed.notify_all()

    def clear(self) -> None:
        """End all faults."""
        with self._changed:
            self._faults.clear()
            self._changed.notify_all()

    def take(self, kind: type[F], method: str, path: str, *, after: bool = False) -> F | None:
        """Return the fault of a kind that hits, counting it down; None if there is none.

        `after`: the work is done and its answer is next, which is when some faults hit.
        """
        self._refresh()
        with self._lock:
            for fault in self._faults:
                timely = getattr(fault, "after", False) == after
                if isinstance(fault, kind) and timely and fault.hits(method, path) and fault.times != 0:
                    if fault.times is not None:
                        fault.times -= 1
                    return fault
        return None

    def lacking(self) -> set[str]:
        """Return the privileges that nobody has at present."""
        self._refresh()
        with self._lock:
            found = [fault for fault in self._faults if isinstance(fault, Lacks)]
        return {privilege for fault in found for privilege in fault.privileges}

    def locks(self) -> dict[int, str]:
        """Return the guests that are locked at present, and for what."""
        self._refresh()
        with self._lock:
            return {fault.vmid: fault.lock for fault in self._faults if isinstance(fault, Locked)}

    def hold_up(self, slow: Slow) -> None:
        """Wait as long as the fault says, or until it is removed."""
        deadline = time.monotonic() + slow.seconds
        with self._changed:
            while slow in self._faults and (left := deadline - time.monotonic()) > 0:
                self._changed.wait(min(left, 3600))

    def _refresh(self) -> None:
        if not self._file:
            return
        try:
            info = self._file.stat()
            version = (info.st_mtime_ns, info.st_ino)
        except FileNotFoundError:
            version = (0, 0)
        if version != self._read:
            found = [from_json(item) for item in json.loads(self._file.read_text())] if version[0] else []
            with self._changed:
                self._read, self._faults = version, found
                self._changed.notify_all()
