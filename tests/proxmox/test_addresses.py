"""The internal network of a host: what is used, what is free, what is handed out."""

from datetime import timedelta
from ipaddress import ip_address, ip_network
from threading import Barrier

import pytest
from django.core.exceptions import ValidationError
from django.utils import timezone
from hypothesis import given
from hypothesis import strategies as st

from proxmox.addresses import NoAddress, Use, gaps, network_of, next_free, problem_with, uses_of
from proxmox.models import AddressClaim, Creation, GuestSeen, InternalNetwork, Offer
from servers.models import Server
from tests.jobs.test_execute import in_thread
from tests.proxmox.creating import ask


@pytest.fixture
def host(db) -> Server:
    return make_host()


def make_host(**more) -> Server:
    fields = {"internal_ip": "10.0.0.1", "external_interface": "vmbr0", **more}
    return Server.objects.create(
        name="pve1", keymanager_name="pve1", is_proxmox=True, proxmox_node="pve1", **fields
    )


def guest(host: Server, name: str, ip: str) -> Server:
    return Server.objects.create(name=name, keymanager_name=name, is_vm=True, vm_host=host, internal_ip=ip)


def kinds(host: Server, address: str) -> set[str]:
    return {use.kind for use in uses_of(host) if str(use.first) == address}


def test_the_network_is_that_of_the_internal_ip(host):
    assert str(network_of(host)) == "10.0.0.0/24"
    InternalNetwork.objects.create(host=host, prefix_length=28)
    assert str(network_of(host)) == "10.0.0.0/28"


def test_an_ipv6_network_has_64_bits_until_somebody_says_otherwise(db):
    host = make_host(internal_ip="fd00:1::1")
    assert str(network_of(host)) == "fd00:1::/64"
    assert next_free(host) == "fd00:1::2"


def test_a_host_without_internal_ip_has_no_network(db):
    host = make_host(internal_ip=None)
    assert network_of(host) is None
    assert uses_of(host) == []
    with pytest.raises(NoAddress, match="no internal IP"):
        next_free(host)


def test_everything_in_use_is_known_with_its_reason(host):
    guest(host, "web1", "10.0.0.2")
    InternalNetwork.objects.create(host=host, gateway="10.0.0.254", reserved=[["10.0.0.3", "10.0.0.5"]])
    Offer.objects.create(host=host, addresses=[[106, "old", "10.0.0.6"]], addresses_at=timezone.now())
    GuestSeen.objects.create(
        host=host, vmid=107, name="seen", addresses=["10.0.0.7"], config_at=timezone.now()
    )
    claimed = ask(host)
    assert claimed.address == "10.0.0.8"
    assert kinds(host, "10.0.0.0") == kinds(host, "10.0.0.255") == {"network"}
    assert kinds(host, "10.0.0.1") == {"host"}
    assert kinds(host, "10.0.0.254") == {"gateway"}
    assert kinds(host, "10.0.0.2") == {"server"}
    assert kinds(host, "10.0.0.3") == {"reserved"}
    assert kinds(host, "10.0.0.6") == kinds(host, "10.0.0.7") == {"guest"}
    assert kinds(host, "10.0.0.8") == {"claim"}
    assert next_free(host) == "10.0.0.9"


def test_of_a_guest_counts_what_was_seen_last(host):
    now = timezone.now()
    Offer.objects.create(
        host=host, addresses=[[101, "moved", "10.0.0.2"], [102, "gone", "10.0.0.3"]], addresses_at=now
    )
    later = now + timedelta(seconds=1)
    GuestSeen.objects.create(host=host, vmid=101, name="moved", addresses=["10.0.0.9"], config_at=later)
    GuestSeen.objects.create(host=host, vmid=102, name="gone", addresses=["10.0.0.3"], gone_at=later)
    assert {str(use.first) for use in uses_of(host) if use.kind == "guest"} == {"10.0.0.9"}


def test_an_expired_claim_no_longer_counts_and_is_no_hindrance(host):
    first = ask(host)
    AddressClaim.objects.update(
        made_at=timezone.now() - timedelta(days=2), expires_at=timezone.now() - timedelta(days=1)
    )
    assert next_free(host) == first.address
    assert ask(host, "other.example.org").address == first.address


def test_a_full_network_says_so(host):
    InternalNetwork.objects.create(host=host, prefix_length=30)
    guest(host, "web1", "10.0.0.2")
    with pytest.raises(ValidationError) as error:
        ask(host)
    assert "Every address of 10.0.0.0/30" in str(error.value)


@pytest.mark.parametrize(
    ("address", "words"),
    [
        ("10.0.0.0", "the network itself"),
        ("10.0.0.255", "broadcast"),
        ("10.0.0.1", "pve1"),
        ("10.0.0.2", "web1"),
        ("10.0.1.7", "no address of the internal network"),
        ("fd00::7", "no address of the internal network"),
    ],
)
def test_what_cannot_be_had_is_said(host, address, words):
    guest(host, "web1", "10.0.0.2")
    assert words in problem_with(host, address)
    with pytest.raises(ValidationError) as error:
        ask(host, address=address)
    assert "10.0.0.3" in str(error.value)  # which is free
    assert problem_with(host, "10.0.0.3") == ""


def test_a_servers_own_address_is_no_problem_for_itself(host):
    web1 = guest(host, "web1", "10.0.0.2")
    assert problem_with(host, "10.0.0.2", of=web1) == ""


@pytest.mark.services
@pytest.mark.django_db(transaction=True)
def test_those_who_ask_at_once_get_different_ones():
    host, gate = make_host(), Barrier(8)

    def one(number: int) -> None:
        gate.wait(20)
        ask(host, f"c{number}.example.org")

    for thread in [in_thread(one, number) for number in range(8)]:
        thread.join(60)
    assert AddressClaim.objects.count() == 8
    assert Creation.objects.values("address").distinct().count() == 8


numbers = st.integers(0, 63)


@given(st.lists(st.tuples(numbers, numbers), max_size=20))
def test_gaps_are_exactly_what_nothing_uses(ranges):
    network = ip_network("10.9.8.0/26")
    base = int(network.network_address)
    uses = [
        Use(ip_address(base + min(pair)), ip_address(base + max(pair)), "reserved", "") for pair in ranges
    ]
    used = {number for low, high in map(sorted, ranges) for number in range(low, high + 1)}
    found = [
        number
        for free in gaps(network, uses)
        for number in range(int(free.first) - base, int(free.last) - base + 1)
    ]
    assert found == sorted(set(range(64)) - used)
