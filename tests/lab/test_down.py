"""Down leaves nothing behind, whatever happened before; and labs do not disturb each other."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from lab import Fleet, HostSpec, LabError
from lab.__main__ import main
from lab.record import LabRecord, lab_folder, save
from lab.sweep import members
from lab.system import is_zombie
from tests.lab.traces import traces
from tests.lab_fixtures import LAB_NAME, SECOND_NETWORK, LabKey, free_first
from tests.waiting import wait_for

pytestmark = pytest.mark.lab

SECOND = f"{LAB_NAME[:10]}-b"
NETWORK = SECOND_NETWORK
SMALL = (HostSpec("pve1", "proxmox"), HostSpec("web1", behind="pve1"), HostSpec("n1", disk_mb=16))


@pytest.fixture(autouse=True)
def no_second_lab(fleet: Fleet) -> Iterator[None]:
    """Each test begins and ends without a second lab; the first stands beside it all the time."""
    main(["down", "--lab", SECOND])
    yield
    main(["down", "--lab", SECOND])


def test_a_run_of_tests_takes_the_networks_that_no_other_lab_holds(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as elsewhere:
        elsewhere.setenv("LAB_STATE", str(tmp_path))
        usual = free_first("run")
        for name, network in (("a", "198.51.100.0/26"), ("b", "198.51.100.64/27"), ("run-gw0", usual[2])):
            save(LabRecord(name, network, base="", salt=""))
        (tmp_path / "half-made").mkdir()
        now = free_first("run")
    assert now[:10] == usual[2:12]
    assert sorted(now[10:]) == sorted([*usual[:2], *usual[12:]])


def test_down_leaves_nothing_behind() -> None:
    with Fleet.up(SECOND, NETWORK, hosts=SMALL):
        assert traces(SECOND)
    assert traces(SECOND) == []


def test_a_second_lab_with_the_same_names_does_not_disturb_the_first(fleet: Fleet, lab_key: LabKey) -> None:
    with Fleet.up(SECOND, NETWORK, [lab_key.public], hosts=SMALL) as second:
        for lab in (fleet, second):
            assert lab_key.ssh(lab["web1"], "hostname").stdout == "web1\n"
        assert second["web1"].host_key != fleet["web1"].host_key
        assert second["pve1"].exec(["ping", "-c1", "-W1", fleet["pve1"].address]).returncode != 0
    assert lab_key.ssh(fleet["web1"], "hostname").stdout == "web1\n"


def test_a_network_another_lab_has_is_refused_by_name(fleet: Fleet) -> None:
    first = (
        fleet.panel_address.rpartition(".")[0] + "." + str(int(fleet.panel_address.rpartition(".")[2]) - 1)
    )
    with pytest.raises(LabError, match=f"“{fleet.name}”"):
        Fleet.up(SECOND, f"{first}/29")
    assert traces(SECOND) == []


def test_a_kept_lab_comes_back_with_its_keys_and_files(lab_key: LabKey) -> None:
    second = Fleet.up(SECOND, NETWORK, [lab_key.public], hosts=SMALL[:2])
    key = second["web1"].host_key
    second["web1"].exec(["sh", "-c", "echo kept > /root/kept"])
    second.down(keep=True)
    assert traces(SECOND) == [str(lab_folder(SECOND))]
    second = Fleet.up(SECOND, hosts=())
    assert second["web1"].host_key == key
    assert lab_key.ssh(second["web1"], "cat /root/kept").stdout == "kept\n"


def test_a_key_given_to_a_lab_that_is_up_lets_in(lab_key: LabKey) -> None:
    Fleet.up(SECOND, NETWORK, hosts=SMALL[:1])
    second = Fleet.up(SECOND, NETWORK, [lab_key.public], hosts=SMALL[:1])
    assert lab_key.ssh(second["pve1"], "hostname").stdout == "pve1\n"


def claimed() -> bool:
    """Whether the lab is written down, and perhaps nothing else."""
    return (lab_folder(SECOND) / "lab.json").exists()


def starting() -> bool:
    """Whether a first host runs."""
    return any(lab_folder(SECOND).glob("lxc/*/pid"))


def kill_up_when(reached: Callable[[], bool]) -> None:
    """Begin to bring the second lab up in another process, and kill that in the middle."""
    argv = [sys.executable, "-m", "lab", "up", "--lab", SECOND, "--network", NETWORK]
    process = subprocess.Popen(argv, cwd=Path(__file__).parents[2], stdout=subprocess.DEVNULL)
    deadline = time.monotonic() + 60
    while not reached() and process.poll() is None and time.monotonic() < deadline:
        time.sleep(0.002)
    process.send_signal(signal.SIGKILL)
    assert process.wait() == -signal.SIGKILL, "it was too quick for us"


@pytest.mark.parametrize("moment", [claimed, starting])
def test_down_leaves_nothing_behind_of_a_lab_killed_in_the_making(moment: Callable[[], bool]) -> None:
    kill_up_when(moment)
    assert main(["down", "--lab", SECOND]) == 0
    assert traces(SECOND) == []


@pytest.mark.parametrize("moment", [claimed, starting])
def test_up_completes_a_lab_killed_in_the_making(lab_key: LabKey, moment: Callable[[], bool]) -> None:
    kill_up_when(moment)
    with Fleet.up(SECOND, NETWORK, [lab_key.public]) as second:
        assert [lab_key.ssh(host, "hostname").stdout.strip() for host in second] == [
            host.name for host in second
        ]
    assert traces(SECOND) == []


def test_hosts_whose_monitor_was_killed_go_down_too() -> None:
    second = Fleet.up(SECOND, NETWORK, hosts=SMALL)
    monitors = members(SECOND, "pve1")
    assert monitors
    for pid in monitors:
        os.kill(pid, signal.SIGKILL)
    second.down()
    assert traces(SECOND) == []


def test_a_host_of_whose_end_nobody_has_heard_yet_does_not_run() -> None:
    """As on a busy machine: its init is dead, and still listed until its parent asks."""
    with Fleet.up(SECOND, NETWORK, hosts=SMALL[2:]) as second:
        init = second["n1"].container.pid()
        assert init
        parents = members(SECOND, "n1")
        for pid in parents:
            os.kill(pid, signal.SIGSTOP)
        os.kill(init, signal.SIGKILL)
        wait_for(lambda: is_zombie(init))
        assert Path(f"/proc/{init}").exists()
        assert not second["n1"].running
        for pid in parents:
            os.kill(pid, signal.SIGCONT)
    assert traces(SECOND) == []
