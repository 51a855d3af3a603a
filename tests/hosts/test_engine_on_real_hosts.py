"""The engine on real hosts with real tools: each end is the old state or the new one, and says which."""

from dataclasses import replace

import pytest

from hosts import engine
from hosts.errors import (
    ActivationFailed,
    CheckFailed,
    DiskFull,
    Drift,
    ForeignFile,
    ProofFailed,
    RolledBack,
)
from hosts.ssh import SSHHost
from hosts.state import STAGED, Command, File, HttpProbe, Link, State, TcpProbe
from lab import Fleet, LabHost
from tests.hosts.conftest import Reach, logged
from tests.waiting import wait_for

pytestmark = pytest.mark.lab
SITE = "/etc/nginx/conf.d/gestion.conf"
CHECK = Command(("nginx", "-t", "-q"), in_place=True)
RELOAD = Command(("systemctl", "reload-or-restart", "nginx"))
ACTIVE = Command(("systemctl", "is-active", "nginx"), always=True)


def site(answer: str, **more: object) -> State:
    """nginx answers with this text on port 8080."""
    text = f"server {{ listen 8080; location / {{ return 200 '{answer}'; }} }}\n"
    fields: dict = {"checks": (CHECK,), "activate": (RELOAD,), "proofs": (ACTIVE,), **more}
    return State("nginx", (File(SITE, text.encode()),), **fields)


def put(host: SSHHost, wanted: State, adopt: bool = False) -> engine.Outcome:
    return engine.apply(host, engine.plan(host, wanted), adopt=adopt)


def serves(machine: LabHost, answer: str) -> bool:
    """Whether this is what nginx really answers, once its old workers are gone."""
    script = (
        'for i in $(seq 300); do [ "$(curl -sf localhost:8080)" = "$1" ] && exit; sleep 0.1; done; exit 1'
    )
    return machine.exec(["sh", "-c", script, "sh", answer]).returncode == 0


def leftovers(machine: LabHost) -> bytes:
    find = "find / -xdev -name '.gestion-*' -o -name 'gestion-undo-*'; ls /var/lib/gestion/runs /run/gestion-*.out"
    return machine.exec(["sh", "-c", f"{{ {find}; }} 2>/dev/null"]).stdout.replace(
        b"/var/lib/gestion/runs:\n", b""
    )


@pytest.fixture
def held(host: SSHHost, machine: LabHost) -> State:
    """The host serves "old"."""
    state = site("old")
    plan = engine.plan(host, state)
    engine.apply(host, plan, adopt=True)
    assert serves(machine, "old")
    return state


@pytest.fixture(autouse=True)
def nothing_left_behind(machine: LabHost):
    yield
    assert leftovers(machine) == b""


@pytest.mark.usefixtures("held")
def test_the_new_state_is_served_and_applying_it_again_changes_nothing(
    host: SSHHost, machine: LabHost
) -> None:
    assert put(host, site("new")).changed
    assert serves(machine, "new")
    stamps = machine.exec(["stat", "-c", "%y %i", SITE, "/var/lib/gestion/owned/nginx"]).stdout
    reloads = logged(machine, "nginx", "Reload")
    plan = engine.plan(host, site("new"))
    assert plan.empty
    assert not engine.apply(host, plan).changed
    assert machine.exec(["stat", "-c", "%y %i", SITE, "/var/lib/gestion/owned/nginx"]).stdout == stamps
    assert logged(machine, "nginx", "Reload") == reloads


def test_it_survives_a_reboot(host: SSHHost, machine: LabHost) -> None:
    put(host, site("new"))
    machine.reboot()
    assert serves(machine, "new")
    assert engine.plan(host, site("new")).empty


def test_owner_mode_and_links_are_what_the_state_says(host: SSHHost, machine: LabHost) -> None:
    state = State(
        "odd",
        (
            File("/srv/odd/-x\n'y'", b"\0\xff", 0o4750, "www-data", "adm"),
            Link("/srv/odd/link", "-x\n'y'"),
        ),
    )
    put(host, state)
    said = machine.exec(["sh", "-c", "stat -c '%a %U %G' /srv/odd/-*; cat /srv/odd/link"]).stdout
    assert said == b"4750 www-data adm\n\0\xff"
    assert engine.plan(host, state).empty
    put(host, State("odd", ()))
    assert machine.exec(["ls", "-A", "/srv/odd"]).stdout == b""


@pytest.mark.usefixtures("held")
def test_a_staged_check_that_fails_ends_in_the_old_state(host: SSHHost, machine: LabHost) -> None:
    staged = Command(("nginx", "-t", "-c", STAGED(SITE)))
    with pytest.raises(CheckFailed, match="nginx -t -c"):
        put(host, site("new", checks=(staged,)))
    assert serves(machine, "old")


@pytest.mark.usefixtures("held")
def test_a_check_in_place_that_fails_ends_in_the_old_state(host: SSHHost, machine: LabHost) -> None:
    with pytest.raises(CheckFailed, match="unknown directive"):
        put(host, site("new'; nonsense '"))
    assert serves(machine, "old")
    assert machine.exec(["nginx", "-t"]).returncode == 0


@pytest.mark.usefixtures("held")
def test_an_activation_that_fails_ends_in_the_old_state(host: SSHHost, machine: LabHost) -> None:
    fails = Command(("sh", "-c", "systemctl reload nginx; grep -q old /etc/nginx/conf.d/gestion.conf"))
    with pytest.raises(ActivationFailed):
        put(host, site("new", activate=(fails,)))
    assert serves(machine, "old")


