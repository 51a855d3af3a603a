"""A host for unit tests: a folder in memory instead of a server, the engine's real script, answers instead of tools."""

import hashlib
import os
import shutil
import subprocess
import tempfile
import weakref
from collections.abc import Mapping, Sequence
from pathlib import Path

from hosts import wire
from hosts.bounds import ANSWER_BYTES
from hosts.errors import AnswerTooLong, Interrupted, TimedOut
from hosts.host import OnOutput, Result

# The engine starts a State's commands through `timeout`; here that is this program. It notes the argv and gives the
# answer that is laid down for it, or for the longest beginning of it.
_TIMEOUT = """#!/bin/sh
PATH=${PATH#*:}
shift 3
printf '%s\\0' "$#" "$@" >>"$MEMORY_HOST/ran"
answer= sum=
n=$#
while [ "$n" -gt 0 ]; do
  i=0
  sum=$(for word in "$@"; do [ "$i" -lt "$n" ] || break; printf '%s\\0' "$word"; i=$((i + 1)); done | sha256sum)
  answer=$MEMORY_HOST/answers/${sum%% *}
  [ ! -d "$answer" ] || break
  n=$((n - 1))
done
[ "$n" -gt 0 ] || exit 0
[ ! -f "$answer/script" ] || exec sh "$answer/script" "$@"
cat "$answer/out"; cat "$answer/err" >&2
read -r code <"$answer/code"; exit "$code"
"""

Answers = Mapping[tuple[str, ...], Result | str]


class MemoryHost:
    """A host that lives in a folder (in memory where the machine has /dev/shm) until it is closed or forgotten.

    `files` are there from the beginning. `answers`: what a command ends as, by its argv or a beginning of it: a Result,
    or a text that `sh` runs in its place ("$@" is the argv, $ROOT the host's folder); `echo` says its words, and
    everything else succeeds in silence. `ran` lists what was run. All files belong to root:root as far as the host
    tells, whoever runs the test.
    `cut_after`: seconds after which the connection of an apply is lost (the host goes on).
    """

    def __init__(
        self,
        files: Mapping[str, bytes] | None = None,
        answers: Answers | None = None,
        name: str = "memory",
    ) -> None:
        self.name = name
        self.round_trips = 0
        self.cut_after: float | None = None
        memory = "/dev/shm" if os.access("/dev/shm", os.W_OK) else None  # noqa: S108 - a private folder below it
        self._folder = Path(tempfile.mkdtemp(prefix="gestion-host-", dir=memory))
        self._forget = weakref.finalize(self, shutil.rmtree, self._folder, ignore_errors=True)
        self.root = self._folder / "root"
        for folder in ("root/run", "root/var/lib", "bin", "answers"):
            (self._folder / folder).mkdir(parents=True)
        self.program("timeout", _TIMEOUT)
        if os.geteuid() != 0:
            self.program("chown", "#!/bin/sh\nexit 0\n")
        self.answers({("echo",): 'shift; echo "$@"', **(answers or {})})
        for path, content in (files or {}).items():
            self.write(path, content)

    def program(self, name: str, text: str) -> None:
        """Lay a program on the host before those of this machine."""
        path = self._folder / "bin" / name
        path.write_text(text)
        path.chmod(0o755)

    def answers(self, answers: Answers) -> None:
        """Lay down (or replace) answers."""
        for argv, answer in answers.items():
            sum_ = hashlib.sha256(b"".join(os.fsencode(word) + b"\0" for word in argv)).hexdigest()
            folder = self._folder / "answers" / sum_
            shutil.rmtree(folder, ignore_errors=True)
            folder.mkdir()
            if isinstance(answer, str):
                (folder / "script").write_text(answer)
            else:
                (folder / "out").write_bytes(answer.out)
                (folder / "err").write_bytes(answer.err)
                (folder / "code").write_text(f"{answer.code}\n")

    def run(
        self,
        argv: Sequence[str],
        *,
        stdin: bytes = b"",
        timeout: float = 60.0,
        on_output: OnOutput | None = None,
        survive: bool = False,
    ) -> Result:
        """See Host.run: the engine's script is run as it is, of every other command the answer is given."""
        self.round_trips += 1
        if tuple(argv) == wire.ARGV:
            owner = "%U %G" if os.geteuid() == 0 else "root root"
            command = [*argv, str(self.root), owner]
        else:
            command = ["timeout", "-k", "5", f"{timeout:g}", *argv]
        result = self._run(command, stdin, self.cut_after or timeout)
        if len(result.stdout) + len(result.stderr) > ANSWER_BYTES and on_output is None:
            raise AnswerTooLong(self.name, argv[0])
        answered = Result(result.returncode, result.stdout, result.stderr, tuple(argv), self.name)
        if on_output is not None:
            for stream, data in (("out", answered.out), ("err", answered.err)):
                if data:
                    on_output(stream, data)
        return answered

    def _run(self, command: list[str], stdin: bytes, timeout: float) -> "subprocess.CompletedProcess[bytes]":
        path = f"{self._folder / 'bin'}:{os.environ.get('PATH', '/usr/bin:/bin')}"
        env = {"PATH": path, "LC_ALL": "C", "MEMORY_HOST": str(self._folder), "ROOT": str(self.root)}
        process = subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env=env,
            executable=shutil.which(command[0], path=path),
            start_new_session=True,
        )
        try:
            out, err = process.communicate(stdin, timeout)
        except subprocess.TimeoutExpired:
            for pipe in (process.stdout, process.stderr):
                if pipe is not None:
                    pipe.close()
            if self.cut_after is not None:
                raise Interrupted(self.name, "cut") from None
            raise TimedOut(self.name, command[0], seconds=timeout) from None
        return subprocess.CompletedProcess(command, process.returncode, out, err)

    def read(self, path: str) -> bytes | None:
        """See Host.read."""
        inside = self.path(path)
        return inside.read_bytes() if inside.exists() else None

    def path(self, path: str) -> Path:
        """Give the place on this machine where the host's path lies."""
        return self.root / path.lstrip("/")

    def write(self, path: str, content: bytes, mode: int = 0o644) -> None:
        """Write a file as somebody else on the host would."""
        inside = self.path(path)
        inside.parent.mkdir(parents=True, exist_ok=True)
        inside.write_bytes(content)
        inside.chmod(mode)

    @property
    def ran(self) -> list[tuple[str, ...]]:
        """The commands that were run on the host, in their order."""
        log = self._folder / "ran"
        if not log.exists():
            return []
        words = iter(log.read_bytes().split(b"\0")[:-1])
        return [tuple(os.fsdecode(next(words)) for _ in range(int(count))) for count in words]

    def close(self) -> None:
        """See Host.close; the files stay until the host is forgotten."""
