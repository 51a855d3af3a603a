"""Whatever fails on the host, at whatever step: it ends in the old state or the new one, and says which."""

import os
import re
import shutil
import signal
import subprocess
import time

import pytest

from hosts.engine import apply, plan, recover
from hosts.errors import (
    ActivationFailed,
    Busy,
    CheckFailed,
    DiskFull,
    HostError,
    Interrupted,
    ProofFailed,
    RollbackFailed,
    RolledBack,
)
from hosts.host import Result
from hosts.memory import MemoryHost
from hosts.state import Command, File, State, TcpProbe
from hosts.wire import SCRIPT
from tests.hosts.fleet_of_one import NEW, OLD, Picture, host_in_old_state, picture, picture_of, state

BAD = Result(1, b"", b"it says no")
ONLY_NEW = 'grep -q old $ROOT/etc/web/site.conf || { echo "it says no"; exit 1; }'

# Every program that the script starts, with a fault at one of its starts: the file `fault` holds "NUMBER HOW".
TOOLS = ("stat", "sha256sum", "mkdir", "head", "ln", "sync", "mv", "rm", "flock", "cp")
FAULTY = """#!/bin/sh
[ -e "$MEMORY_HOST/fault" ] || exec REAL "$@"
echo TOOL >>"$MEMORY_HOST/steps"
set_number=$(wc -l <"$MEMORY_HOST/steps")
read -r number how <"$MEMORY_HOST/fault"
[ "$set_number" = "$number" ] || exec REAL "$@"
case $how in
  before) kill -9 $PPID ;;
  after) REAL "$@"; kill -9 $PPID ;;
  full) echo "TOOL: write error: No space left on device" >&2; exit 1 ;;
esac
"""


def faulty_host() -> MemoryHost:
    tools = {name: FAULTY.replace("REAL", str(shutil.which(name))).replace("TOOL", name) for name in TOOLS}
    host = host_in_old_state()
    for name, text in tools.items():
        host.program(name, text)
    return host


def set_fault(host: MemoryHost, number: int, how: str) -> None:
    (host.root.parent / "fault").write_text(f"{number} {how}\n")
    (host.root.parent / "steps").write_text("")


def heal(host: MemoryHost) -> int:
    """Take the fault away; how many steps there were."""
    (host.root.parent / "fault").unlink()
    return len((host.root.parent / "steps").read_text().splitlines())


@pytest.fixture(scope="module")
def pictures() -> tuple[Picture, Picture]:
    return picture_of(OLD), picture_of(NEW)


def count_steps() -> int:
    host = faulty_host()
    found = plan(host, state(NEW))
    set_fault(host, 0, "none")
    apply(host, found)
    return heal(host)


STEPS = count_steps()


@pytest.mark.parametrize("how", ["before", "after"])
def test_a_script_killed_at_any_step_leaves_the_old_state_or_the_new_one_and_the_next_look_says_which(
    how: str, pictures: tuple[Picture, Picture]
) -> None:
    ends = set()
    for number in range(1, STEPS + 1):
        host = faulty_host()
        found = plan(host, state(NEW))
        set_fault(host, number, how)
        with pytest.raises(Interrupted):
            apply(host, found)
        heal(host)
        said = [one.state for one in recover(host) if one.run == found.run]
        end = {(): "old", ("old",): "old", ("new",): "new"}[tuple(said)]
        assert picture(host) == pictures[end == "new"], f"step {number} {how}: said {end}"
        assert plan(host, state(OLD if end == "old" else NEW)).empty
        apply(host, plan(host, state(NEW)))
        assert picture(host) == pictures[1]
        ends.add(end)
    assert ends == {"old", "new"}


def test_a_put_back_killed_at_any_step_is_finished_by_the_next_look(
    pictures: tuple[Picture, Picture],
) -> None:
    killed = 0
    for number in range(1, 40):
        host = faulty_host()
        host.answers({("systemctl",): ONLY_NEW})
        found = plan(host, state(NEW))
        set_fault(host, STEPS - 7 + number, "after")
        try:
            apply(host, found)
        except ActivationFailed:
            heal(host)
            break
        except Interrupted:
            killed += 1
        heal(host)
        plan(host, state(NEW))
        assert picture(host) == pictures[0]
    assert killed >= 5


def test_a_disk_that_is_full_at_any_step_leaves_the_old_state(pictures: tuple[Picture, Picture]) -> None:
    for number in range(1, STEPS + 1):
        host = faulty_host()
        found = plan(host, state(NEW))
        set_fault(host, number, "full")
        try:
            apply(host, found)
        except (DiskFull, Busy, ProofFailed, HostError):
            end = 0
        else:
            end = 1  # the last steps only clean up after the commit
        heal(host)
        plan(host, state(OLD))
        assert picture(host) == pictures[end], f"step {number}"


