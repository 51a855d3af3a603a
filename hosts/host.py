"""What every host can do: run a command, read a file, close."""

import shlex
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from hosts.errors import CommandFailed

OnOutput = Callable[[str, bytes], None]  # ("out" or "err", the bytes as they come)


@dataclass(frozen=True)
class Result:
    """How a command ended: exit code (128 + signal number if a signal ended it), standard output and error."""

    code: int
    out: bytes = b""
    err: bytes = b""
    argv: tuple[str, ...] = field(default=(), compare=False)
    host: str = field(default="", compare=False)

    def check(self) -> "Result":
        """Give itself back, or raise CommandFailed with the host's words if the code is not 0."""
        if self.code == 0:
            return self
        words = (self.err or self.out).decode(errors="replace")[-4000:]
        raise CommandFailed(self.host, words, command=shlex.join(self.argv), code=self.code)

    @property
    def text(self) -> str:
        """Standard output as text, without the last newline."""
        return self.out.decode(errors="replace").removesuffix("\n")


class Host(Protocol):
    """A server that can be reached now. One thread at a time uses it."""

    name: str

    def run(
        self,
        argv: Sequence[str],
        *,
        stdin: bytes = b"",
        timeout: float = 60.0,
        on_output: OnOutput | None = None,
        survive: bool = False,
    ) -> Result:
        """Run argv as it is (no shell sees its data) with LC_ALL=C, and wait for its end.

        `timeout` is in seconds for the whole command, once we are logged in; when it passes, or `on_output` raises,
        the process on the host is ended. With `survive` it is left to finish by itself instead. Never raises on an
        exit code; raises TimedOut, Interrupted (the connection died in the middle), or what connecting raises.
        """
        ...

    def read(self, path: str) -> bytes | None:
        """Give the bytes of a file, None if there is none; raises CommandFailed if it cannot be read."""
        ...

    def close(self) -> None:
        """End the connection; the next use makes a new one."""
        ...
