"""What is broken about one hostname, or about the server's nginx, never takes the other hostnames down."""

from typing import Any

import pytest

from forwarding.models import HostnameForward
from forwarding.services.hostnames import delete_hostname
from lab import Fleet, LabHost
from servers.models import Rollout, RolloutRecord, RolloutState, Server
from servers.services import roll_out
from tests.forwarding.nginx_lab import SYSTEM, add, furnish, get, lay, self_signed, try_again, who
from tests.jobs.working import work_off
from tests.waiting import wait_for

pytestmark = [pytest.mark.lab, pytest.mark.django_db(transaction=True)]
PATHS: Any = {"certificate_kind": "paths", "certificate_path": "/etc/ssl/b.pem", "key_path": "/etc/ssl/b.key"}
LISTEN = (
    "use IO::Socket::INET; my $l = IO::Socket::INET->new(LocalPort => 8090, Listen => 5, ReuseAddr => 1) or die; "
    "exit 0 if fork; $SIG{ALRM} = sub { exit 0 }; alarm 200; close STDOUT; close STDERR; close STDIN; sleep 200"
)


@pytest.fixture
def rows(fleet: Fleet, lab_key):
    """The lab in the inventory; a.example.org is served."""
    rows = furnish(fleet, lab_key, (80, 443, 8090))
    add(rows, "a.example.org", "web1")
    work_off()
    return rows


@pytest.fixture
def pve1(fleet: Fleet) -> LabHost:
    return fleet["pve1"]


def rollout() -> Rollout:
    return Rollout.objects.get(kind="nginx")


def left_out(row: HostnameForward) -> str:
    row.refresh_from_db()
    return row.left_out


def test_a_broken_certificate_leaves_out_that_hostname_alone_until_it_is_mended(fleet, rows, pve1):
    chain, key = self_signed("b.example.org")
    other = self_signed("b.example.org")[1]
    lay(fleet["proxy"], "/etc/ssl/b.pem", chain)
    lay(fleet["proxy"], "/etc/ssl/b.key", other)
    broken = add(rows, "b.example.org", "web1", **PATHS)
    add(rows, "c.example.org", "web1")
    work_off()
    assert rollout().state == RolloutState.IN_SYNC
    assert "key values mismatch" in left_out(broken)
    assert "b.example.org" in RolloutRecord.objects.filter(kind="nginx")[0].said
    assert [who(pve1, name) for name in ("a.example.org", "c.example.org")] == ["web1", "web1"]
    lay(fleet["proxy"], "/etc/ssl/b.key", key)
    try_again(fleet["proxy"])
    assert get(pve1, "b.example.org", 443, tls=True)[0] == 200
    roll_out(SYSTEM, rows["proxy"], ["nginx"])
    work_off()
    assert left_out(broken) == ""


def test_a_certificate_that_vanished_does_not_keep_nginx_from_starting_again(fleet, rows, pve1):
    chain, key = self_signed("b.example.org")
    lay(fleet["proxy"], "/etc/ssl/b.pem", chain)
    lay(fleet["proxy"], "/etc/ssl/b.key", key)
    broken = add(rows, "b.example.org", "web1", **PATHS)
    work_off()
    assert get(pve1, "b.example.org", 443, tls=True)[0] == 200
    fleet["proxy"].exec(["rm", "/etc/ssl/b.key"])
    # Tests start nginx anew more often than systemd lets anybody.
    restart = ["sh", "-c", "systemctl reset-failed nginx; systemctl restart nginx"]
    for start_anew in (lambda: fleet["proxy"].exec(restart).check_returncode(), pve1.reboot):
        start_anew()
        wait_for(lambda: who(pve1, "a.example.org") == "web1")
        assert get(pve1, "b.example.org", 443, tls=True)[0] == 0
    roll_out(SYSTEM, rows["proxy"], ["nginx"])
    work_off()
    assert "No such file" in left_out(broken)


def test_a_name_that_does_not_resolve_leaves_out_that_hostname_alone(fleet, rows, pve1):
    rows["db"] = Server.objects.create(name="db.example.net", keymanager_name="db")
    broken = add(rows, "b.example.org", "web1", "db")
    work_off()
    assert left_out(broken) == "db.example.net does not resolve."
    assert who(pve1, "a.example.org") == "web1"
    pve1.reboot()
    wait_for(lambda: who(pve1, "a.example.org") == "web1")
    script = f"echo {fleet['web1'].address} db.example.net >>/etc/hosts"
    fleet["proxy"].exec(["sh", "-c", script]).check_returncode()
    try_again(fleet["proxy"])
    assert who(pve1, "b.example.org") == "web1"


