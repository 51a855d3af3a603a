"""Forwarded ports on real hosts: who reaches whom, and that nothing of anybody else's is touched."""

import contextlib
import socket
import urllib.request

import pytest

from accounts.actors import Actor
from forwarding.models import PortForward
from forwarding.services.ports import (
    ask_what_answers,
    create_port_forward,
    delete_port_forward,
    read_ports,
    switch_port_forward,
)
from jobs.models import JobState
from lab import Fleet
from servers.models import Rollout, RolloutState
from servers.services import look_closer, roll_out
from tests.forwarding.lab_rows import enlist, rule
from tests.jobs.working import work_off
from tests.waiting import wait_for

pytestmark = [pytest.mark.lab, pytest.mark.django_db(transaction=True)]
SYSTEM = Actor.system("test")


@pytest.fixture
def rows(fleet: Fleet, lab_key):
    """The lab in the inventory."""
    return enlist(fleet, lab_key)


def page(address: str, port: int, seconds: float = 20) -> str:
    """What an HTTP client of this machine gets there; empty if nothing."""
    try:
        with urllib.request.urlopen(f"http://{address}:{port}/", timeout=seconds) as answer:
            return answer.read().decode()
    except OSError:
        return ""


def foreign(fleet: Fleet) -> list[str]:
    """Every rule and chain of pve1 that is not ours."""
    saved = fleet["pve1"].exec(["iptables-save"]).stdout.decode().splitlines()
    rules = [line for line in saved if line.startswith("-A ") or " - [" in line]
    return [line for line in rules if "GESTION-" not in line]


def test_a_client_outside_reaches_the_right_container_also_after_a_reboot(fleet, rows):
    address = fleet["pve1"].address
    before = foreign(fleet)
    web = create_port_forward(SYSTEM, rule(rows["pve1"], rows["web1"], "8080", "80"))
    create_port_forward(SYSTEM, rule(rows["pve1"], rows["proxy"], "8081", "80"))
    create_port_forward(SYSTEM, rule(rows["pve1"], rows["web1"], "9000-9005", "78-83"))
    create_port_forward(SYSTEM, rule(rows["pve1"], rows["web1"], "9100-9105", "80"))
    jobs = work_off()
    assert [job.state for job in jobs] == [JobState.DONE]  # four quick changes are one rollout
    assert "web1" in page(address, 8080)
    assert "proxy" in page(address, 8081)
    assert "web1" in page(address, 9002)  # a range keeps its place
    assert "web1" in page(address, 9105)  # a range to one port
    assert not page(address, 9001)
    fleet["pve1"].reboot()
    wait_for(lambda: "web1" in page(address, 8080), name="the port after a reboot")
    # Its rules are in force a moment before it has noted which they are.
    wait_for(lambda: fleet["pve1"].exec(["/etc/init.d/nat-vz", "status"]).returncode == 0, name="its status")
    delete_port_forward(SYSTEM, web)
    switch_port_forward(SYSTEM, PortForward.objects.get(first_port=8081), active=False)
    work_off()
    assert not page(address, 8080)
    assert not page(address, 8081)
    assert "web1" in page(address, 9002)
    assert foreign(fleet) == before


def test_containers_and_the_host_itself_reach_a_port_under_the_outside_address(fleet, rows):
    create_port_forward(SYSTEM, rule(rows["pve1"], rows["web1"], "8080", "80"))
    work_off()
    url = f"http://{fleet['pve1'].address}:8080/"
    for name in ("proxy", "pve1"):
        answer = fleet[name].exec(["curl", "-sm", "20", url])
        assert b"web1" in answer.stdout, name


def test_a_container_reaches_itself_under_the_outside_address(fleet, rows):
    """Where the kernel does not filter on bridges; else one sends nothing back by the port it came from."""
    create_port_forward(SYSTEM, rule(rows["pve1"], rows["web1"], "8080", "80"))
    work_off()
    switch = "/proc/sys/net/bridge/bridge-nf-call-iptables"
    was = fleet["pve1"].exec(["sh", "-c", f"cat {switch} && echo 0 > {switch}"]).stdout
    try:
        answer = fleet["web1"].exec(["curl", "-sm", "20", f"http://{fleet['pve1'].address}:8080/"])
    finally:
        fleet["pve1"].exec(["sh", "-c", f"cat > {switch}"], stdin=was)
    assert b"web1" in answer.stdout


