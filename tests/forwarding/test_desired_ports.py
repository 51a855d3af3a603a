"""What a Proxmox host gets: golden files, and no way for what people type to change its structure."""

import re
import subprocess
from ipaddress import IPv4Address
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from forwarding.desired_ports import KIND, SCRIPT, Forward, Nat, desired, nat_of, script
from forwarding.services.ports import create_port_forward, switch_port_forward
from hosts import engine
from hosts.memory import MemoryHost
from hosts.state import File, Link
from servers.configs import NotWritable
from servers.models import Server

GOLDEN = Path(__file__).parent.parent / "golden" / "nat"
WEB, MAIL = IPv4Address("10.0.0.102"), IPv4Address("10.0.0.103")
FLEETS = {
    "empty": Nat("vmbr0", None, (), ()),
    "small": Nat(
        "eth0",
        IPv4Address("198.51.100.10"),
        (IPv4Address("10.0.0.1"), IPv4Address("10.0.7.20")),
        (
            Forward("tcp", 25, 25, MAIL, 25, 25, 3),
            Forward("tcp", 8080, 8080, WEB, 80, 80, 1),
            Forward("tcp", 9000, 9010, WEB, 9000, 9010, 4),
            Forward("tcp", 9100, 9110, WEB, 9200, 9210, 5),
            Forward("udp", 10000, 10010, MAIL, 53, 53, 2),
        ),
    ),
}


@pytest.mark.parametrize("name", FLEETS)
def test_the_script_is_what_its_golden_file_says(name):
    assert script(FLEETS[name]) == (GOLDEN / name / "nat-vz").read_text()


@pytest.mark.parametrize("name", FLEETS)
def test_the_script_is_a_posix_shell_script(name):
    subprocess.run(["sh", "-n"], input=script(FLEETS[name]), text=True, check=True)


ports = st.tuples(st.integers(1, 65535), st.integers(1, 65535)).map(sorted)
forwards = st.builds(
    lambda protocol, here, to, there, pk: Forward(protocol, here[0], here[1], to, there[0], there[1], pk),
    st.sampled_from(["tcp", "udp"]),
    ports,
    st.ip_addresses(v=4),
    ports,
    st.integers(1),
)


@settings(deadline=None)
@given(st.from_regex(r"[a-z][a-z0-9._-]{0,14}", fullmatch=True), st.lists(forwards, max_size=20))
def test_whatever_the_numbers_are_only_data_lines_differ(name, rules):
    text = script(Nat(name, None, (), tuple(rules)))
    tail = 'eval "$1"; printf "%s|" "$EXTERNAL"; forwards | wc -l'
    told = subprocess.run(["sh", "-c", tail, "sh", before_case(text)], capture_output=True, check=True).stdout
    assert told.decode() == f"{name}|{len(rules)}\n"
    head, rest = text.split("\n  cat <<'END'\n")
    lines, after = rest.split("\nEND\n") if rules else ("", rest.removeprefix("END\n"))
    assert all(re.fullmatch(r"[0-9]+ (tcp|udp) [0-9:]+ [0-9.]+ [0-9:]+", line) for line in lines.splitlines())
    empty = script(Nat(name, None, (), ()))
    assert f"{head}\n  cat <<'END'\nEND\n{after}" == empty


@given(st.text(max_size=20).filter(lambda name: not re.fullmatch(r"[A-Za-z][A-Za-z0-9._-]{0,14}", name)))
def test_an_interface_whose_name_could_be_read_as_more_is_never_written(name):
    with pytest.raises(ValueError, match="interface"):
        script(Nat(name, None, (), ()))


def before_case(text: str) -> str:
    """The script without its last part, which acts."""
    return text[: text.index("\ncase ${1-} in")]


@pytest.mark.parametrize(("first", "last"), [(0, 1), (2, 1), (1, 65536), (-1, 1)])
def test_what_is_no_port_is_never_written(first, last):
    with pytest.raises(NotWritable, match="no ports"):
        Forward("tcp", first, last, WEB, 1, 1, 1)
    with pytest.raises(NotWritable, match="no ports"):
        Forward("tcp", 1, 1, WEB, first, last, 1)


def test_a_protocol_that_is_none_is_never_written():
    with pytest.raises(NotWritable, match="no protocol"):
        script(Nat("eth0", None, (), (Forward("tcp -j DROP", 1, 1, WEB, 1, 1, 1),)))


@pytest.mark.django_db
def test_rows_become_lines_in_a_stable_order_without_what_people_typed(rows, actor):
    create_port_forward(actor, rows.rule("9000", note="'; rm -rf / #\n\n"[:12]))
    first = create_port_forward(actor, rows.rule("80", to=rows.proxy, inside="8080"))
    off = create_port_forward(actor, rows.rule("81"))
    switch_port_forward(actor, off, active=False)
    nat = nat_of(rows.pve1)
    assert [forward.line for forward in nat.forwards] == [
        f"{first.pk} tcp 80 10.0.0.101 8080",
        f"{first.pk - 1} tcp 9000 10.0.0.102 80",
    ]
    assert "rm -rf" not in script(nat)
    assert nat.inside == (IPv4Address("10.0.0.1"),)
    assert nat.address == IPv4Address("198.51.100.10")


@pytest.mark.django_db
def test_one_address_of_each_network_is_told(rows):
    for name, ip in (("a", "10.0.0.9"), ("b", "10.0.7.9"), ("c", "10.0.7.8")):
        Server.objects.create(name=name, keymanager_name=name, is_vm=True, vm_host=rows.pve1, internal_ip=ip)
    assert nat_of(rows.pve1).inside == (IPv4Address("10.0.0.1"), IPv4Address("10.0.7.8"))


@pytest.mark.django_db
def test_the_state_has_the_script_its_boot_links_and_the_undo_timer(rows):
    state = desired(rows.pve1)
    assert state.kind == KIND
    assert state.can_cut_off
    kept = {item.path: item for item in state.items}
    program = kept[SCRIPT]
    assert isinstance(program, File)
    assert program.mode == 0o755
    assert kept["/etc/rc2.d/S01nat-vz"] == Link("/etc/rc2.d/S01nat-vz", "../init.d/nat-vz")


@pytest.mark.django_db
def test_the_engine_checks_restarts_and_proves(rows):
    host = MemoryHost()
    engine.apply(host, engine.plan(host, desired(rows.pve1)), reconnect=lambda: host)
    ran = [argv for argv in host.ran if argv[0] != "sh" or argv[1] != "-c"]
    assert ran[1][0] == "sh"
    assert ran[1][2] == "check"
    assert ran[2:] == [(SCRIPT, "restart"), (SCRIPT, "status")]
    assert engine.plan(host, desired(rows.pve1)).empty


@pytest.mark.django_db
def test_a_host_that_is_no_proxmox_host_any_more_gets_rid_of_it(rows):
    host = MemoryHost()
    engine.apply(host, engine.plan(host, desired(rows.pve1)), reconnect=lambda: host)
    rows.pve1.is_proxmox = False
    engine.apply(host, engine.plan(host, desired(rows.pve1)), reconnect=lambda: host)
    assert host.read(SCRIPT) is None
    assert "iptables-save" in host.ran[-1][2]
