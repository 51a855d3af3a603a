"""What a run of the tests starts ends with it; what a run that was killed has left goes when the next one starts.

A run is a folder, which is also the TMPDIR of all that it starts. Its first process holds a lock there, which the
kernel takes back however that process ends: a run whose lock is free is dead. All that belongs to a run says so by
itself, so that nothing has to be written down at the right moment:

- processes by the control group that they are born into, or (without root) by RUN in their environment;
- temporary folders by where they are; labs by their owner (`LAB_OWNER`), Docker's control groups by their name.

Labs without an owner (the demo, `python -m lab up`, one kept by --keep-lab) and runs that are alive are let be.
"""

import contextlib
import ctypes
import fcntl
import os
import re
import shutil
import signal
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from lab import record
from lab.sweep import sweep_if, unmount_below

RUN = "GESTION_TEST_RUN"
"""The variable that names the run's folder to whatever belongs to it."""

STARTED_BY_A_TEST = RUN in os.environ and "PYTEST_CURRENT_TEST" in os.environ
"""Whether this is a run within a run, which leaves the notes of that one alone."""

END_SECONDS = 60.0
CGROUPS = Path("/sys/fs/cgroup")
PR_SET_PDEATHSIG = 1  # prctl(2)
_held: dict[Path, tuple[int, Path | None]] = {}  # our run: its lock, and the control group we came from


def begin() -> None:
    """Clear dead runs away and begin one, unless this process belongs to one already.

    Raises RuntimeError if something of a dead run does not go away.
    """
    if os.environ.get(RUN):
        if STARTED_BY_A_TEST:  # its folders take no room among the last three
            os.environ["PYTEST_DEBUG_TEMPROOT"] = os.environ[RUN]
        return
    _end_with_make()
    os.environ.setdefault("PYTEST_DEBUG_TEMPROOT", tempfile.gettempdir())  # pytest keeps its last ones there
    with _all_runs() as runs:
        for run in runs.iterdir():
            if run.is_dir() and not is_alive(run):
                clear(run)
        run = Path(tempfile.mkdtemp(dir=runs, prefix=""))
        lock = os.open(run / "lock", os.O_RDWR | os.O_CREAT, 0o600)
        fcntl.lockf(lock, fcntl.LOCK_EX)  # no child has a share in it, forked ones neither
        run.chmod(0o1777)  # as /tmp is: some of what tests start is not root's
    _sweep_labs(lambda owner: not is_alive(owner))
    os.environ.update({RUN: str(run), "TMPDIR": str(run), "LAB_OWNER": str(run)})
    tempfile.tempdir = None
    _held[run] = (lock, _enter_group(run))


def end() -> None:
    """End this process' run, if it is the one that began it, with all that is left of it."""
    for run, (lock, group) in list(_held.items()):
        if group:
            (group / "cgroup.procs").write_text(str(os.getpid()))
        clear(run)
        _sweep_labs(lambda owner: owner == run)  # noqa: B023 - called at once
        os.close(lock)
        del _held[run]


def pytest_sessionstart(session: pytest.Session) -> None:
    """Write down where pytest's temporary folders are; a lab that is to be kept has no owner."""
    config = session.config
    if config.getoption("keep_lab", False):
        os.environ["LAB_OWNER"] = ""  # and the key to it is in those folders
    elif not config.option.basetemp and not STARTED_BY_A_TEST:  # given by whoever calls, or to a worker
        base = config._tmp_path_factory.getbasetemp()  # type: ignore[attr-defined]
        Path(os.environ[RUN], "basetemp").write_text(str(base))


@pytest.hookimpl(trylast=True)
def pytest_unconfigure(config: pytest.Config) -> None:
    """End the run; its processes have had their chance to end by themselves, and pytest keeps its last folders."""
    if not config.option.basetemp and not STARTED_BY_A_TEST:
        Path(os.environ[RUN], "basetemp").unlink(missing_ok=True)
    end()


