"""The engine on real hosts that break: it ends in the old state or the new one, and says which."""

import os
import signal
import threading
import time
from collections.abc import Iterator
from dataclasses import replace

import pytest

from hosts.engine import Plan, apply, plan, recover
from hosts.errors import (
    ActivationFailed,
    CheckFailed,
    DiskFull,
    Drift,
    HostError,
    ProofFailed,
    RolledBack,
)
from hosts.ssh import SSHHost
from hosts.state import STAGED, Command, File, HttpProbe, State, TcpProbe
from lab import LabHost
from tests.hosts.conftest import NGINX, Connect, nginx, page

pytestmark = pytest.mark.lab

SLOW = (Command(("systemctl", "reload", "nginx")), Command(("sleep", "4")))


@pytest.fixture
def old(plain: LabHost, connect: Connect) -> Iterator[SSHHost]:
    """A connection to a host that holds the old state; afterwards nothing of ours is left on it."""
    host = connect(plain)
    plan(host, nginx(b""))  # finishes what the test before left
    apply(host, plan(host, nginx(page("old"))), adopt=True)
    assert served(plain) == "old"
    yield host
    again = connect(plain)
    plan(again, nginx(b""))
    left = plain.exec(["find", "/etc", "/run", "-name", "*gestion-*", "-newer", "/etc/hostname"]).stdout
    assert left == b""
    assert b"gestion-undo" not in plain.exec(["ps", "axo", "args"]).stdout


def served(host: LabHost) -> str:
    return host.exec(["curl", "-s", "http://127.0.0.1:8080/"]).stdout.decode()


def assert_old(host: LabHost, connection: SSHHost) -> None:
    assert connection.read(NGINX) == page("old")
    assert plan(connection, nginx(page("old"))).empty
    assert served(host) == "old"


def end_of(connection: SSHHost, found: Plan) -> list[str]:
    return [one.state for one in recover(connection) if one.run == found.run]


def test_apply_shows_from_outside_and_a_second_apply_changes_nothing(plain: LabHost, old: SSHHost) -> None:
    probes = (
        TcpProbe(plain.address, 8080),
        HttpProbe(f"http://{plain.address}:8080/", expect_body=b"new"),
    )
    found = plan(old, nginx(page("new"), probes=probes))
    assert "-server { listen 8080; return 200 'old'; }" in found.diff
    assert apply(old, found).changed
    assert served(plain) == "new"
    before = plain.exec(["stat", "-c", "%Y %i", NGINX]).stdout
    assert not apply(old, plan(old, nginx(page("new"), probes=probes))).changed
    assert plain.exec(["stat", "-c", "%Y %i", NGINX]).stdout == before


@pytest.mark.parametrize(
    ("content", "parts", "error", "words"),
    [
        (b"nonsense;\n", {}, CheckFailed, "unknown directive"),
        (b"x", {"checks": (Command(("grep", "-q", "server", STAGED(NGINX))),)}, CheckFailed, "grep"),
        (b"", {"activate": (Command(("grep", "old", NGINX)),)}, ActivationFailed, "grep"),
        (page("new"), {"proofs": (Command(("curl", "-fsS", "http://127.0.0.1:8080/x", "-o", "/nowhere/x")),)},
         ProofFailed, "curl"),
        (page("new"), {"probes": (TcpProbe("127.0.0.1", 1, timeout=0.2),)}, ProofFailed, "port 1"),
    ],
)  # fmt: skip
def test_a_failure_puts_the_old_state_back(
    plain: LabHost,
    old: SSHHost,
    content: bytes,
    parts: dict[str, object],
    error: type[HostError],
    words: str,
) -> None:
    with pytest.raises(error) as caught:
        apply(old, plan(old, nginx(content, **parts)))
    assert words in str(caught.value)
    assert_old(plain, old)


def test_a_foreign_change_between_plan_and_apply_is_drift(plain: LabHost, old: SSHHost) -> None:
    found = plan(old, nginx(page("new")))
    plain.exec(["sh", "-c", f"echo '# by hand' >>{NGINX}"])
    with pytest.raises(Drift):
        apply(old, found)
    again = plan(old, nginx(page("new")))
    assert again.changes[0].edited
    apply(old, again)
    assert served(plain) == "new"


def test_a_connection_cut_in_the_middle_of_an_apply_ends_in_the_new_state_and_says_so(
    plain: LabHost, old: SSHHost, connect: Connect
) -> None:
    found = plan(old, nginx(page("new"), activate=SLOW))
    threading.Timer(1, plain.cut).start()
    threading.Timer(6, plain.mend).start()
    assert apply(old, found, reconnect=lambda: connect(plain)).changed
    assert served(plain) == "new"
    assert end_of(connect(plain), found) == ["new"]


def test_a_connection_cut_in_the_middle_of_an_apply_that_fails_ends_in_the_old_state_and_says_so(
    plain: LabHost, old: SSHHost, connect: Connect
) -> None:
    fails = Command(("grep", "old", NGINX))
    found = plan(old, nginx(page("new"), activate=(*SLOW, fails), put_back=SLOW[:1]))
    threading.Timer(1, plain.cut).start()
    threading.Timer(6, plain.mend).start()
    with pytest.raises(ActivationFailed):
        apply(old, found, reconnect=lambda: connect(plain))
    assert_old(plain, connect(plain))


