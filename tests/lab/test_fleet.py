"""The lab's hosts are real: they are reached, break and come back as hosts do."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from lab import Fleet, LabError, LabHost
from lab.__main__ import main
from lab.system import run
from tests.lab_fixtures import LabKey
from tests.waiting import wait_for

pytestmark = pytest.mark.lab


def reaches(host: LabHost, target: LabHost) -> bool:
    """Whether a ping from one host to another comes back."""
    return host.exec(["ping", "-c1", "-W10", target.address]).returncode == 0


def test_every_host_answers_by_ssh_with_its_own_key(fleet: Fleet, lab_key: LabKey) -> None:
    for host in fleet:
        done = lab_key.ssh(host, "hostname")
        assert done.stdout.strip() == host.name, done.stderr
    assert len({host.host_key for host in fleet}) == len(list(fleet))


def test_every_host_has_booted_with_nothing_failed(fleet: Fleet) -> None:
    for host in fleet:
        assert host.exec(["systemctl", "is-system-running", "--wait"]).stdout.strip() == b"running", host.name


def test_containers_reach_the_panel_through_their_proxmox_host(fleet: Fleet) -> None:
    assert fleet["web1"].connection == f"-p 2202 root@{fleet['pve1'].address}"
    assert fleet["web1"].exec(["ping", "-c1", "-W10", fleet.panel_address]).returncode == 0
    assert reaches(fleet["web1"], fleet["proxy"])


def test_hosts_reach_each_other_and_nothing_outside(fleet: Fleet) -> None:
    assert reaches(fleet["backup1"], fleet["files1"])
    assert fleet["backup1"].exec(["ping", "-c1", "-W1", "192.0.2.1"]).returncode != 0


def test_packets_for_addresses_no_lab_has_end_on_this_machine(fleet: Fleet) -> None:
    guards = run(["ip", "route", "show", "type", "unreachable"]).stdout
    assert "198.51.100.0/24" in guards
    assert f"dev gl-{fleet.name}" in run(["ip", "route", "get", fleet["pve1"].address]).stdout


def test_roles_start_what_they_want_and_no_more(fleet: Fleet) -> None:
    def active(host: str, unit: str) -> bool:
        return fleet[host].exec(["systemctl", "is-active", unit]).stdout.strip() == b"active"

    assert active("proxy", "nginx")
    assert active("files1", "smbd")
    assert not active("backup1", "nginx")
    assert all(active(host.name, "cron") for host in fleet)


def test_exec_passes_input_arguments_and_exit_code_untouched(fleet: Fleet) -> None:
    done = fleet["web1"].exec(
        ["sh", "-c", 'cat; printf %s "$1" >&2; exit 7', "sh", "a b'\"$c\n"], stdin=b"\0\xff"
    )
    assert (done.returncode, done.stdout, done.stderr) == (7, b"\0\xff", b"a b'\"$c\n")


def test_a_stopped_host_is_down_and_starts_again_with_what_it_had(fleet: Fleet, lab_key: LabKey) -> None:
    host = fleet["backup1"]
    host.exec(["sh", "-c", "echo kept > /root/kept"])
    host.stop()
    assert not host.running
    assert lab_key.ssh(host, "true").returncode == 255
    with pytest.raises(LabError, match="not running"):
        host.exec(["true"])
    host.start()
    assert lab_key.ssh(host, "cat /root/kept").stdout == "kept\n"


def test_a_host_reboots_and_keeps_its_key_and_address(fleet: Fleet, lab_key: LabKey) -> None:
    host = fleet["files1"]
    before = host.container.pid()
    host.exec(["touch", "/run/gone-after-a-reboot"])
    host.reboot()
    assert host.container.pid() != before
    assert lab_key.ssh(host, "test ! -e /run/gone-after-a-reboot").returncode == 0


def test_a_proxmox_host_reboots_with_what_is_behind_it(fleet: Fleet, lab_key: LabKey) -> None:
    fleet["pve1"].exec(["iptables", "-t", "nat", "-A", "POSTROUTING", "-s", "10.9.9.9", "-j", "ACCEPT"])
    fleet["pve1"].reboot()
    assert lab_key.ssh(fleet["web1"], "hostname").stdout == "web1\n"
    assert b"10.9.9.9" not in fleet["pve1"].exec(["iptables-save"]).stdout


def test_a_proxmox_host_that_reboots_from_within_finds_its_containers_again(
    fleet: Fleet, lab_key: LabKey
) -> None:
    pve1, web1 = fleet["pve1"], fleet["web1"]
    before, inside = pve1.container.pid(), web1.container.pid()
    lab_key.ssh(pve1, "reboot")
    wait_for(lambda: pve1.container.pid() not in (None, before), name="the reboot")
    web1.wait_ready()
    assert web1.container.pid() == inside
    assert lab_key.ssh(web1, "hostname").stdout == "web1\n"


@pytest.mark.parametrize("name", ["backup1", "web1"])
def test_a_cut_host_runs_on_unreachable_until_mended(fleet: Fleet, lab_key: LabKey, name: str) -> None:
    host = fleet[name]
    host.cut()
    assert lab_key.ssh(host, "true").returncode == 255
    assert host.exec(["hostname"]).stdout.strip() == name.encode()
    host.mend()
    assert lab_key.ssh(host, "hostname").stdout.strip() == name


def test_a_full_disk_takes_no_byte_until_emptied(fleet: Fleet, lab_key: LabKey) -> None:
    host = fleet.add_host("small", disk_mb=16)
    write = "echo x > /etc/full && sync && cat /etc/full"
    host.fill()
    full = lab_key.ssh(host, write)
    assert "No space left" in full.stderr
    host.empty()
    assert lab_key.ssh(host, write).stdout == "x\n"


def test_only_a_host_with_its_own_disk_can_be_filled(fleet: Fleet) -> None:
    with pytest.raises(LabError, match="disk_mb"):
        fleet["web1"].fill()


def test_a_container_added_behind_a_proxmox_host_is_reached_and_stays_so(
    fleet: Fleet, lab_key: LabKey
) -> None:
    host = fleet.add_host("late1", behind="pve1")
    assert lab_key.ssh(host, "hostname").stdout == "late1\n"
    fleet["pve1"].reboot()
    assert lab_key.ssh(host, "hostname").stdout == "late1\n"


def test_run_hands_a_command_its_own_options_and_its_exit_code(fleet: Fleet) -> None:
    argv = [
        sys.executable,
        "-m",
        "lab",
        "run",
        "web1",
        "--lab",
        fleet.name,
        "--",
        "sh",
        "-c",
        "hostname; exit 7",
    ]
    done = subprocess.run(argv, capture_output=True, text=True, check=False, cwd=Path(__file__).parents[2])
    assert (done.returncode, done.stdout) == (7, "web1\n")


def test_a_name_is_given_once(fleet: Fleet) -> None:
    with pytest.raises(LabError, match="already"):
        fleet.add_host("web1")


def test_a_lab_is_found_again_by_its_name(fleet: Fleet, capsys: pytest.CaptureFixture[str]) -> None:
    found = Fleet.find(fleet.name)
    assert found
    assert found["pve1"].running
    assert found["pve1"].host_key == fleet["pve1"].host_key
    assert main(["status", "--lab", fleet.name, "--json"]) == 0
    hosts = {host["name"]: host for host in json.loads(capsys.readouterr().out)["hosts"]}
    assert hosts["web1"]["connection"] == fleet["web1"].connection
    assert hosts["web1"]["running"] is True
