"""Addresses that a running guest has by DHCP or by itself: which they are, read by looks, told where they are used."""

from collections.abc import Iterable
from typing import Any

import pytest
from django.urls import reverse
from hypothesis import given
from hypothesis import strategies as st

from lab.pve.world import Guest
from proxmox import live_addresses, noting
from proxmox.addresses import uses_of
from proxmox.looking import look_at
from proxmox.models import GuestSeen
from servers.models import Server
from tests.proxmox.nodes import guest_of, see

JSON = {"Accept": "application/json"}
MAC, OTHER = "BC:24:11:01:02:03", "BC:24:11:01:02:04"
CARD = f"name=eth0,bridge=vmbr0,hwaddr={MAC},type=veth"
LO = {"name": "lo", "hwaddr": "00:00:00:00:00:00", "inet": "127.0.0.1/8", "inet6": "::1/128"}
ETH0 = {"name": "eth0", "hwaddr": MAC.lower(), "inet": "10.0.0.57/24", "inet6": "fe80::be24:11ff:fe01:203/64"}


def agent(name: str, mac: str, *addresses: str) -> dict[str, object]:
    """A card as a guest agent tells of it."""
    listed = [
        {
            "ip-address": text.partition("/")[0],
            "ip-address-type": "ipv6" if ":" in text else "ipv4",
            "prefix": int(text.partition("/")[2]),
        }
        for text in addresses
    ]
    return {"name": name, "hardware-address": mac.lower(), "ip-addresses": listed}


@pytest.mark.parametrize(
    ("kind", "config", "wanted"),
    [
        ("lxc", {"net0": f"{CARD},ip=10.0.0.5/24"}, False),
        ("lxc", {"net0": f"{CARD},ip=10.0.0.5/24,gw=10.0.0.1,ip6=fd00::5/64"}, False),
        ("lxc", {"net0": f"{CARD},ip=dhcp"}, True),
        ("lxc", {"net0": f"{CARD},ip=10.0.0.5/24,ip6=auto"}, True),
        ("lxc", {"net0": f"{CARD},ip6=dhcp"}, True),
        ("lxc", {"net0": f"{CARD},ip=manual"}, True),
        ("lxc", {"net0": CARD}, True),
        ("lxc", {"net0": f"{CARD},ip=10.0.0.5/24", "net1": "name=eth1,bridge=vmbr1,ip=dhcp"}, True),
        ("lxc", {}, False),
        ("qemu", {"net0": f"virtio={MAC},bridge=vmbr0", "agent": 1}, True),
        ("qemu", {"net0": f"virtio={MAC},bridge=vmbr0", "agent": "enabled=1,fstrim_cloned_disks=1"}, True),
        ("qemu", {"net0": f"virtio={MAC},bridge=vmbr0", "agent": "type=virtio,enabled=1"}, True),
        ("qemu", {"net0": f"virtio={MAC},bridge=vmbr0", "agent": "fstrim_cloned_disks=1,enabled=0"}, False),
        ("qemu", {"net0": f"virtio={MAC},bridge=vmbr0", "agent": "0"}, False),
        ("qemu", {"net0": f"virtio={MAC},bridge=vmbr0"}, False),
        ("qemu", {"net0": "virtio", "agent": 1, "ipconfig0": "ip=10.0.0.9/24,gw=10.0.0.1"}, False),
        ("qemu", {"net0": "virtio", "agent": 1, "ipconfig0": "ip=dhcp"}, True),
    ],
)
def test_who_is_asked(kind, config, wanted):
    assert live_addresses.wanted(kind, config) is wanted


def test_a_containers_answer_of_pve_8_and_of_9():
    config = {"net0": f"{CARD},ip=dhcp"}
    assert live_addresses.found(config, [LO, ETH0]) == ["10.0.0.57"]
    both = {
        **agent("eth0", MAC, "10.0.0.57/24", "192.168.1.5/24", "2001:db8::5/128"),
        "hwaddr": MAC,
        "inet": "10.0.0.57/24",
    }
    assert live_addresses.found(config, [LO, both]) == ["10.0.0.57", "192.168.1.5", "2001:db8::5"]


