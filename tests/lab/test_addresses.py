"""Names and addresses are planned without touching the machine."""

import os
import re
from ipaddress import IPv4Address, IPv4Network

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lab import addresses
from lab.__main__ import main
from lab.errors import LabError

NAMES = st.from_regex(r"[a-z][a-z0-9-]{0,11}", fullmatch=True)
HOSTS = st.from_regex(r"[a-z0-9]([a-z0-9-]{0,38}[a-z0-9])?", fullmatch=True)


@given(NAMES, HOSTS)
def test_interface_names_fit_the_kernel(lab: str, host: str) -> None:
    assert len(addresses.bridge_name(lab)) <= 15
    assert len(addresses.veth_name(lab, host)) <= 15


@given(st.tuples(NAMES, HOSTS), st.tuples(NAMES, HOSTS))
def test_two_hosts_never_share_a_container_name(one: tuple[str, str], other: tuple[str, str]) -> None:
    same = addresses.container_name(*one) == addresses.container_name(*other)
    assert same == (one == other)


@given(NAMES, HOSTS)
def test_a_mac_address_is_local_unicast_and_stays(lab: str, host: str) -> None:
    mac = addresses.mac_address(lab, host)
    assert re.fullmatch(r"02(:[0-9a-f]{2}){5}", mac)
    assert mac == addresses.mac_address(lab, host)


@given(st.text())
def test_a_lab_name_that_passes_is_safe_in_paths_and_commands(name: str) -> None:
    try:
        addresses.check_lab_name(name)
    except LabError:
        return
    assert re.fullmatch(r"[a-z][a-z0-9-]*", name)


@pytest.mark.parametrize("name", ["", "Demo", "../x", "a b", "a\n", "x" * 13, "-a", "é"])
def test_bad_lab_names_are_refused(name: str) -> None:
    with pytest.raises(LabError):
        addresses.check_lab_name(name)


@pytest.mark.parametrize("name", ["", "a.b", "-a", "a-", "a/b", "a\n", "x" * 41, "A"])
def test_bad_host_names_are_refused(name: str) -> None:
    with pytest.raises(LabError):
        addresses.check_host_name(name)


@pytest.mark.parametrize(
    "text",
    [
        "10.0.0.0/24",
        "203.0.113.0/27",
        "198.51.100.0/30",
        "198.51.100.0/23",
        "2001:db8::/64",
        "no",
        "198.51.100.1/24",
    ],
)
def test_networks_that_are_somebodys_or_too_small_are_refused(text: str) -> None:
    with pytest.raises(LabError):
        addresses.check_network(text)


def test_the_panel_has_the_first_address_and_hosts_the_next() -> None:
    network = IPv4Network("198.51.100.32/27")
    assert addresses.panel_address(network) == "198.51.100.33"
    assert addresses.next_address(network, []) == "198.51.100.34"
    assert addresses.next_address(network, ["198.51.100.34", "198.51.100.36"]) == "198.51.100.35"


def test_a_27_holds_29_hosts_and_then_says_so() -> None:
    network = IPv4Network("198.51.100.32/27")
    taken: list[str] = []
    for _ in range(29):
        taken.append(addresses.next_address(network, taken))
    assert len(set(taken)) == 29
    assert all(IPv4Address(address) in network for address in taken)
    with pytest.raises(LabError, match="larger network"):
        addresses.next_address(network, taken)


def test_containers_behind_a_host_get_an_address_and_a_port_of_their_own() -> None:
    assert addresses.next_inside([]) == ("10.0.0.101", 2201)
    assert addresses.next_inside(["10.0.0.101"]) == ("10.0.0.102", 2202)


def test_without_root_the_command_says_so_and_exits_with_3(capsys: pytest.CaptureFixture[str]) -> None:
    was = os.geteuid()
    if was == 0:
        os.seteuid(65534)
    try:
        assert main(["up", "--lab", "nobody"]) == 3
    finally:
        os.seteuid(was)
    assert "root" in capsys.readouterr().err
