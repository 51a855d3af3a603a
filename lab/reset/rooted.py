"""Working in a host's own tree of files, as the host sees it: its links lead where they lead on the host."""

import ctypes
import os
import threading
from collections.abc import Callable
from typing import TypeVar

CLONE_FS = 0x200
T = TypeVar("T")


def in_root(pid: int, act: Callable[[], T]) -> T:
    """Return what `act` gives, called in a thread whose root is that of a process; it must start no program.

    A link that a test has planted then cannot lead a write to this machine's files. Raises what `act`
    raises, and OSError if the process is gone.
    """
    given: list[T] = []
    failed: list[BaseException] = []

    def enter() -> None:
        try:
            # Root, folder and umask are of the whole process until a thread takes its own: unshare(2), chroot(2).
            if ctypes.CDLL(None, use_errno=True).unshare(CLONE_FS):
                raise OSError(ctypes.get_errno(), "unshare")  # noqa: TRY301
            os.chroot(f"/proc/{pid}/root")
            os.chdir("/")
            os.umask(0)
            given.append(act())
        except BaseException as error:  # noqa: BLE001 (it is raised again where we were called)
            failed.append(error)

    thread = threading.Thread(target=enter)
    thread.start()
    thread.join()
    if failed:
        raise failed[0]
    return given[0]