def test_of_a_machine_its_own_cards_count_in_their_order_and_no_bridges_of_docker():
    config = {"net0": f"virtio={MAC},bridge=vmbr0", "net1": f"virtio={OTHER},bridge=vmbr1"}
    said = [
        agent("lo", "00:00:00:00:00:00", "127.0.0.1/8", "::1/128"),
        agent("ens19", OTHER, "192.0.2.7/24"),
        agent("ens18", MAC, "fe80::1/64", "2001:db8:1::9/64", "10.0.0.8/24"),
        agent("docker0", "02:42:00:00:00:01", "172.17.0.1/16"),
        agent("br-5f0e", MAC, "172.18.0.1/16"),
        agent("veth1", "02:42:00:00:00:02", "169.254.3.4/16"),
        {"name": "wg0", "ip-addresses": [{"ip-address": "10.9.0.1", "prefix": 24}]},
        {"name": "down0"},
    ]
    assert live_addresses.found(config, said) == ["10.0.0.8", "2001:db8:1::9", "192.0.2.7"]
    assert live_addresses.found({}, [agent("eth0", MAC, "10.0.0.8/24"), said[3]]) == ["10.0.0.8"]


def test_temporary_addresses_are_left_out_where_the_lasting_one_is_known():
    of_mac = "2001:db8::be24:11ff:fe01:203"
    config = {"net0": f"{CARD},ip6=auto"}
    said = agent("eth0", MAC, "2001:db8::1234:5678:9abc:def0/64", f"{of_mac}/64", "fd00::7/64")
    assert live_addresses.found(config, [said]) == [of_mac, "fd00::7"]
    alone = agent("eth0", MAC, "2001:db8::1234:5678:9abc:def0/64")
    assert live_addresses.found(config, [alone]) == ["2001:db8::1234:5678:9abc:def0"]


ANYTHING = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=8),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(
                [
                    "name",
                    "hwaddr",
                    "hardware-address",
                    "inet",
                    "inet6",
                    "ip-addresses",
                    "ip-address",
                    "prefix",
                ]
            ),
            inner,
            max_size=4,
        )
    ),
    max_leaves=12,
)


@given(
    st.dictionaries(st.sampled_from(["net0", "net1", "ipconfig0", "agent"]), ANYTHING),
    st.lists(ANYTHING, max_size=4),
)
def test_whatever_a_host_answers_nothing_raises(config, said):
    live_addresses.wanted("lxc", config)
    live_addresses.wanted("qemu", config)
    assert len(live_addresses.found(config, said)) <= live_addresses.MOST


def dhcp(pve, vmid: int = 101, *, said: Iterable[Any] = (LO, ETH0)) -> Guest:
    """The container with a card by DHCP, and what it says."""
    found = pve.world.guests[vmid]
    found.config["net0"] = f"{CARD},ip=dhcp"
    found.interfaces = list(said)
    return found


def power(pve, api, kind: str, vmid: int, action: str) -> None:
    api.power(kind, vmid, action)
    pve.cluster.tasks.wait_all()


@pytest.mark.django_db(transaction=True)
def test_a_look_asks_the_containers_that_have_an_address_by_dhcp(pve, host, api):
    container = dhcp(pve)
    see(host)
    seen = guest_of(host, 101)
    assert (seen.live, seen.addresses) == (["10.0.0.57"], ["10.0.0.57"])
    assert seen.live_at
    assert not guest_of(host, 102).live_at
    container.interfaces = [{**ETH0, "inet": "10.0.0.58/24"}]
    see(host)
    assert guest_of(host, 101).live == ["10.0.0.57"]  # not at every look
    look_at([host.pk], vmid=101)
    assert guest_of(host, 101).addresses == ["10.0.0.58"]
    power(pve, api, "lxc", 101, "stop")
    see(host)
    assert (guest_of(host, 101).live, guest_of(host, 101).addresses) == ([], [])


@pytest.mark.django_db(transaction=True)
def test_a_live_address_is_taken_and_says_which_server_it_is(pve, host):
    Server.objects.filter(pk=host.pk).update(internal_ip="10.0.0.1")
    host.refresh_from_db()
    web = Server.objects.create(
        name="shop", keymanager_name="shop", is_vm=True, vm_host=host, internal_ip="10.0.0.57"
    )
    dhcp(pve)
    see(host)
    assert guest_of(host, 101).server == web
    assert "10.0.0.57" in {str(use.first) for use in uses_of(host) if use.kind == "guest"}