def is_alive(run: Path) -> bool:
    """Whether the first process of a run still is. Not for one's own: asking would give the lock back."""
    if run in _held:
        return True
    try:
        with (run / "lock").open("r+") as lock:
            fcntl.lockf(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except FileNotFoundError:
        return False
    except BlockingIOError:
        return True
    return False


def processes(run: Path) -> list[int]:
    """The processes of a run but for this one, whoever their parents are by now."""
    found = [int(folder.name) for folder in Path("/proc").iterdir() if folder.name.isdigit()]
    return [pid for pid in found if pid != os.getpid() and _belongs(pid, run)]


def clear(run: Path) -> None:
    """End a run's processes and remove its control groups and folders. Raises RuntimeError."""
    until = time.monotonic() + END_SECONDS
    while pids := processes(run):
        for pid in pids:
            _kill(pid, run)
        if time.monotonic() > until:
            raise RuntimeError(f"The processes {pids} of an earlier run of the tests do not end.")
        time.sleep(0.02)
    remove_groups(_group_name(run))
    remove_groups(f"gestion-docker-{run.name}-*")
    unmount_below(run)
    with contextlib.suppress(FileNotFoundError):
        shutil.rmtree((run / "basetemp").read_text(), ignore_errors=True)
    shutil.rmtree(run, ignore_errors=True)


def remove_groups(pattern: str) -> None:
    """Remove the control groups of this name, in all hierarchies, as soon as their last process has ended."""
    until = time.monotonic() + END_SECONDS
    for root in {*CGROUPS.glob(f"*/{pattern}"), *CGROUPS.glob(pattern)}:
        for folder, _folders, _files in sorted(os.walk(root), reverse=True):
            while Path(folder).exists() and time.monotonic() < until:
                try:
                    Path(folder).rmdir()
                except OSError:  # its last process is still ending
                    time.sleep(0.05)


def ending_with_us(argv: list[str], how: signal.Signals = signal.SIGTERM) -> list[str]:
    """The command with the kernel asked to signal it when the thread that starts it ends; where setpriv is."""
    setpriv = shutil.which("setpriv")
    return [setpriv, "--pdeathsig", how.name.removeprefix("SIG"), *argv] if setpriv else argv


def _end_with_make() -> None:
    """Ask the kernel to end us with our parent if that is make, which others wait for, not for us."""
    with contextlib.suppress(OSError):
        if Path(f"/proc/{os.getppid()}/comm").read_text().strip() in ("make", "gmake"):
            ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)


@contextlib.contextmanager
def _all_runs() -> Iterator[Path]:
    """The folder of all runs of this user, while nobody else begins a run or clears one."""
    runs = Path(tempfile.gettempdir(), f"gestion-{os.geteuid()}")
    runs.mkdir(mode=0o755, exist_ok=True)
    if runs.is_symlink() or runs.stat().st_uid != os.geteuid():
        raise RuntimeError(f"{runs} is somebody else's.")
    with (runs / ".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield runs


def _sweep_labs(gone: Callable[[Path], bool]) -> None:
    """Take down the labs whose owners are gone; only root has any."""
    if os.geteuid() == 0:
        for name in record.all_names():
            sweep_if(name, lambda owner: gone(Path(owner)))


def _group_name(run: Path) -> str:
    return f"gestion-tests.{run.name}"


def _enter_group(run: Path) -> Path | None:
    """Move into a control group of the run's own; returns the one left, or None where that is not allowed."""
    unified = (CGROUPS / "cgroup.controllers").exists()
    top, own = (CGROUPS, r"0::(/.*)") if unified else (CGROUPS / "systemd", r"\d+:name=systemd:(/.*)")
    found = re.search(own, Path("/proc/self/cgroup").read_text())
    group = top / _group_name(run)
    try:
        group.mkdir()
        (group / "cgroup.procs").write_text(str(os.getpid()))
    except OSError:  # no root, or a container that has none to give
        return None
    return top / (found[1].lstrip("/") if found else "")


def _belongs(pid: int, run: Path) -> bool:
    """Whether a process that is no zombie is the run's; the environment alone may be overwritten by a title."""
    proc = Path("/proc", str(pid))
    try:
        if (proc / "stat").read_text().rpartition(")")[2].split()[0] in "ZX":
            return False
        if f"/{_group_name(run)}\n" in (proc / "cgroup").read_text():
            return True
        return f"{RUN}={run}".encode() in (proc / "environ").read_bytes().split(b"\0")
    except OSError:  # it has ended, or is another user's
        return False


def _kill(pid: int, run: Path) -> None:
    """Kill a process of the run; its number may have gone to another process since it was looked up."""
    with contextlib.suppress(ProcessLookupError):
        process = os.pidfd_open(pid)
        try:
            if _belongs(pid, run):
                signal.pidfd_send_signal(process, signal.SIGKILL)
        finally:
            os.close(process)