def test_udp_is_forwarded_and_answered(fleet, rows):
    create_port_forward(SYSTEM, rule(rows["pve1"], rows["web1"], "5300-5301", "5353-5354", protocol="udp"))
    work_off()
    echo = (
        "use IO::Socket::INET; my $s = IO::Socket::INET->new(LocalPort => 5354, Proto => 'udp') or die; "
        "exit 0 if fork; $SIG{ALRM} = sub { exit 0 }; alarm 120; close STDOUT; close STDERR; close STDIN; "
        'my $m; $s->recv($m, 100); $s->send("echo $m");'
    )
    assert fleet["web1"].exec(["perl", "-e", echo]).returncode == 0
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as client:
        client.settimeout(30)
        client.sendto(b"hello", (fleet["pve1"].address, 5301))
        assert client.recv(100) == b"echo hello"


def test_the_containers_network_gets_out_under_the_hosts_address(fleet, rows):
    """Without anybody else's masquerading."""
    create_port_forward(SYSTEM, rule(rows["pve1"], rows["web1"], "8080", "80"))
    work_off()
    theirs = ["POSTROUTING", "-s", "10.0.0.0/24", "!", "-d", "10.0.0.0/24", "-j", "MASQUERADE"]
    assert fleet["pve1"].exec(["iptables", "-w", "-t", "nat", "-D", *theirs]).returncode == 0
    try:
        with socket.create_server((fleet.panel_address, 0)) as server:
            server.settimeout(60)
            url = f"http://{fleet.panel_address}:{server.getsockname()[1]}/"
            fleet["web1"].exec(["sh", "-c", 'curl -sm 60 "$0" >/dev/null 2>&1 &', url])
            connection, seen = server.accept()
            connection.close()
    finally:
        fleet["pve1"].exec(["iptables", "-w", "-t", "nat", "-I", *theirs])
    assert seen[0] == fleet["pve1"].address


def test_a_rule_flushed_by_hand_is_found_shown_and_put_back(fleet, rows):
    create_port_forward(SYSTEM, rule(rows["pve1"], rows["web1"], "8080", "80"))
    work_off()
    rollout = Rollout.objects.get()
    assert rollout.state == RolloutState.IN_SYNC
    # After its first rollout systemd starts the unit, too, which says the rules once more and is not waited for.
    started = ["systemctl", "-q", "is-active", "nat-vz"]
    wait_for(lambda: fleet["pve1"].exec(started).returncode == 0, name="the unit of nat-vz")
    fleet["pve1"].exec(["iptables", "-w", "-t", "nat", "-F", "GESTION-PORTS"])
    assert not page(fleet["pve1"].address, 8080)
    look_closer(SYSTEM, rows["pve1"])
    work_off()
    rollout.refresh_from_db()
    assert rollout.state == RolloutState.DRIFTED
    assert "+-A GESTION-PORTS -p tcp -m tcp --dport 8080" in rollout.diff
    roll_out(SYSTEM, rows["pve1"], ["nat"])  # the button
    work_off()
    rollout.refresh_from_db()
    assert rollout.state == RolloutState.IN_SYNC
    assert "web1" in page(fleet["pve1"].address, 8080)


def test_an_edited_script_is_found_shown_and_put_back(fleet, rows):
    create_port_forward(SYSTEM, rule(rows["pve1"], rows["web1"], "8080", "80"))
    work_off()
    fleet["pve1"].exec(["sed", "-i", "s/ tcp 8080 / tcp 8079 /", "/etc/init.d/nat-vz"])
    look_closer(SYSTEM, rows["pve1"])
    work_off()
    rollout = Rollout.objects.get()
    assert rollout.state == RolloutState.DRIFTED
    assert "tcp 8079" in rollout.diff
    roll_out(SYSTEM, rows["pve1"], ["nat"])
    work_off()
    assert "web1" in page(fleet["pve1"].address, 8080)