@pytest.mark.parametrize(
    ("answers", "error"),
    [
        ({("check-staged",): BAD}, CheckFailed),
        ({("check-placed",): ONLY_NEW}, CheckFailed),
        ({("systemctl",): ONLY_NEW}, ActivationFailed),
        ({("prove-new",): BAD}, ProofFailed),
    ],
)
def test_a_failing_command_puts_the_old_state_back_and_its_words_reach_the_error(
    answers: dict[tuple[str, ...], Result | str], error: type[HostError], pictures: tuple[Picture, Picture]
) -> None:
    host = host_in_old_state()
    host.answers(answers)
    with pytest.raises(error) as caught:
        apply(host, plan(host, state(NEW)))
    assert "it says no" in str(caught.value)
    assert picture(host) == pictures[0]
    assert plan(host, state(OLD)).empty


def test_before_activation_nothing_needs_to_be_activated_again_and_after_it_the_old_state_is_proved() -> None:
    host = host_in_old_state(answers={("check-placed",): ONLY_NEW})
    ran = len(host.ran)
    with pytest.raises(CheckFailed):
        apply(host, plan(host, state(NEW)))
    assert [argv[0] for argv in host.ran[ran:]] == ["check-staged", "check-placed"]
    host.answers({("check-placed",): Result(0), ("prove-new",): BAD})
    ran = len(host.ran)
    with pytest.raises(ProofFailed):
        apply(host, plan(host, state(NEW)))
    assert [argv[0] for argv in host.ran[ran:]][4:] == ["systemctl", "check-placed", "is-active"]


def test_put_back_commands_stand_in_for_activation_when_the_old_state_comes_back() -> None:
    host = host_in_old_state()
    host.answers({("prove-new",): BAD})
    with pytest.raises(ProofFailed):
        apply(host, plan(host, state(NEW, put_back=(Command(("stop-it",)),))))
    assert ("stop-it",) in host.ran


def test_a_put_back_that_cannot_be_activated_is_loud_and_the_files_are_old(
    pictures: tuple[Picture, Picture],
) -> None:
    host = host_in_old_state()
    host.answers({("systemctl",): BAD})
    with pytest.raises(RollbackFailed) as caught:
        apply(host, plan(host, state(NEW)))
    assert "it says no" in str(caught.value)
    assert picture(host) == pictures[0]
    host.answers({("systemctl",): Result(0)})
    apply(host, plan(host, state(NEW)))
    assert picture(host) == pictures[1]


def test_a_command_that_hangs_is_ended_and_the_old_state_comes_back(
    pictures: tuple[Picture, Picture],
) -> None:
    tools = {
        "timeout": f'#!/bin/sh\n[ "$4" != hang ] || set -- -k 1 1 sleep 60\nexec {shutil.which("timeout")} "$@"\n'
    }
    host = MemoryHost()
    host.program("timeout", tools["timeout"])
    kind = State("slow", (File("/etc/a", b"x"),), activate=(Command(("hang",), timeout=1),), put_back=())
    with pytest.raises(ActivationFailed) as caught:
        apply(host, plan(host, kind))
    assert "ended after 1 seconds" in str(caught.value)
    assert host.read("/etc/a") is None
    assert pictures


def test_a_secret_that_a_check_prints_is_masked() -> None:
    host = host_in_old_state()
    host.answers({("check-placed",): 'cat "$ROOT/etc/secret/key"; exit 1'})
    with pytest.raises(CheckFailed) as caught:
        apply(host, plan(host, state(NEW)))
    assert "new secret" not in str(caught.value) + caught.value.words
    assert "(secret)" in caught.value.words


def test_a_file_edited_while_the_apply_fails_is_kept_aside() -> None:
    host = host_in_old_state()
    host.answers({("systemctl",): f"{ONLY_NEW.replace('{', '{ echo edited >$ROOT/etc/web/site.conf;')}"})
    host.answers({("is-active",): Result(0)})
    with pytest.raises(ActivationFailed):
        apply(host, plan(host, state(NEW)))
    kept = [path for path in host.path("/var/lib/gestion/kept").rglob("site.conf")]
    assert [path.read_bytes() for path in kept] == [b"edited\n"]
    assert host.read("/etc/web/site.conf") == b"old\n"


def test_a_lost_connection_does_not_stop_the_apply_and_the_panel_asks_how_it_ended(
    pictures: tuple[Picture, Picture],
) -> None:
    host = host_in_old_state(answers={("prove-new",): "sleep 1"})
    host.cut_after = 0.4
    found = plan(host, state(NEW))

    def again() -> MemoryHost:
        host.cut_after = None
        return host

    assert apply(host, found, reconnect=again).changed
    assert picture(host) == pictures[1]
    host.cut_after = 0.4
    host.answers({("prove-new",): "sleep 1; echo it says no; exit 1"})
    with pytest.raises(ProofFailed) as caught:
        apply(host, plan(host, state(OLD)), reconnect=again)
    assert "it says no" in str(caught.value)
    assert picture(host) == pictures[1]