@pytest.mark.parametrize("wait", [0.3, 1.5])
def test_a_worker_killed_in_the_middle_leaves_the_host_to_end_in_one_of_the_states(
    plain: LabHost, old: SSHHost, connect: Connect, wait: float
) -> None:
    found = plan(old, nginx(page("new"), activate=(SLOW[0], Command(("sleep", "1")))))
    target = old.target
    old.close()
    worker = os.fork()
    if worker == 0:
        try:
            apply(SSHHost(target), found)
        finally:
            os._exit(0)
    time.sleep(wait)
    os.kill(worker, signal.SIGKILL)
    os.waitpid(worker, 0)
    time.sleep(2)
    host = connect(plain)
    assert end_of(host, found) in (["new"], [])
    assert served(plain) == ("new" if end_of(host, found) else "old")


def test_a_full_disk_leaves_the_old_state(plain: LabHost, old: SSHHost) -> None:
    found = plan(old, nginx(page("new") + b"# long\n" * 3000))
    plain.fill()
    try:
        with pytest.raises(DiskFull):
            apply(old, found)
        assert_old(plain, old)
    finally:
        plain.empty()
    apply(old, plan(old, nginx(page("new"))))
    assert served(plain) == "new"


def test_a_disk_that_fills_up_during_activation_leaves_the_old_state(plain: LabHost, old: SSHHost) -> None:
    fill = Command(("sh", "-c", "cat /dev/zero >/var/big; echo x >/var/more"))
    try:
        with pytest.raises(DiskFull):
            apply(old, plan(old, nginx(page("new"), activate=(fill,), put_back=SLOW[:1])))
        assert_old(plain, old)
    finally:
        plain.exec(["rm", "-f", "/var/big", "/var/more"])


def test_what_was_applied_survives_a_reboot(plain: LabHost, old: SSHHost) -> None:
    apply(old, plan(old, nginx(page("new"))))
    plain.reboot()
    assert plan(old, nginx(page("new"))).empty
    assert served(plain) == "new"


def test_a_power_cut_in_the_middle_is_put_back_by_the_next_look_which_says_so(
    plain: LabHost, old: SSHHost, connect: Connect
) -> None:
    found = plan(old, nginx(page("new"), activate=SLOW))
    threading.Timer(1, lambda: plain.stop(power_cut=True)).start()
    with pytest.raises(HostError):
        apply(old, found)
    plain.start()
    host = connect(plain)
    assert [(one.run, one.state, one.now) for one in recover(host)] == [(found.run, "old", True)]
    assert_old(plain, host)


def locks_us_out() -> State:
    """A firewall that drops SSH: what the undo timer is for."""
    rule = "iptables -w -A INPUT -p tcp --dport 22 -j DROP"
    load = Command(("sh", "-c", "iptables -w -F INPUT; sh /etc/firewall.sh"))
    return State("firewall", (File("/etc/firewall.sh", rule.encode()),), activate=(load,), can_cut_off=True,
                 put_back=(Command(("iptables", "-w", "-F", "INPUT")),), undo_seconds=5)  # fmt: skip


def test_a_change_that_locks_the_panel_out_is_undone_by_the_host_and_the_panel_says_so(
    plain: LabHost, old: SSHHost, connect: Connect
) -> None:
    found = plan(old, locks_us_out())
    with pytest.raises(RolledBack):
        apply(old, found, reconnect=lambda: connect(plain, connect_timeout=1))
    assert old.read("/etc/firewall.sh") is None
    assert b"DROP" not in plain.exec(["iptables", "-S", "INPUT"]).stdout


def test_the_host_undoes_with_the_panel_dead(plain: LabHost, old: SSHHost, connect: Connect) -> None:
    found = plan(old, locks_us_out())
    target = old.target
    worker = os.fork()
    if worker == 0:
        try:
            apply(SSHHost(target), found)
        finally:
            os._exit(0)
    time.sleep(1.5)
    os.kill(worker, signal.SIGKILL)
    os.waitpid(worker, 0)
    assert b"DROP" in plain.exec(["iptables", "-S", "INPUT"]).stdout
    time.sleep(5)
    assert b"DROP" not in plain.exec(["iptables", "-S", "INPUT"]).stdout
    assert end_of(connect(plain), found) == ["old"]


def test_a_power_cut_before_the_confirmation_is_undone_when_the_host_starts_again(
    plain: LabHost, old: SSHHost, connect: Connect
) -> None:
    found = plan(old, replace(nginx(page("new")), can_cut_off=True, undo_seconds=300))

    def power_cut() -> SSHHost:
        plain.stop(power_cut=True)
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        apply(old, found, reconnect=power_cut)
    plain.start()
    end = time.monotonic() + 20
    while served(plain) != "old" and time.monotonic() < end:
        time.sleep(0.2)
    assert_old(plain, connect(plain))
    assert end_of(connect(plain), found) == ["old"]


def test_a_kind_that_can_cut_off_is_kept_when_the_panel_comes_back(
    plain: LabHost, old: SSHHost, connect: Connect
) -> None:
    found = plan(old, replace(nginx(page("new")), can_cut_off=True))
    assert apply(old, found, reconnect=lambda: connect(plain)).changed
    assert plan(old, nginx(page("new"))).empty
    assert served(plain) == "new"
