"""A rule that locks the panel out: really applied, really cut off, undone by the host with the panel dead."""

import os
import pickle
import signal
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from accounts.actors import Actor
from forwarding.desired_ports import SCRIPT, desired
from forwarding.services.ports import create_port_forward
from hosts import engine
from hosts.errors import RolledBack
from hosts.ssh import SSHHost
from lab import Fleet
from pages.second_word import SecondWordNeeded
from servers.connect import target_of
from tests.forwarding.lab_rows import enlist, rule
from tests.jobs.working import work_off
from tests.waiting import wait_for

pytestmark = [pytest.mark.lab, pytest.mark.django_db(transaction=True)]
SYSTEM = Actor.system("test")
ROOT = Path(__file__).resolve().parent.parent.parent
UNDO_SECONDS = 15  # in which a busy machine, too, gets to see what is not confirmed yet

# A panel that dies in the middle: it applies, and is killed while it tries to come in anew.
PANEL = """
import pickle, sys
from hosts import engine
from hosts.ssh import SSHHost

state, target = pickle.load(sys.stdin.buffer)
host = SSHHost(target)
engine.apply(host, engine.plan(host, state), reconnect=lambda: SSHHost(target))
"""


@pytest.fixture
def rows(fleet: Fleet, lab_key):
    """The lab in the inventory, with a first rule that is rolled out."""
    made = enlist(fleet, lab_key)
    create_port_forward(SYSTEM, rule(made["pve1"], made["web1"], "8080", "80"))
    work_off()
    return made


def who_answers(fleet: Fleet) -> str:
    """Whose host key a new connection to port 22 of pve1 meets."""
    address = fleet["pve1"].address
    shown = subprocess.run(
        ["ssh-keyscan", "-T", "5", "-t", "ed25519", address], capture_output=True, text=True, check=False
    ).stdout
    names = {host.host_key.split()[1]: host.name for host in fleet}
    return next((name for key, name in names.items() if key in shown), "nobody")


def lock_out(rows) -> None:
    """Port 22 of pve1 shall lead to web1, whatever anybody says."""
    locking = rule(rows["pve1"], rows["web1"], "22")
    with pytest.raises(SecondWordNeeded):
        create_port_forward(SYSTEM, locking)
    create_port_forward(SYSTEM, locking, confirmed=True)


def test_a_rule_that_locks_the_panel_out_is_put_back_and_told(fleet, rows):
    lock_out(rows)
    before = fleet["pve1"].exec(["cat", SCRIPT]).stdout
    state = replace(desired(rows["pve1"]), undo_seconds=UNDO_SECONDS)
    target = target_of(rows["pve1"])
    host = SSHHost(target, "pve1")
    with pytest.raises(RolledBack):
        engine.apply(host, engine.plan(host, state), reconnect=lambda: SSHHost(target, "pve1"))
    wait_for(lambda: who_answers(fleet) == "pve1", name="pve1 at its own port")
    assert fleet["pve1"].exec(["cat", SCRIPT]).stdout == before
    assert fleet["pve1"].exec([SCRIPT, "status"]).returncode == 0


def test_the_host_undoes_it_by_itself_with_the_panel_dead(fleet, rows):
    lock_out(rows)
    before = fleet["pve1"].exec(["cat", SCRIPT]).stdout
    state = replace(desired(rows["pve1"]), undo_seconds=UNDO_SECONDS)
    panel = subprocess.Popen(
        [sys.executable, "-c", PANEL], stdin=subprocess.PIPE, stderr=subprocess.DEVNULL, cwd=ROOT
    )
    assert panel.stdin is not None
    panel.stdin.write(pickle.dumps((state, target_of(rows["pve1"]))))
    panel.stdin.close()
    wait_for(lambda: who_answers(fleet) == "web1", name="the rule")
    os.kill(panel.pid, signal.SIGKILL)
    panel.wait()
    assert who_answers(fleet) == "web1"  # cut off, and nobody left to help
    wait_for(lambda: who_answers(fleet) == "pve1", name="the undo by the host")
    assert fleet["pve1"].exec(["cat", SCRIPT]).stdout == before
    # Its rules are in force a moment before it has noted which they are.
    wait_for(lambda: fleet["pve1"].exec([SCRIPT, "status"]).returncode == 0, name="the status after the undo")
