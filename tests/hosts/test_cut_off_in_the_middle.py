"""The connection, the worker or the host dies in the middle of an apply: the host ends it, and says how."""

import multiprocessing
import threading
import time
from collections.abc import Callable

import pytest

from hosts import engine
from hosts.errors import Busy, Interrupted
from hosts.ssh import SSHHost
from hosts.state import Command, File, State
from hosts.target import Target
from lab import LabHost
from tests.hosts.conftest import Reach

pytestmark = pytest.mark.lab
PATH = "/etc/gestion-slow"
UNDO_SECONDS = 15  # in which a busy machine, too, gets to look at what is not confirmed yet
SPAWN = multiprocessing.get_context("spawn")
ON, GO = "/run/gestion-slow.on", "/run/gestion-slow.go"
WAITS = Command(("sh", "-c", f"touch {ON}; until [ -e {GO} ]; do sleep 0.05; done"), timeout=120)


def state(content: str, **more: object) -> State:
    """One file."""
    fields: dict = {"put_back": (), **more}
    return State("slow", (File(PATH, content.encode()),), **fields)


def slow(content: str, **more: object) -> State:
    """The same, whose activation is on until somebody lets it go on."""
    return state(content, activate=(WAITS,), **more)


def wait_for_the_middle(machine: LabHost) -> None:
    """Until the activation is on."""
    wait_for(machine, f"test -e {ON}")


def go_on(machine: LabHost) -> None:
    """Let the activation end."""
    machine.exec(["touch", GO])


@pytest.fixture(autouse=True)
def held(host: SSHHost, machine: LabHost) -> None:
    """The host holds "old", and no earlier test's apply is on."""
    go_on(machine)
    wait_for(machine, "! pgrep -f '[g]estion-slow.go'")
    engine.apply(host, engine.plan(host, state("old")))
    machine.exec(["rm", "-f", ON, GO])


def content(machine: LabHost) -> str:
    return machine.exec(["cat", PATH]).stdout.decode()


def wait_for(machine: LabHost, script: str, seconds: float = 60) -> None:
    """Until a shell on the host says yes."""
    deadline = time.monotonic() + seconds
    while machine.exec(["sh", "-c", script]).returncode != 0:
        assert time.monotonic() < deadline, script
        time.sleep(0.05)


def ended(host: SSHHost, run: str, seconds: float = 60) -> engine.Recovered:
    """How a run ended, once it has."""
    deadline = time.monotonic() + seconds
    while True:
        found = {one.run: one for one in engine.recover(host)}
        if run in found and found[run].state not in {"running", "waiting"}:
            return found[run]
        assert time.monotonic() < deadline, found
        time.sleep(0.2)


def work(target: Target, plan: engine.Plan) -> None:
    """What a worker's process does."""
    engine.apply(SSHHost(target), plan)


def worker(target: Target, plan: engine.Plan) -> "multiprocessing.process.BaseProcess":
    process = SPAWN.Process(target=work, args=(target, plan))
    process.start()
    return process


def cut_then_mend(machine: LabHost) -> None:
    """Pull the cable in the middle of the activation; the host's end of the connection dies with it."""
    wait_for_the_middle(machine)
    machine.cut()
    try:
        machine.exec(["pkill", "-f", "^sshd: root@notty"])
        go_on(machine)
        wait_for(machine, "! pgrep -f '[g]estion-slow.go'")
    finally:
        machine.mend()


def end_connections(machine: LabHost) -> None:
    """The host's sshd drops us in the middle of the activation."""
    wait_for_the_middle(machine)
    machine.exec(["pkill", "-f", "^sshd: root@notty"])


def test_when_the_network_is_lost_in_the_middle_the_host_finishes_and_we_learn_it_later(
    host: SSHHost, machine: LabHost, reach: Reach
) -> None:
    plan = engine.plan(host, slow("new"))
    breaker = threading.Thread(target=cut_then_mend, args=(machine,))
    breaker.start()
    assert engine.apply(host, plan, reconnect=lambda: reach(machine)).changed
    breaker.join()
    assert content(machine) == "new"
    assert ended(reach(machine), plan.run).state == "new"


