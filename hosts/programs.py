"""Programs that the panel runs on its own machine with what others sent: bounded output and time, and all is ended."""

import os
import selectors
import signal
import subprocess
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path

from hosts.bounds import MIB, TooMuch, TooSlow, shown

OUTPUT_BYTES = 4 * MIB  # of output and errors together, where the caller says nothing else
PIECE = 65536


def run_program(
    argv: Sequence[str],
    *,
    env: Mapping[str, str],
    seconds: float,
    cwd: Path | None = None,
    most: int = OUTPUT_BYTES,
    umask: int = -1,
    stdin: bytes = b"",
) -> "subprocess.CompletedProcess[bytes]":
    """Run a program to its end; `stdin` is small (it fits into a pipe). Raises TooMuch, TooSlow, OSError.

    `umask` is that of the files it makes; without one, ours. Whatever it has started is killed when it ends, or when
    it goes beyond a bound.
    """
    process = subprocess.Popen(
        argv,
        env=dict(env),
        cwd=cwd,
        stdin=subprocess.PIPE if stdin else subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        start_new_session=True,
        umask=umask,
    )
    end = time.monotonic() + seconds
    try:
        if process.stdin is not None:
            with suppress(BrokenPipeError), process.stdin:
                process.stdin.write(stdin)
        out, err = _output(process, end, most)
        code = process.wait(max(end - time.monotonic(), 0.1))
    except (TimeoutError, subprocess.TimeoutExpired):
        raise TooSlow(f"it was not done within {seconds:g} seconds") from None
    finally:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        for pipe in (process.stdout, process.stderr):
            if pipe is not None:
                pipe.close()
    return subprocess.CompletedProcess(argv, code, out, err)


def _output(process: "subprocess.Popen[bytes]", end: float, most: int) -> tuple[bytes, bytes]:
    found: dict[object, bytearray] = {process.stdout: bytearray(), process.stderr: bytearray()}
    with selectors.DefaultSelector() as waiting:
        for pipe in (process.stdout, process.stderr):
            if pipe is not None:
                waiting.register(pipe, selectors.EVENT_READ)
        while waiting.get_map():
            if time.monotonic() > end:
                raise TimeoutError
            for key, _events in waiting.select(min(max(end - time.monotonic(), 0), 1.0)):
                data = os.read(key.fd, PIECE)
                found[key.fileobj] += data
                if not data:
                    waiting.unregister(key.fileobj)
            if sum(map(len, found.values())) > most:
                raise TooMuch(f"it wrote more than {shown(most)}")
    return bytes(found[process.stdout]), bytes(found[process.stderr])