def test_a_port_that_another_program_has_leaves_out_that_hostname_alone_also_when_nginx_starts(
    fleet, rows, pve1
):
    assert fleet["proxy"].exec(["perl", "-e", LISTEN]).returncode == 0
    broken = add(rows, "b.example.org", "web1", port=8090)
    work_off()
    assert left_out(broken) == "Another program has port 8090."
    fleet["proxy"].exec(["systemctl", "restart", "nginx"]).check_returncode()
    assert who(pve1, "a.example.org") == "web1"
    fleet["proxy"].exec(["pkill", "-x", "perl"])
    wait_for(
        lambda: b"perl" not in fleet["proxy"].exec(["ss", "-Hltnp"]).stdout, name="the end of that program"
    )
    try_again(fleet["proxy"])
    assert who(pve1, "b.example.org", 8090) == "web1"


def test_a_default_redirect_beside_another_sites_default_is_told_and_nothing_else_happens(rows, pve1):
    row = add(rows, "b.example.org", "web1", is_default=True)
    work_off()
    assert "duplicate default server" in left_out(row)
    assert who(pve1, "b.example.org") == "web1"
    assert who(pve1, "z.example.org") == "proxy"


def test_a_site_of_somebody_else_that_is_broken_is_told_and_changes_nothing(fleet, rows, pve1):
    lay(fleet["proxy"], "/etc/nginx/sites-enabled/theirs", "server { listen 80; nonsense; }\n")
    try:
        add(rows, "b.example.org", "web1")
        work_off()
        assert rollout().state == RolloutState.FAILED
        assert "not from Gestion" in rollout().why
        assert "/etc/nginx/sites-enabled/theirs" in rollout().why
        assert who(pve1, "a.example.org") == "web1"
        assert who(pve1, "b.example.org") == "proxy"
    finally:
        fleet["proxy"].exec(["rm", "/etc/nginx/sites-enabled/theirs"])
    roll_out(SYSTEM, rows["proxy"], ["nginx"])
    work_off()
    assert who(pve1, "b.example.org") == "web1"


def test_our_own_file_broken_by_hand_is_put_back(fleet, rows, pve1):
    lay(fleet["proxy"], "/etc/nginx/sites-available/ngnix.conf", "nonsense;\n")
    roll_out(SYSTEM, rows["proxy"], ["nginx"])
    work_off()
    assert rollout().state == RolloutState.IN_SYNC
    assert who(pve1, "a.example.org") == "web1"


def test_an_nginx_that_reads_no_sites_enabled_is_told(fleet, rows):
    delete_hostname(SYSTEM, HostnameForward.objects.get(), confirmed=True)
    work_off()
    edit = ["sed", "-i", "s|include /etc/nginx/sites-enabled|#&|", "/etc/nginx/nginx.conf"]
    fleet["proxy"].exec(edit).check_returncode()
    try:
        add(rows, "b.example.org", "web1")
        work_off()
        assert rollout().state == RolloutState.FAILED
        assert "sites-enabled" in rollout().why
    finally:
        edit[2] = "s|#\\(include /etc/nginx/sites-enabled\\)|\\1|"
        fleet["proxy"].exec(edit).check_returncode()


def test_what_is_there_without_us_is_there_again_when_a_first_rollout_fails(fleet, rows, pve1):
    delete_hostname(SYSTEM, HostnameForward.objects.get(), confirmed=True)
    work_off()
    fleet["proxy"].exec(["systemctl", "mask", "--now", "nginx"]).check_returncode()
    try:
        add(rows, "b.example.org", "web1")
        work_off()
        assert rollout().state == RolloutState.FAILED
        assert RolloutRecord.objects.filter(kind="nginx")[0].outcome == "failed"
        assert fleet["proxy"].exec(["ls", "/etc/nginx/sites-enabled/ngnix.conf"]).returncode
    finally:
        fleet["proxy"].exec(["sh", "-c", "systemctl unmask nginx; systemctl start nginx"])
    assert who(pve1, "a.example.org") == "proxy"


def test_a_kernel_without_ipv6_is_served_by_ipv4_alone(fleet, rows, pve1):
    add(rows, "b.example.org", "web1", port=8090)
    work_off()
    listening = ["ss", "-Hltn", "sport", "=", ":8090"]
    assert b"[::]:8090" in fleet["proxy"].exec(listening).stdout
    script = "sed s,/proc/net/if_inet6,/nowhere, /usr/local/sbin/gestion-nginx | sh -s apply"
    fleet["proxy"].exec(["sh", "-c", script]).check_returncode()
    assert b"[::]:8090" not in fleet["proxy"].exec(listening).stdout
    assert who(pve1, "b.example.org", 8090) == "web1"
