"""Hostnames on a real nginx: who answers for which name, and that a broken one stops no other."""

import socket
from collections import Counter
from typing import Any

import pytest

from forwarding.models import HostnameForward
from forwarding.services.hostnames import delete_hostname, switch_hostname
from jobs.models import JobState
from lab import Fleet, HostSpec, LabHost
from servers.models import Rollout, RolloutRecord, RolloutState
from servers.services import look_closer, roll_out
from tests.forwarding.nginx_lab import SYSTEM, add, furnish, get, lay, self_signed, stopped, who
from tests.jobs.working import work_off
from tests.waiting import wait_for

pytestmark = [pytest.mark.lab, pytest.mark.django_db(transaction=True)]
WEBS = ("web1", "web2", "web3")


@pytest.fixture
def rows(fleet: Fleet, lab_key):
    """The lab in the inventory with three web servers; the ports 80, 443 and 8090 of pve1 lead to proxy."""
    missing = [name for name in WEBS if name not in {host.name for host in fleet}]
    if missing:
        fleet.add_hosts([HostSpec(name, behind="pve1") for name in missing])
        wait_for(lambda: all(serves(fleet[name]) for name in missing), name="nginx of the new hosts")
    return furnish(fleet, lab_key, (80, 443, 8090))


def serves(host: LabHost) -> bool:
    """Whether its own nginx runs: a host that starts answers by SSH before that."""
    return host.exec(["systemctl", "-q", "is-active", "nginx"]).returncode == 0


@pytest.fixture
def pve1(fleet: Fleet) -> LabHost:
    return fleet["pve1"]


def rollout() -> Rollout:
    return Rollout.objects.get(kind="nginx")


def foreign(host: LabHost) -> bytes:
    """Every file of nginx and its sites that is not ours, with its owner, mode and bytes."""
    find = "find /etc/nginx /etc/systemd /lib/systemd/system/nginx.service"
    ours = "! -path '*gestion*' ! -name ngnix.conf ! -type d"
    script = f"{find} {ours} -printf '%p %u %m %l\\n' | sort; {find} {ours} -type f -exec cat {{}} +"
    return host.exec(["sh", "-c", script]).stdout


def test_each_name_leads_to_its_server_also_after_a_reboot_and_no_more_when_deleted(fleet, rows, pve1):
    before = foreign(fleet["proxy"])
    assert who(pve1, "a.example.org") == "proxy"  # Debian's own site
    one = add(rows, "a.example.org", "web1")
    two = add(rows, "*.b.example.org", "web2")
    add(rows, "xn--bcher-kva.example", "web3")
    add(rows, f"{'x' * 60}.{'y' * 60}.{'z' * 60}.example.org", "web1")
    assert [job.state for job in work_off()] == [JobState.DONE]
    assert rollout().state == RolloutState.IN_SYNC
    assert who(pve1, "a.example.org") == "web1"
    assert who(pve1, "any.b.example.org") == "web2"
    assert who(pve1, "XN--bcher-kva.example") == "web3"
    assert who(pve1, f"{'x' * 60}.{'y' * 60}.{'z' * 60}.example.org") == "web1"
    assert who(pve1, "other.example.org") == "proxy"
    pve1.reboot()
    wait_for(lambda: who(pve1, "a.example.org") == "web1", name="the hostname after a reboot")
    wait_for(lambda: serves(fleet["web3"]), name="the server behind another one")
    delete_hostname(SYSTEM, one, confirmed=True)
    switch_hostname(SYSTEM, two, active=False, confirmed=True)
    work_off()
    assert who(pve1, "a.example.org") == "proxy"
    assert who(pve1, "any.b.example.org") == "proxy"
    assert who(pve1, "xn--bcher-kva.example") == "web3"
    for row in HostnameForward.objects.filter(active=True):
        delete_hostname(SYSTEM, row, confirmed=True)
    work_off()
    assert rollout().state == RolloutState.IN_SYNC
    assert who(pve1, "xn--bcher-kva.example") == "proxy"
    assert foreign(fleet["proxy"]) == before


