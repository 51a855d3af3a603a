"""Reading files that somebody wrote, each in a process of its own: one that never ends or takes it all ends that alone.

`read_apart` is for a helper process without threads that has loaded what the files need (`fabrun/child.py`,
`wizards/trying.py`): it forks for each file, which costs next to nothing. `from_helper` runs such a helper.
The watchdog is faulthandler's: it needs no turn of the interpreter, so it also ends a single call that waits or counts.
"""

import faulthandler
import json
import os
import re
import resource
import select
import signal
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import IO, Any

from hosts.bounds import MIB
from hosts.programs import run_program

AT_ONCE = 4
START_SECONDS = 60.0  # that the helper may need to begin with
MEMORY_BYTES = 1024 * MIB  # of one file's process
ANSWER_BYTES = MIB  # of what is said of one file
MORE_SECONDS = 1.0  # after which a process ends whose watchdog is gone, as in one that runs another program
ENDS, SLOW = "ends", "slow"


def from_helper(
    argv: Sequence[str], paths: Sequence[Path], seconds: float, *, cwd: Path, env: Mapping[str, str]
) -> dict[Path, Any]:
    """What the helper says of each file. Raises ValueError, OSError (also TooSlow, TooMuch) if the helper fails."""
    rounds = -(-len(paths) // AT_ONCE)
    done = run_program(
        [*argv, *map(str, paths)],
        cwd=cwd,
        env=env,
        seconds=START_SECONDS + rounds * (seconds + MORE_SECONDS),
        most=len(paths) * (ANSWER_BYTES + 4096) + MIB,
    )
    if done.returncode:
        raise ValueError(done.stderr.decode(errors="replace").strip()[-500:])
    return {Path(path): said for path, said in json.loads(done.stdout).items()}


def read_apart(paths: Sequence[Path], read: Callable[[Path], Any], seconds: float) -> dict[str, Any]:
    """What `read` says of each file; of one that ends its process or takes too long, `{"why": …, "line": …}`."""
    waiting, going = list(paths), list[_Reading]()
    found: dict[str, Any] = {}
    while waiting or going:
        while waiting and len(going) < AT_ONCE:
            going.append(_Reading(waiting.pop(0), read, seconds))
        select.select([one.pipe for one in going], [], [], 0.05)
        for one in [one for one in going if one.is_over()]:
            going.remove(one)
            found[str(one.path)] = one.end()
    return found


class _Reading:
    """One file's process."""

    def __init__(self, path: Path, read: Callable[[Path], Any], seconds: float) -> None:
        self.path = path
        self.answer = bytearray()
        self.errors: IO[bytes] = tempfile.TemporaryFile()  # noqa: SIM115  # end() closes it
        self.until = time.monotonic() + seconds + MORE_SECONDS
        self.late = False
        self.pipe, end = os.pipe()
        self.process = os.fork()
        if self.process == 0:
            try:
                _answer(path, read, seconds, end, self.errors.fileno())
            finally:
                os._exit(1)
        os.close(end)
        os.set_blocking(self.pipe, False)

    def is_over(self) -> bool:
        """Whether it has answered, has ended, or is to be ended."""
        ended = os.waitid(os.P_PID, self.process, os.WEXITED | os.WNOHANG | os.WNOWAIT) is not None
        with suppress(BlockingIOError):  # nothing new yet
            while data := os.read(self.pipe, 65536):
                self.answer += data
                if len(self.answer) > ANSWER_BYTES:
                    break
            else:
                ended = True  # it has closed it
        self.late = time.monotonic() > self.until
        return ended or self.late or b"\n" in self.answer or len(self.answer) > ANSWER_BYTES

    def end(self) -> Any:
        """End it, and return what it has said."""
        os.kill(self.process, signal.SIGKILL)
        os.waitpid(self.process, 0)
        os.close(self.pipe)
        self.errors.seek(0)
        errors = self.errors.read(MIB).decode(errors="replace")
        self.errors.close()
        said, whole, _more = self.answer.partition(b"\n")  # a file that doubles itself says it twice
        if whole and len(said) < ANSWER_BYTES:
            with suppress(ValueError):  # long answers of both came into each other
                return json.loads(said)
        line = re.search(rf'File "{re.escape(str(self.path))}", line ([0-9]+)', errors)
        slow = self.late or "Timeout (" in errors
        return {"why": SLOW if slow else ENDS, "line": line[1] if line else "?"}


def _answer(path: Path, read: Callable[[Path], Any], seconds: float, end: int, errors: int) -> None:
    """The process of one file: what that prints goes nowhere, and it is asked nothing."""
    resource.setrlimit(resource.RLIMIT_DATA, (MEMORY_BYTES, MEMORY_BYTES))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    nowhere = os.open(os.devnull, os.O_RDWR)
    for stream in (0, 1, 2):
        os.dup2(nowhere, stream)
    faulthandler.dump_traceback_later(seconds, exit=True, file=errors)
    said = json.dumps(read(path), default=str).encode() + b"\n"
    faulthandler.cancel_dump_traceback_later()
    sent = 0
    while sent < len(said):
        sent += os.write(end, said[sent:])
