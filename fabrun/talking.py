"""How a script's commands talk, on their host and here: nobody answers them, and much output costs its length alone."""

import codecs
import select
import sys
import time
from collections.abc import Callable, Generator
from contextlib import suppress
from typing import Any

from fabric.runners import Remote
from invoke.runners import Local, Runner
from invoke.watchers import FailingResponder

END_OF_INPUT = b"\x04"  # what a terminal takes for it (VEOF in termios(3))
MOST_ENDS = 2000  # sent to one terminal: it holds 4095 that nobody reads
QUIET_SECONDS = 1.0  # after which a terminal may be waiting for an answer
LONGEST_QUIET = 60.0
WATCHED_SECONDS = 30.0  # after which a question that no watcher knows is one that nobody answers
LAST_SECONDS = 3.0  # of silence after a command's end, while something that it left holds its output open
# With a terminal, much is shown by a program that waits for a key after each page, as systemctl and git do.
UNPAGED = {"PAGER": "cat", "GIT_PAGER": "cat", "SYSTEMD_PAGER": "cat"}
HELD = "What it started in the background holds its output open: not waited for any longer."


class Unasked(Runner):
    """Beside a runner: the standard input of the command is at its end, so that a prompt ends it and does not hang it.

    A command with watchers keeps its input open, because they write into it (`c.sudo` with a password), until it has
    asked what none of them knows; where that of `c.sudo` is the only one, until it has been silent for as long. One
    with an `in_stream` of its own reads that.
    """

    read_chunk_size = 65536  # Invoke's is 1000: a thread's turn for each

    def generate_env(self, env: dict[str, Any], replace_env: bool) -> dict[str, Any]:
        """See Invoke."""
        found: dict[str, Any] = super().generate_env(env, replace_env)
        return {**UNPAGED, **found} if self.using_pty else found

    def start(self, *args: Any, **kwargs: Any) -> None:
        """See Invoke."""
        self._heard = self._told = time.monotonic()
        self._ends, self._patience = 0, QUIET_SECONDS
        self._asks = False  # the last that it wrote has no line end
        super().start(*args, **kwargs)
        if not self.watchers and not self.streams["in"]:
            self.end_input()

    def end_input(self) -> None:
        """Say that nothing more comes. A terminal forgets that when a program begins to ask for a password."""
        self._told, self._ends = time.monotonic(), self._ends + 1
        with suppress(OSError, ValueError):  # it has ended, or its input was closed before
            if self.using_pty:
                self._write_proc_stdin(END_OF_INPUT)
            else:
                self.close_proc_stdin()

    def wait(self) -> None:
        """Wait for the command, not for what it has left behind in the background."""
        while not (self.process_is_finished or self.has_dead_threads):
            self._look_whether_it_asks()
            time.sleep(self.input_sleep)
        ended = time.monotonic()
        readers = [thread for target, thread in self.threads.items() if target != self.handle_stdin]
        while any(thread.is_alive() for thread in readers) and not self.has_dead_threads:
            if self.has_more():
                self._heard = time.monotonic()
            if time.monotonic() - max(self._heard, ended) > LAST_SECONDS:
                sys.stderr.write(f"{HELD}\n")
                self.let_go()
                return
            time.sleep(self.input_sleep)

    def _look_whether_it_asks(self) -> None:
        now = time.monotonic()
        if self._ends >= MOST_ENDS or self.streams["in"]:
            return
        if self.watchers:
            # That of `c.sudo` knows one question, which comes first: whatever reads later waits for nobody.
            waits = self._asks or all(isinstance(one, FailingResponder) for one in self.watchers)
            if waits and now - max(self._heard, self._told) > WATCHED_SECONDS:
                self.end_input()
        elif self.using_pty:
            if self._heard > self._told:
                self._patience = QUIET_SECONDS
            if now - max(self._heard, self._told) > self._patience:
                self._patience = min(2 * self._patience, LONGEST_QUIET)
                self.end_input()

    def read_proc_output(self, reader: Callable[[int], bytes | None]) -> Generator[str, None, None]:
        """See Invoke, which takes a character for two wrong ones whose bytes come in two pieces."""
        decoder = codecs.getincrementaldecoder(self.encoding)("replace")
        while data := reader(self.read_chunk_size):
            if text := decoder.decode(data):
                yield text
        if text := decoder.decode(b"", final=True):
            yield text

    def hear(self, data: bytes | None) -> bytes | None:
        """Note that something came."""
        if data:
            self._heard, self._asks = time.monotonic(), not data.endswith(b"\n")
        return data

    def has_more(self) -> bool:
        """Whether something has come that was not read yet."""
        raise NotImplementedError

    def let_go(self) -> None:
        """Read no further than what has come."""
        raise NotImplementedError

    def respond(self, buffer_: list[str]) -> None:
        """See Invoke, which joins all that came so far for each new piece, also where nobody watches."""
        if self.watchers:
            super().respond(buffer_)


class UnaskedRemote(Unasked, Remote):
    """Fabric's runner of commands on the host."""

    def read_proc_stdout(self, num_bytes: int) -> bytes | None:
        """See Fabric."""
        return self.hear(super().read_proc_stdout(num_bytes))

    def read_proc_stderr(self, num_bytes: int) -> bytes | None:
        """See Fabric."""
        return self.hear(super().read_proc_stderr(num_bytes))

    def has_more(self) -> bool:
        """See above."""
        return bool(self.channel.recv_ready() or self.channel.recv_stderr_ready())

    def let_go(self) -> None:
        """See above."""
        self.channel.close()


class UnaskedLocal(Unasked, Local):
    """Invoke's runner of commands on this machine."""

    def start(self, *args: Any, **kwargs: Any) -> None:
        """See Invoke."""
        self._let_go = False
        super().start(*args, **kwargs)

    def read_proc_stdout(self, num_bytes: int) -> bytes | None:
        """See Invoke."""
        return self._read(super().read_proc_stdout, self._outputs()[0], num_bytes)

    def read_proc_stderr(self, num_bytes: int) -> bytes | None:
        """See Invoke."""
        return self._read(super().read_proc_stderr, self._outputs()[-1], num_bytes)

    def _read(self, read: Callable[[int], bytes | None], handle: int, num_bytes: int) -> bytes | None:
        while not _events([handle], 0.2):
            if self._let_go:
                return b""
        return self.hear(read(num_bytes))

    def has_more(self) -> bool:
        """See above."""
        return any(event & select.POLLIN for event in _events(self._outputs(), 0))

    def let_go(self) -> None:
        """See above."""
        self._let_go = True

    def _outputs(self) -> list[int]:
        if self.using_pty:
            return [self.parent_fd]
        return [pipe.fileno() for pipe in (self.process.stdout, self.process.stderr) if pipe]


def _events(handles: list[int], seconds: float) -> list[int]:
    """What there is of them: something to be read, or their end."""
    poll = select.poll()  # select() knows no handles from 1024 on
    for handle in handles:
        poll.register(handle, select.POLLIN)
    return [event for _handle, event in poll.poll(seconds * 1000)]