def test_a_second_rollout_changes_nothing(fleet, rows):
    add(rows, "a.example.org", "web1")
    work_off()
    ending = ["pgrep", "-f", "nginx: worker process is shutting down"]
    wait_for(lambda: fleet["proxy"].exec(ending).returncode, name="the end of the workers before")
    workers = fleet["proxy"].exec(["pgrep", "-f", "nginx: worker"]).stdout
    roll_out(SYSTEM, rows["proxy"], ["nginx"])
    work_off()
    assert RolloutRecord.objects.filter(kind="nginx")[0].outcome == "nothing"
    assert fleet["proxy"].exec(["pgrep", "-f", "nginx: worker"]).stdout == workers


def test_in_turn_three_servers_get_a_third_each_and_with_one_stopped_no_request_fails(fleet, rows, pve1):
    add(rows, "a.example.org", *WEBS)
    work_off()
    assert Counter(who(pve1, "a.example.org") for _ in range(90)) == {"web1": 30, "web2": 30, "web3": 30}
    with stopped(fleet["web2"]):
        found = Counter(who(pve1, "a.example.org") for _ in range(60))
    assert set(found) == {"web1", "web3"}
    assert abs(found["web1"] - found["web3"]) <= 1
    fleet["web3"].stop(power_cut=True)  # nobody there to refuse
    try:
        found = Counter(who(pve1, "a.example.org") for _ in range(20))
    finally:
        fleet["web3"].start()
    assert set(found) <= {"web1", "web2"}


def test_weight_gives_more(rows, pve1):
    add(rows, "a.example.org", "web1", "web2", weights=(3, 1))
    work_off()
    assert Counter(who(pve1, "a.example.org") for _ in range(40)) == {"web1": 30, "web2": 10}


def test_ip_hash_keeps_a_visitor_with_his_server_as_long_as_it_answers(fleet, rows, pve1):
    add(rows, "a.example.org", *WEBS, balancing="ip_hash")
    work_off()
    (mine,) = {who(pve1, "a.example.org") for _ in range(20)}
    with stopped(fleet[mine]):
        (other,) = {who(pve1, "a.example.org") for _ in range(20)}
    assert other in set(WEBS) - {mine}


def test_the_least_busy_one_answers_and_a_spare_one_only_when_no_other_does(fleet, rows, pve1):
    add(rows, "a.example.org", *WEBS, balancing="least_conn", spare=1)
    work_off()
    assert {who(pve1, "a.example.org") for _ in range(20)} == {"web1", "web2"}
    with stopped(fleet["web1"]), stopped(fleet["web2"]):
        assert {who(pve1, "a.example.org") for _ in range(5)} == {"web3"}


ECHO = (
    "use IO::Socket::INET; my $l = IO::Socket::INET->new(LocalPort => 8099, Listen => 5, ReuseAddr => 1) or die; "
    "exit 0 if fork; $SIG{ALRM} = sub { exit 0 }; alarm 120; close STDOUT; close STDERR; close STDIN; "
    'my $c = $l->accept; my $h = ""; while (<$c>) { $h .= $_; last if $_ eq "\\r\\n" } '
    'print $c "HTTP/1.1 101 Switching Protocols\\r\\nUpgrade: websocket\\r\\nConnection: Upgrade\\r\\n\\r\\n"; '
    "$c->flush; print $c $h; $c->flush; while (sysread($c, my $b, 100)) { syswrite($c, $b) }"
)


def test_a_websocket_goes_through_and_the_server_learns_who_asks(fleet, rows, pve1):
    add(rows, "a.example.org", "web1", destination_port=8099)
    work_off()
    assert fleet["web1"].exec(["perl", "-e", ECHO]).returncode == 0
    with socket.create_connection((pve1.address, 80), timeout=30) as client:
        asked = ["GET /chat HTTP/1.1", "Host: a.example.org", "Upgrade: websocket", "Connection: Upgrade"]
        client.sendall("\r\n".join([*asked, "Sec-WebSocket-Key: x", "", ""]).encode())
        seen = b""
        while seen.count(b"\r\n\r\n") < 2:
            seen += client.recv(4000)
        client.sendall(b"hello")
        echoed = client.recv(5)
        mine = client.getsockname()[0]
    assert seen.startswith(b"HTTP/1.1 101 ")
    assert b"\r\nHost: a.example.org\r\n" in seen
    assert f"\r\nX-Real-IP: {mine}\r\n".encode() in seen
    assert b"\r\nUpgrade: websocket\r\n" in seen
    assert echoed == b"hello"