@pytest.mark.usefixtures("held")
def test_an_activation_that_hangs_is_ended_and_put_back(host: SSHHost, machine: LabHost) -> None:
    # Long enough for the put-back, which runs the same on a busy host
    hangs = Command(("sh", "-c", "grep -q old /etc/nginx/conf.d/gestion.conf || sleep 300"), timeout=5)
    with pytest.raises(ActivationFailed, match="after 5 seconds"):
        put(host, site("new", activate=(hangs,)))
    assert serves(machine, "old")
    assert machine.exec(["pgrep", "-xf", "sleep 300"]).returncode != 0


@pytest.mark.usefixtures("held")
def test_a_proof_on_the_host_that_fails_ends_in_the_old_state(host: SSHHost, machine: LabHost) -> None:
    with pytest.raises(ProofFailed, match="curl"):
        put(host, site("new", proofs=(Command(("curl", "-sSf", "localhost:8099")),)))
    assert serves(machine, "old")


@pytest.mark.usefixtures("held")
def test_a_proof_from_outside_that_fails_ends_in_the_old_state(host: SSHHost, machine: LabHost) -> None:
    url = f"http://{machine.address}:8080/"
    right = HttpProbe(url, expect_body=b"new", timeout=30)
    assert put(host, site("new", probes=(right, TcpProbe(machine.address, 8080, timeout=30)))).changed
    with pytest.raises(ProofFailed, match="another one"):
        put(host, site("third", probes=(HttpProbe(url, expect_body=b"fourth", timeout=3),)))
    assert serves(machine, "new")
    with pytest.raises(ProofFailed, match="8099"):
        put(host, site("third", probes=(TcpProbe(machine.address, 8099, timeout=0.5),)))
    assert serves(machine, "new")


@pytest.mark.usefixtures("held")
def test_a_foreign_change_between_plan_and_apply_stops_it(host: SSHHost, machine: LabHost) -> None:
    plan = engine.plan(host, site("new"))
    machine.exec(["sh", "-c", f"echo '# by hand' >>{SITE}"])
    with pytest.raises(Drift):
        engine.apply(host, plan)
    assert b"# by hand" in machine.exec(["cat", SITE]).stdout
    again = engine.plan(host, site("new"))
    assert again.changes[0].edited
    assert "-# by hand" in again.diff


def test_a_foreign_file_is_refused_and_kept_aside_when_adopted(host: SSHHost, machine: LabHost) -> None:
    put(host, State("nginx", ()))
    machine.exec(["sh", "-c", f"echo '# theirs' >{SITE}; chmod 640 {SITE}; chown www-data {SITE}"])
    plan = engine.plan(host, site("new"))
    with pytest.raises(ForeignFile, match=SITE):
        engine.apply(host, plan)
    assert machine.exec(["cat", SITE]).stdout == b"# theirs\n"
    outcome = engine.apply(host, plan, adopt=True)
    assert serves(machine, "new")
    kept = machine.exec(["stat", "-c", "%a %U %s", f"{outcome.kept}{SITE}"]).stdout
    assert kept == b"640 www-data 9\n"


def test_a_full_disk_ends_in_the_old_state_and_says_so(fleet: Fleet, reach: Reach) -> None:
    small = fleet.add_host("engine-full", "nginx", disk_mb=16)
    host = reach(small)
    put(host, site("old"))
    assert serves(small, "old")
    plan = engine.plan(host, site("new"))
    small.fill()
    with pytest.raises(DiskFull, match="free some space"):
        engine.apply(host, plan)
    with pytest.raises(DiskFull):
        put(host, site("new" * 3000))
    assert serves(small, "old")
    small.empty()
    assert leftovers(small) == b""
    assert engine.plan(host, site("old")).empty
    assert put(host, site("new")).changed
    assert serves(small, "new")


def test_a_host_that_the_new_state_cuts_off_comes_back_by_itself(host: SSHHost, machine: LabHost) -> None:
    rule = ["INPUT", "-p", "tcp", "--dport", "22", "-m", "conntrack", "--ctstate", "NEW", "-j", "DROP"]
    shut = State(
        "firewall",
        (File("/etc/gestion-firewall", b"shut\n"),),
        activate=(Command(("iptables", "-w", "-A", *rule)),),
        put_back=(Command(("iptables", "-w", "-D", *rule)),),
        can_cut_off=True,
        undo_seconds=5,
    )
    plan = engine.plan(host, shut)
    # For the tries while it is shut: by then we are logged in, which takes a busy host longer
    host.target = replace(host.target, connect_timeout=3.0)
    with pytest.raises(RolledBack):
        engine.apply(host, plan)
    assert host.run(["test", "-e", "/etc/gestion-firewall"]).code == 1
    assert b"--dport 22" not in machine.exec(["iptables-save"]).stdout


def test_a_state_that_could_cut_off_but_does_not_is_confirmed_over_a_new_connection(
    host: SSHHost, machine: LabHost
) -> None:
    harmless = State(
        "firewall", (File("/etc/gestion-firewall", b"open\n"),), can_cut_off=True, undo_seconds=120
    )
    before = host.run(["sh", "-c", "echo $SSH_CONNECTION"]).text
    assert put(host, harmless).changed
    assert host.run(["sh", "-c", "echo $SSH_CONNECTION"]).text != before
    wait_for(
        lambda: machine.exec(["pgrep", "-f", "[g]estion-undo"]).returncode != 0, 30, name="the timer's end"
    )
    put(host, State("firewall", ()))