@pytest.mark.django_db(transaction=True)
def test_a_guest_by_dhcp_stays_its_server_while_it_is_off_or_says_nothing(pve, host, api):
    """Its owner starts it again. Where another has the address by then, that one is the server."""
    web = Server.objects.create(
        name="shop", keymanager_name="shop", is_vm=True, vm_host=host, internal_ip="10.0.0.57"
    )
    container = dhcp(pve)
    see(host)
    assert guest_of(host, 101).server == web
    container.interfaces = []
    look_at([host.pk], vmid=101)
    assert (guest_of(host, 101).addresses, guest_of(host, 101).server) == ([], web)
    power(pve, api, "lxc", 101, "stop")
    for _look in range(2):
        see(host)
        assert (guest_of(host, 101).status, guest_of(host, 101).server) == ("stopped", web)
    noting.rematch(host.pk)
    assert guest_of(host, 101).server == web
    dhcp(pve, 102)
    look_at([host.pk], vmid=102)
    see(host)
    assert (guest_of(host, 101).server, guest_of(host, 102).server) == (None, web)


@pytest.mark.django_db(transaction=True)
def test_a_machine_is_asked_by_its_agent_and_one_without_keeps_nobody_waiting(pve, host, api):
    config = {"name": "vm1", "net0": f"virtio={MAC},bridge=vmbr0", "agent": "1", "cores": 1, "memory": 512}
    said = [agent("lo", "00:00:00:00:00:00", "127.0.0.1/8"), agent("ens18", MAC, "10.0.0.60/24")]
    guests = pve.world.guests
    guests[210] = Guest(210, pve.node, "qemu", dict(config), interfaces=said)
    guests[211] = Guest(211, pve.node, "qemu", {**config, "name": "vm2"})
    guests[212] = Guest(212, pve.node, "qemu", {**config, "name": "vm3", "agent": "0"}, interfaces=said)
    for vmid in (210, 211, 212):
        power(pve, api, "qemu", vmid, "start")
    see(host)
    assert guest_of(host, 210).live == ["10.0.0.60"]
    assert guest_of(host, 211).live == []
    assert guest_of(host, 211).live_at
    assert guest_of(host, 212).live_at is None


@pytest.mark.django_db(transaction=True)
def test_the_form_to_adopt_says_where_an_address_comes_from(pve, host, api, admin_client):
    dhcp(pve)
    see(host)
    page = admin_client.get(reverse("proxmox:adopt", args=[guest_of(host, 101).pk])).content.decode()
    assert 'value="10.0.0.57"' in page
    assert "Such an address may change" in page
    page = admin_client.get(reverse("proxmox:adopt", args=[guest_of(host, 102).pk])).content.decode()
    assert "From its configuration on the host: net0, on vmbr0." in page
    shown = admin_client.get(guest_of(host, 101).get_absolute_url(), headers=JSON).json()
    assert shown["live_addresses"] == ["10.0.0.57"]
    power(pve, api, "lxc", 101, "stop")
    see(host)
    page = admin_client.get(reverse("proxmox:adopt", args=[guest_of(host, 101).pk])).content.decode()
    assert "it is off: which one is not known" in page


@pytest.mark.django_db(transaction=True)
def test_a_template_is_no_server_and_does_not_start(pve, host, api, admin_client):
    power(pve, api, "lxc", 102, "stop")
    template = pve.world.guests[102]
    template.config["template"] = 1
    see(host)
    row = guest_of(host, 102)
    assert row.template
    for name, data in (("adopt", {"name": "golden"}), ("link", {})):
        answer = admin_client.post(reverse(f"proxmox:{name}", args=[row.pk]), data, headers=JSON)
        assert answer.status_code in {409, 422}
    assert "is a template" in str(
        admin_client.get(reverse("proxmox:adopt", args=[row.pk]), headers=JSON).json()
    )
    page = admin_client.get(row.get_absolute_url()).content.decode()
    assert "Adopt as a new server" not in page
    assert ">Start<" not in page
    without = admin_client.get("/proxmox/guests/?match=no", headers=JSON).json()["rows"]
    assert 102 not in {guest["vmid"] for guest in without}
    of_kind = admin_client.get("/proxmox/guests/?state=template", headers=JSON).json()["rows"]
    assert [guest["vmid"] for guest in of_kind] == [102]
    url = reverse("proxmox:power_guest", args=[host.pk, "lxc", 102, "start"])
    answer = admin_client.post(url, {"name": row.name}, headers=JSON)
    assert answer.status_code == 409
    assert "is a template" in str(answer.json())
    assert GuestSeen.objects.get(pk=row.pk).server is None