def test_without_a_way_to_reconnect_a_lost_connection_is_said_and_recover_tells_the_end() -> None:
    host = host_in_old_state(answers={("prove-new",): "sleep 0.6"})
    host.cut_after = 0.3
    found = plan(host, state(NEW))
    with pytest.raises(Interrupted):
        apply(host, found)
    host.cut_after = None
    time.sleep(1)
    assert [one.state for one in recover(host) if one.run == found.run] == ["new"]


def test_a_killed_worker_leaves_an_apply_that_ends_by_itself(pictures: tuple[Picture, Picture]) -> None:
    host = host_in_old_state(answers={("prove-new",): "sleep 1"})
    worker = os.fork()
    if worker == 0:
        try:
            apply(host, plan(host, state(NEW)))
        finally:
            os._exit(0)
    while not any(
        argv[0] == "prove-new" and host.read("/etc/web/site.conf") == b"new\n" for argv in host.ran
    ):
        time.sleep(0.05)
    os.kill(worker, signal.SIGKILL)
    os.waitpid(worker, 0)
    time.sleep(1.5)
    assert [one.state for one in recover(host)] == ["new"]
    assert picture(host) == pictures[1]


def test_a_failing_probe_puts_the_old_state_back(pictures: tuple[Picture, Picture]) -> None:
    host = host_in_old_state()
    nobody_there = TcpProbe("127.0.0.1", 1, timeout=0.3)
    with pytest.raises(ProofFailed) as caught:
        apply(host, plan(host, state(NEW, probes=(nobody_there,))))
    assert "127.0.0.1 port 1" in str(caught.value)
    assert picture(host) == pictures[0]
    assert not timers(host)


def timers(host: MemoryHost) -> list[str]:
    """The undo timers that sleep for this host."""
    found = subprocess.run(["ps", "axww", "-o", "args"], capture_output=True, text=True, check=True).stdout
    return [line for line in found.splitlines() if "gestion-undo" in line and str(host.root) in line]


def test_a_kind_that_can_cut_off_is_confirmed_and_leaves_no_timer(pictures: tuple[Picture, Picture]) -> None:
    host = host_in_old_state(answers={("prove-new",): 'ls "$ROOT/var/lib/gestion/runs" >"$ROOT/tmp-armed"'})
    found = plan(host, state(NEW, can_cut_off=True))
    assert apply(host, found, reconnect=lambda: host).changed
    assert f"{found.run}.armed" in (host.read("/tmp-armed") or b"").decode()
    host.path("/tmp-armed").unlink()
    assert picture(host) == pictures[1]
    assert not timers(host)


def test_the_host_undoes_by_itself_when_the_panel_is_dead(pictures: tuple[Picture, Picture]) -> None:
    host = host_in_old_state()
    kind = state(NEW, can_cut_off=True, undo_seconds=5, probes=(TcpProbe("127.0.0.1", 1, timeout=60),))
    found = plan(host, kind)
    worker = os.fork()
    if worker == 0:
        try:
            apply(host, found)
        finally:
            os._exit(0)
    end = time.monotonic() + 4
    while not host.path(f"/var/lib/gestion/runs/{found.run}.proved").exists() and time.monotonic() < end:
        time.sleep(0.05)
    os.kill(worker, signal.SIGKILL)
    os.waitpid(worker, 0)
    assert picture(host, stages=False) == pictures[1]
    with pytest.raises(Busy):
        plan(host, state(NEW))
    assert [one.state for one in recover(host) if one.run == found.run] == ["waiting"]
    time.sleep(6)
    assert picture(host) == pictures[0]
    assert [one.state for one in recover(host) if one.run == found.run] == ["old"]


def test_a_confirmation_that_comes_too_late_is_told_so(pictures: tuple[Picture, Picture]) -> None:
    host = host_in_old_state()

    def late() -> MemoryHost:
        time.sleep(6)
        return host

    with pytest.raises(RolledBack):
        apply(host, plan(host, state(NEW, can_cut_off=True, undo_seconds=5)), reconnect=late)
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
    time.sleep(0.2)
    again = plan(host, state(NEW))
    assert [(one.run, one.state, one.now) for one in again.recovered] == [(found.run, "old", True)]
    assert picture(host) == pictures[0]


def test_the_script_is_constant_and_evaluates_names_of_variables_only() -> None:
    # eval may put numbers and our own group names into a variable's name; values stay behind a backslash
    numbers = {"i", "j", "k", "w", "d", "N", "M", "MADE", "OWNED", "1", "group"}
    for line in SCRIPT.splitlines():
        for evaluated in re.findall(r'\beval "((?:[^"\\]|\\.)*)"', line.replace('eval \\"\\$1\\"', "")):
            names = set(re.findall(r"(?<!\\)\$\{?(\d|\w+)", evaluated))
            assert names <= numbers | {"t"}, line  # t is one of our own five letters
