"""Whatever a host answers becomes plain, bounded values."""

from hypothesis import given
from hypothesis import strategies as st

from proxmox import reading
from proxmox.client import GuestNow


def test_the_addresses_of_a_container_are_those_of_its_interfaces_net0_first():
    config = {
        "net1": "name=eth1,bridge=vmbr1,ip=10.1.0.5/24,ip6=fd00::5/64",
        "net0": "name=eth0,bridge=vmbr0,hwaddr=bc:24:11:00:00:01,ip=10.0.0.5/24,gw=10.0.0.1",
        "description": "ip=1.2.3.4/8",
    }
    assert reading.addresses(config) == ["10.0.0.5", "10.1.0.5", "fd00::5"]
    assert reading.mac(config) == "BC:24:11:00:00:01"


def test_dhcp_and_manual_are_no_addresses_and_a_machine_has_its_cloud_init_ones():
    assert reading.addresses({"net0": "name=eth0,ip=dhcp,ip6=auto"}) == []
    machine = {"net0": "virtio=BC:24:11:AA:BB:CC,bridge=vmbr0", "ipconfig0": "ip=10.0.0.9/24,gw=10.0.0.1"}
    assert reading.addresses(machine) == ["10.0.0.9"]
    assert reading.mac(machine) == "BC:24:11:AA:BB:CC"


def test_raw_lines_of_lxc_become_text_and_the_digest_is_left_out():
    answer = {"lxc": [["lxc.apparmor.profile", "unconfined"]], "digest": "x", "memory": 512}
    assert reading.config(answer) == {"lxc": ["lxc.apparmor.profile = unconfined"], "memory": 512}


def test_what_proxmox_cannot_know_of_a_machine_is_unknown_and_not_zero():
    row = reading.guest(GuestNow(110, "qemu", "vm", "running", disk=8 << 30))
    assert (row["disk_used"], row["swap"], row["disk"]) == (None, None, 8 << 30)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=50),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=12), inner, max_size=4),
    max_leaves=20,
)


@given(JSON)
def test_nothing_that_a_host_answers_breaks_reading_its_configuration(answer):
    found = reading.config(answer)
    reading.addresses(found)
    reading.mac(found)
    for name, value in found.items():
        for text in (name, *(value if isinstance(value, list) else [value])):
            if isinstance(text, str):
                assert "\0" not in text
                text.encode()


@given(st.text(max_size=400), st.integers() | st.floats())
def test_figures_are_bounded(text, number):
    row = reading.guest(GuestNow(101, "lxc", text, text, cpu=number, memory=number, uptime=number))
    assert len(row["name"]) <= 255
    assert row["memory"] is None or 0 <= row["memory"] <= reading.MOST
    assert row["cpu"] is None or row["cpu"] >= 0
