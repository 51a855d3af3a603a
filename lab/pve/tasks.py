"""Tasks: what takes longer than a request. Each has a UPID, a log, and an exit status when it has ended."""

import itertools
import json
import re
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from .access import Identity
from .errors import ApiError, BadParameters, TaskError

UPID = re.compile(
    r"UPID:(?P<node>[A-Za-z0-9][A-Za-z0-9-]*):(?P<pid>[0-9A-Fa-f]{8}):(?P<pstart>[0-9A-Fa-f]{8,9}):"
    r"(?P<starttime>[0-9A-Fa-f]{8}):(?P<type>[^:\s]+):(?P<id>[^:\s]*):(?P<user>[^:\s]+):"
)
STOPPED = "received interrupt"
LOST = "unexpected status"
Json = dict[str, Any]


@dataclass
class Task:
    """One task. `log` grows while it runs; `status` is None until then; `stopping` asks it to give up."""

    upid: str
    node: str
    type: str
    id: str
    user: str
    pid: int
    pstart: int
    starttime: int
    endtime: int = 0
    status: str | None = None
    lines: list[str] = field(default_factory=list)
    stopping: threading.Event = field(default_factory=threading.Event)
    ended: threading.Event = field(default_factory=threading.Event)

    def log(self, text: str) -> None:
        """Add a line to its log."""
        self.lines += text.splitlines() or [""]

    def wait(self, seconds: float) -> None:
        """Let time pass. Raises TaskError when it is to stop."""
        if self.stopping.wait(seconds):
            raise TaskError(STOPPED)

    def describe(self, status: str) -> Json:
        """Return what every answer about it has in common."""
        user, _, token = self.user.partition("!")
        found = {"upid": self.upid, "node": self.node, "type": self.type, "id": self.id, "pid": self.pid}
        found |= {"pstart": self.pstart, "starttime": self.starttime, "user": user, "status": status}
        return {**found, **({"tokenid": token} if token else {})}


Work = Callable[[Task], None]


class TaskBook:
    """All tasks of a cluster. With a folder they outlive the server, and those that it left are "lost"."""

    def __init__(self, file: Path | None = None) -> None:
        self._tasks: dict[str, Task] = {}
        self._lock = threading.Lock()
        self._pids = itertools.count(1001)
        self._file = file
        if file and file.exists():
            self._read(file)

    def start(self, node: str, kind: str, subject: str, who: Identity, work: Work) -> str:
        """Start a task and return its UPID at once."""
        with self._lock:
            pid, pstart, now = next(self._pids), int(time.monotonic() * 100) & 0xFFFFFFFF, int(time.time())
            upid = f"UPID:{node}:{pid:08X}:{pstart:08X}:{now:08X}:{kind}:{subject}:{who.id}:"
            task = Task(upid, node, kind, subject, who.id, pid, pstart, now)
            self._tasks[upid] = task
        self._write({"upid": upid})
        threading.Thread(target=self._run, args=(task, work), name=upid, daemon=True).start()
        return upid

    def find(self, upid: str) -> Task:
        """Return a task. Raises BadParameters for one that is none of ours, or no UPID."""
        if not UPID.fullmatch(upid):
            raise BadParameters({"upid": "unable to parse worker upid"})
        task = self._tasks.get(upid)
        if not task:
            raise BadParameters({"upid": "no such task"})
        return task

    def all(self, node: str | None = None) -> list[Task]:
        """Return the tasks of a node, or of all, newest first."""
        with self._lock:
            found = [task for task in self._tasks.values() if node in (None, task.node)]
        return found[::-1]

    def wait_all(self, timeout: float = 60.0) -> None:
        """Wait until none runs; for tests."""
        deadline = time.monotonic() + timeout
        for task in self.all():
            task.ended.wait(max(0.0, deadline - time.monotonic()))

    def stop_all(self) -> None:
        """Ask all that run to give up."""
        for task in self.all():
            task.stopping.set()

    def _run(self, task: Task, work: Work) -> None:
        try:
            work(task)
            status = "OK"
        except (TaskError, ApiError) as error:
            status = str(error).strip()
        except Exception as error:  # noqa: BLE001 (a task must end, whatever goes wrong, and say so)
            status = f"{type(error).__name__}: {error}"
        task.log("TASK OK" if status == "OK" else f"TASK ERROR: {status}")
        task.endtime = int(time.time())
        task.status = status
        task.ended.set()
        self._write({"upid": task.upid, "status": status, "endtime": task.endtime, "lines": task.lines})

    def _write(self, line: Json) -> None:
        if self._file:
            with self._lock, self._file.open("a") as file:
                file.write(json.dumps(line) + "\n")

    def _read(self, file: Path) -> None:
        for line in file.read_text().splitlines():
            said = json.loads(line)
            match = UPID.fullmatch(said["upid"])
            if not match:
                continue
            pid, pstart, starttime = (int(match[name], 16) for name in ("pid", "pstart", "starttime"))
            node, kind, subject, user = (match[name] for name in ("node", "type", "id", "user"))
            task = Task(said["upid"], node, kind, subject, user, pid, pstart, starttime)
            task.status, task.endtime = said.get("status", LOST), said.get("endtime", task.starttime)
            task.lines = said.get("lines", [])
            task.ended.set()
            self._tasks[task.upid] = task
            self._pids = itertools.count(max(pid + 1, 1001))
