"""The undo timer on a host in memory: it fires without the panel, and never twice or too late."""

import os
import signal
import subprocess

import pytest

from hosts.engine import Plan, apply, plan, recover
from hosts.errors import Busy, ProofFailed, RolledBack
from hosts.memory import MemoryHost
from hosts.state import TcpProbe
from tests.hosts.fleet_of_one import (
    NEW,
    OLD,
    UNDO_SECONDS,
    Picture,
    apply_and_die_once_proved,
    hold_timer,
    host_in_old_state,
    picture,
    picture_of,
    state,
)
from tests.waiting import wait_for


@pytest.fixture(scope="module")
def pictures() -> tuple[Picture, Picture]:
    return picture_of(OLD), picture_of(NEW)


def no_timer_is_left(host: MemoryHost) -> bool:
    """Whether none sleeps; one that was ended may be listed a moment longer, and one that was not sleeps for long."""
    return bool(wait_for(lambda: not timers(host), 30, name="the end of the undo timer"))


def undone(host: MemoryHost, found: Plan) -> None:
    """Until the host has undone this by itself: the journal goes last."""
    journal = host.path(f"/var/lib/gestion/runs/{found.run}.journal")
    wait_for(lambda: not journal.exists(), name="the undo")


def timers(host: MemoryHost) -> list[str]:
    """The undo timers that sleep for this host."""
    found = subprocess.run(["ps", "axww", "-o", "args"], capture_output=True, text=True, check=True).stdout
    return [line for line in found.splitlines() if "gestion-undo" in line and str(host.root) in line]


def test_a_failing_probe_puts_the_old_state_back(pictures: tuple[Picture, Picture]) -> None:
    host = host_in_old_state()
    nobody_there = TcpProbe("127.0.0.1", 1, timeout=0.3)
    with pytest.raises(ProofFailed) as caught:
        apply(host, plan(host, state(NEW, probes=(nobody_there,))))
    assert "127.0.0.1 port 1" in str(caught.value)
    assert picture(host) == pictures[0]
    assert no_timer_is_left(host)


def test_a_kind_that_can_cut_off_is_confirmed_and_leaves_no_timer(pictures: tuple[Picture, Picture]) -> None:
    host = host_in_old_state(answers={("prove-new",): 'ls "$ROOT/var/lib/gestion/runs" >"$ROOT/tmp-armed"'})
    found = plan(host, state(NEW, can_cut_off=True))
    assert apply(host, found, reconnect=lambda: host).changed
    assert f"{found.run}.armed" in (host.read("/tmp-armed") or b"").decode()
    host.path("/tmp-armed").unlink()
    assert picture(host) == pictures[1]
    assert no_timer_is_left(host)


def test_the_host_undoes_by_itself_when_the_panel_is_dead(pictures: tuple[Picture, Picture]) -> None:
    host = host_in_old_state()
    time_is_over = hold_timer(host)
    nobody_there = TcpProbe("127.0.0.1", 1, timeout=60)
    kind = state(NEW, can_cut_off=True, undo_seconds=UNDO_SECONDS, probes=(nobody_there,))
    found = plan(host, kind)
    apply_and_die_once_proved(host, found)
    assert picture(host, stages=False) == pictures[1]
    with pytest.raises(Busy):
        plan(host, state(NEW))
    assert [one.state for one in recover(host) if one.run == found.run] == ["waiting"]
    time_is_over()
    undone(host, found)
    assert picture(host) == pictures[0]
    assert [one.state for one in recover(host) if one.run == found.run] == ["old"]


def test_a_confirmation_that_comes_too_late_is_told_so(pictures: tuple[Picture, Picture]) -> None:
    host = host_in_old_state()

    found = plan(host, state(NEW, can_cut_off=True, undo_seconds=5))

    def late() -> MemoryHost:
        undone(host, found)
        return host

    with pytest.raises(RolledBack):
        apply(host, found, reconnect=late)
    assert picture(host) == pictures[0]


def test_a_timer_that_was_killed_is_made_up_for_by_the_next_look(pictures: tuple[Picture, Picture]) -> None:
    host = host_in_old_state()
    found = plan(host, state(NEW, can_cut_off=True))

    def dies() -> MemoryHost:
        pid = int((host.read(f"/var/lib/gestion/runs/{found.run}.armed") or b"").split()[0])
        os.killpg(pid, signal.SIGKILL)
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        apply(host, found, reconnect=dies)
    assert picture(host, stages=False) == pictures[1]
    assert no_timer_is_left(host)
    again = plan(host, state(NEW))
    assert [(one.run, one.state, one.now) for one in again.recovered] == [(found.run, "old", True)]
    assert picture(host) == pictures[0]