def test_tls_with_a_certificate_of_the_servers_own_and_a_default_redirect(fleet, rows, pve1):
    chain, key = self_signed("a.example.org")
    lay(fleet["proxy"], "/etc/ssl/a.pem", chain)
    lay(fleet["proxy"], "/etc/ssl/a.key", key)
    fleet["proxy"].exec(["rm", "/etc/nginx/sites-enabled/default"])
    paths: Any = {
        "certificate_kind": "paths",
        "certificate_path": "/etc/ssl/a.pem",
        "key_path": "/etc/ssl/a.key",
    }
    try:
        add(rows, "a.example.org", "web1", force_https=True, is_default=True, **paths)
        add(rows, "b.example.org", "web2", port=8090)
        work_off()
        assert get(pve1, "a.example.org", path="/x?y") == (308, "https://a.example.org/x?y")
        assert get(pve1, "a.example.org", 443, tls=True)[0] == 200
        assert get(pve1, "z.example.org", path="/x") == (302, "https://a.example.org/x")
        assert get(pve1, "z.example.org", 443, "/x", tls=True) == (302, "https://a.example.org/x")
        assert who(pve1, "b.example.org", 8090) == "web2"
        assert get(pve1, "z.example.org", 8090)[0] == 404
    finally:
        fleet["proxy"].exec(["ln", "-s", "../sites-available/default", "/etc/nginx/sites-enabled/default"])


def test_a_port_with_no_certificate_for_a_name_answers_by_none(fleet, rows, pve1):
    chain, key = self_signed("a.example.org")
    lay(fleet["proxy"], "/etc/ssl/a.pem", chain)
    lay(fleet["proxy"], "/etc/ssl/a.key", key)
    paths: Any = {
        "certificate_kind": "paths",
        "certificate_path": "/etc/ssl/a.pem",
        "key_path": "/etc/ssl/a.key",
    }
    add(rows, "a.example.org", "web1", **paths)
    work_off()
    assert get(pve1, "a.example.org", 443, tls=True)[0] == 200
    status, words = get(pve1, "z.example.org", 443, tls=True)
    assert (status, "unrecognized name" in words.lower().replace("_", " ")) == (0, True)


def test_a_site_edited_by_hand_is_found_shown_and_put_back(fleet, rows, pve1):
    row = add(rows, "a.example.org", "web1")
    work_off()
    path = f"/etc/nginx/gestion/sites/{row.pk}.conf"
    fleet["proxy"].exec(["sed", "-i", "s/10.0.0.*:80;/10.9.9.9:80;/", path])
    fleet["proxy"].exec(["sed", "-i", f"/{row.pk}.conf/d", "/etc/nginx/gestion/enabled.conf"])
    fleet["proxy"].exec(["systemctl", "reload", "nginx"])
    look_closer(SYSTEM, rows["proxy"])
    work_off()
    assert rollout().state == RolloutState.DRIFTED
    assert "-    server 10.9.9.9:80;" in rollout().diff
    roll_out(SYSTEM, rows["proxy"], ["nginx"])  # the button
    work_off()
    assert rollout().state == RolloutState.IN_SYNC
    assert who(pve1, "a.example.org") == "web1"


def test_an_nginx_that_was_stopped_or_serves_others_than_chosen_is_found_and_put_back(fleet, rows, pve1):
    add(rows, "a.example.org", "web1")
    work_off()
    for by_hand, told in (
        (["systemctl", "stop", "nginx"], "nginx does not run."),
        (["sed", "-i", "1d", "/etc/nginx/gestion/enabled.conf"], "not as it was chosen"),
    ):
        fleet["proxy"].exec(by_hand).check_returncode()
        look_closer(SYSTEM, rows["proxy"])
        work_off()
        assert rollout().state == RolloutState.DRIFTED
        assert told in rollout().diff
        roll_out(SYSTEM, rows["proxy"], ["nginx"])
        work_off()
        assert rollout().state == RolloutState.IN_SYNC
        assert who(pve1, "a.example.org") == "web1"