def test_without_a_new_connection_the_loss_is_said_and_nothing_else_is_begun_meanwhile(
    host: SSHHost, machine: LabHost, reach: Reach
) -> None:
    plan = engine.plan(host, slow("new"))
    killer = threading.Thread(target=end_connections, args=(machine,))
    killer.start()
    with pytest.raises(Interrupted, match="finishes or undoes by itself"):
        engine.apply(host, plan)
    killer.join()
    with pytest.raises(Busy):
        engine.plan(host, state("third"))
    go_on(machine)
    assert ended(host, plan.run).state == "new"
    assert content(machine) == "new"


def test_a_worker_killed_in_the_middle_leaves_an_apply_that_finishes(
    host: SSHHost, machine: LabHost, target_of: Callable[..., Target]
) -> None:
    plan = engine.plan(host, slow("new"))
    killed = worker(target_of(machine), plan)
    wait_for_the_middle(machine)
    killed.kill()
    killed.join()
    go_on(machine)
    assert ended(host, plan.run).state == "new"
    assert content(machine) == "new"


def test_the_undo_timer_fires_with_the_panel_dead(
    host: SSHHost, machine: LabHost, target_of: Callable[..., Target]
) -> None:
    plan = engine.plan(host, slow("new", can_cut_off=True, undo_seconds=UNDO_SECONDS))
    killed = worker(target_of(machine), plan)
    wait_for_the_middle(machine)
    killed.kill()
    killed.join()
    go_on(machine)
    wait_for(machine, f"test -e /var/lib/gestion/runs/{plan.run}.proved")
    assert content(machine) == "new"
    assert [one.state for one in engine.recover(host) if one.run == plan.run] == ["waiting"]
    with pytest.raises(Busy):
        engine.plan(host, state("third"))
    host.close()
    wait_for(machine, f"grep -q old {PATH}")
    found = ended(host, plan.run)
    assert (found.state, found.stage) == ("old", "undone")
    assert b"gestion-undo" not in machine.exec(["ls", "/etc/systemd/system"]).stdout


@pytest.mark.parametrize("power_cut", [False, True], ids=["reboot", "power cut"])
def test_a_host_that_starts_anew_while_the_timer_is_armed_undoes_by_itself(
    host: SSHHost, machine: LabHost, target_of: Callable[..., Target], power_cut: bool
) -> None:
    undo = (Command(("touch", "/root/undone")),)
    machine.exec(["rm", "-f", "/root/undone"])
    plan = engine.plan(host, slow("new", can_cut_off=True, undo_seconds=300, put_back=undo))
    killed = worker(target_of(machine), plan)
    wait_for_the_middle(machine)
    killed.kill()
    killed.join()
    go_on(machine)
    wait_for(machine, f"test -e /var/lib/gestion/runs/{plan.run}.proved")
    machine.stop(power_cut=power_cut)
    machine.start()
    # No panel asked for it, and the undo waits for the end of the boot for up to two minutes
    wait_for(machine, f"grep -q old {PATH} && test -e /root/undone", 240)
    found = ended(host, plan.run)
    assert (found.state, found.stage) == ("old", "undone")
    assert b"gestion-undo" not in machine.exec(["find", "/etc/systemd/system"]).stdout


def test_after_a_power_cut_in_the_middle_the_next_look_puts_the_old_state_back_and_says_so(
    host: SSHHost, machine: LabHost, target_of: Callable[..., Target]
) -> None:
    plan = engine.plan(host, slow("new"))
    killed = worker(target_of(machine), plan)
    wait_for_the_middle(machine)
    assert content(machine) == "new"
    machine.stop(power_cut=True)
    killed.kill()
    killed.join()
    machine.start()
    again = engine.plan(host, state("new"))
    assert [(one.run, one.state, one.now) for one in again.recovered] == [(plan.run, "old", True)]
    assert content(machine) == "old"
    assert [one.before for one in again.changes] == [b"old"]


def test_two_applies_at_once_end_in_one_of_them_and_the_other_is_told(
    host: SSHHost, machine: LabHost, reach: Reach
) -> None:
    first, second = engine.plan(host, slow("first")), engine.plan(host, state("second"))
    thread = threading.Thread(target=engine.apply, args=(reach(machine), first))
    thread.start()
    wait_for_the_middle(machine)
    with pytest.raises(Busy):
        engine.apply(host, second)
    go_on(machine)
    thread.join()
    assert content(machine) == "first"