def test_a_wrong_interface_is_refused_by_the_host_and_nothing_changes(fleet, rows):
    create_port_forward(SYSTEM, rule(rows["pve1"], rows["web1"], "8080", "80"))
    work_off()
    pve1 = rows["pve1"]
    pve1.external_interface = "eth9"
    pve1.save()
    roll_out(SYSTEM, pve1, ["nat"])
    work_off()
    rollout = Rollout.objects.get()
    assert rollout.state == RolloutState.FAILED
    assert "eth9" in rollout.why
    assert "eth0" in rollout.why  # what the host has instead
    assert "web1" in page(fleet["pve1"].address, 8080)


def test_a_host_that_is_no_proxmox_host_any_more_keeps_nothing_of_ours(fleet, rows):
    before = foreign(fleet)
    kept = create_port_forward(SYSTEM, rule(rows["pve1"], rows["web1"], "8080", "80"))
    work_off()
    delete_port_forward(SYSTEM, kept)
    type(rows["pve1"]).objects.filter(pk=rows["pve1"].pk).update(
        is_proxmox=False, proxmox_node="", external_interface=""
    )
    work_off()
    roll_out(SYSTEM, rows["pve1"], ["nat"])
    work_off()
    saved = fleet["pve1"].exec(["iptables-save"]).stdout.decode()
    assert "GESTION" not in saved
    assert foreign(fleet) == before
    assert fleet["pve1"].exec(["ls", "/etc/init.d/nat-vz"]).returncode != 0


def test_where_the_way_breaks_is_told(fleet, rows):
    web = create_port_forward(SYSTEM, rule(rows["pve1"], rows["web1"], "8080", "80"))
    work_off()

    def steps() -> dict[str, bool | None]:
        ask_what_answers(SYSTEM, web)
        work_off()
        web.refresh_from_db()
        return {answer["step"]: answer["ok"] for answer in web.answers or ()}

    assert steps() == {"guest": True, "host": True, "rule": True, "outside": True}
    fleet["web1"].exec(["iptables", "-w", "-I", "INPUT", "-p", "tcp", "--dport", "80", "-j", "DROP"])
    try:
        assert steps() == {"guest": True, "host": False, "rule": True, "outside": False}
    finally:
        fleet["web1"].exec(["iptables", "-w", "-F", "INPUT"])
    fleet["pve1"].exec(["/etc/init.d/nat-vz", "stop"])
    assert steps() == {"guest": True, "host": True, "rule": False, "outside": False}
    fleet["web1"].exec(["systemctl", "stop", "nginx"])
    try:
        assert steps()["guest"] is False
    finally:
        fleet["web1"].exec(["systemctl", "start", "nginx"])


def test_what_the_host_uses_itself_is_read(fleet, rows):
    read_ports(SYSTEM, rows["pve1"])
    work_off()
    reading = rows["pve1"].port_reading
    assert ["tcp", 22, 22, "sshd"] in reading.listening
    assert ["tcp", 2202, 2202, "PREROUTING"] in reading.foreign


def test_a_foreign_script_where_ours_should_go_is_not_replaced_unasked(fleet, rows):
    fleet["pve1"].exec(["sh", "-c", "printf '#!/bin/sh\\necho mine\\n' > /etc/init.d/nat-vz"])
    create_port_forward(SYSTEM, rule(rows["pve1"], rows["web1"], "8080", "80"))
    work_off()
    rollout = Rollout.objects.get()
    assert rollout.state == RolloutState.FAILED
    assert rollout.foreign == ["/etc/init.d/nat-vz"]
    assert b"mine" in fleet["pve1"].exec(["cat", "/etc/init.d/nat-vz"]).stdout
    with contextlib.suppress(OSError):
        assert not page(fleet["pve1"].address, 8080)
