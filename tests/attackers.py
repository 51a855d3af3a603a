"""Somebody on a host who swaps names in a folder while root works in it, or holds a lock of root's."""

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from lab.system import is_zombie
from tests.waiting import wait_for

MALLORY = 61234  # a user's number that nobody has
_SWAP = """
import ctypes, os, sys
folder, one, other = int(sys.argv[1]), os.fsencode(sys.argv[2]), os.fsencode(sys.argv[3])
uid = int(sys.argv[4])
os.setgroups([]), os.setresgid(uid, uid, uid), os.setresuid(uid, uid, uid)
swap = ctypes.CDLL(None).renameat2
print("ready", flush=True)
while True:
    swap(folder, one, folder, other, 2)
"""


def needs_root() -> None:
    """Skip where nobody can become another user; CI is root."""
    if os.geteuid() != 0:
        if os.environ.get("CI") == "true":
            pytest.fail("CI must run as root")
        pytest.skip("only root can give files away")


@contextmanager
def swapping(folder: Path, one: str, other: str, uid: int = MALLORY) -> Iterator[None]:
    """Meanwhile a process of this user exchanges two names again and again (renameat2(2), RENAME_EXCHANGE).

    It holds the folder since before, so that closing what lies above does not keep it out.
    """
    held = os.open(folder, os.O_PATH | os.O_DIRECTORY)
    argv = [sys.executable, "-c", _SWAP, str(held), one, other, str(uid)]
    with subprocess.Popen(argv, pass_fds=[held], stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"ready\n"
        try:
            yield
            assert process.poll() is None
        finally:
            process.kill()
            os.close(held)


@contextmanager
def holding_lock(file: Path) -> Iterator[int]:
    """Meanwhile a process that only inherited the descriptor holds the file's lock (flock(2)); gives its number."""
    words = 'exec 8>>"$1"; flock 8; sh -c "echo \\$\\$; exec sleep 600" & exit'
    with subprocess.Popen(["sh", "-c", words, "sh", file], stdout=subprocess.PIPE, text=True) as first:
        assert first.stdout is not None
        number = int(first.stdout.readline())
        first.wait()
        try:
            # It tells its number as a shell; from then on it is the program that it is told by
            wait_for(lambda: Path(f"/proc/{number}/comm").read_text() == "sleep\n")
            yield number
        finally:
            os.kill(number, 9)
            wait_for(lambda: is_zombie(number))  # the lock goes with it, and not before
