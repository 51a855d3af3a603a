"""A lock on the host that somebody holds: nothing waits for it for ever, and who has it is said."""

import os
import time
from pathlib import Path

import pytest

from hosts.engine import apply, plan, recover
from hosts.errors import Busy
from hosts.state import TcpProbe
from tests.attackers import holding_lock
from tests.hosts.fleet_of_one import (
    NEW,
    OLD,
    UNDO_SECONDS,
    apply_and_die_once_proved,
    hold_timer,
    host_in_old_state,
    picture,
    picture_of,
    state,
)
from tests.waiting import wait_for

LOCK = "/var/lib/gestion/lock"


def test_a_lock_that_a_process_holds_is_told_with_its_number() -> None:
    host = host_in_old_state()
    found = plan(host, state(NEW))
    with holding_lock(host.path(LOCK)) as number:
        with pytest.raises(Busy) as caught:
            apply(host, found)
        assert f"process {number} (sleep)" in str(caught.value)
        assert picture(host) == picture_of(OLD)
        # What an apply left cannot be put back meanwhile: that is said as well
        host.write("/var/lib/gestion/runs/abc.journal", b"")
        with pytest.raises(Busy) as caught:
            plan(host, state(NEW))
        assert f"process {number} (sleep)" in str(caught.value)
        (left,) = (one for one in recover(host) if one.run == "abc")
        assert (left.state, f"process {number} (sleep)" in left.words) == ("running", True)
    assert apply(host, plan(host, state(NEW))).changed


def test_a_pipe_in_the_place_of_the_lock_is_told_and_not_waited_for() -> None:
    host = host_in_old_state()
    found = plan(host, state(NEW))
    host.path(LOCK).unlink()
    os.mkfifo(host.path(LOCK))
    began = time.monotonic()
    with pytest.raises(Busy, match="no plain file"):
        apply(host, found)
    assert time.monotonic() - began < 20
    host.path(LOCK).unlink()
    assert apply(host, plan(host, state(NEW))).changed


@pytest.mark.parametrize("born", ["", " 1"])
def test_the_number_of_a_dead_apply_that_another_process_got_holds_nothing(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, born: str
) -> None:
    """Where there is no flock, a file names the process that has the lock."""
    host = host_in_old_state()
    for program in (*Path("/usr/bin").iterdir(), *Path("/bin").iterdir()):
        if program.name != "flock" and not (tmp_path / program.name).is_symlink():
            (tmp_path / program.name).symlink_to(program)
    monkeypatch.setenv("PATH", str(tmp_path))
    boot = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    host.write("/var/lib/gestion/lock.pid", f"{os.getpid()} {boot}{born}\n".encode())
    found = plan(host, state(NEW))
    with pytest.raises(Busy):  # the file is taken away, and the next one gets in
        apply(host, found)
    assert apply(host, found).changed
    assert not host.path("/var/lib/gestion/lock.pid").exists()


def test_the_undo_timer_goes_on_trying_while_somebody_holds_the_lock() -> None:
    host = host_in_old_state()
    # A second of its patience passes at once, and is counted
    tries = host.root.parent / "tries"
    time_is_over = hold_timer(host, f"echo >>{tries}")
    nobody_there = TcpProbe("127.0.0.1", 1, timeout=60)
    kind = state(NEW, can_cut_off=True, undo_seconds=UNDO_SECONDS, probes=(nobody_there,))
    found = plan(host, kind)
    apply_and_die_once_proved(host, found)
    journal = host.path(f"/var/lib/gestion/runs/{found.run}.journal")
    with holding_lock(host.path(LOCK)):
        time_is_over()
        wait_for(lambda: tries.exists() and tries.stat().st_size > 620, 180)  # ten minutes are over
        assert journal.exists()
    wait_for(lambda: not journal.exists())
    assert picture(host) == picture_of(OLD)
