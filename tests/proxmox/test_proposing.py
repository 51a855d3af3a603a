"""What is proposed when a guest is adopted: nothing that saving refuses; whence, and why not others."""

import json
import re
from collections.abc import Mapping
from datetime import datetime

import pytest
from django.urls import reverse
from django.utils import timezone

from proxmox import reading
from proxmox.models import GuestSeen, InternalNetwork, NodeSeen
from proxmox.proposing import proposal
from servers.models import Server
from tests.proxmox.nodes import add_server

pytestmark = pytest.mark.django_db

JSON = {"Accept": "application/json"}
CARD = "name=eth0,bridge=vmbr0,ip={}"


def make_host(ip: str | None = "10.0.0.1", name: str = "pve1") -> Server:
    proxmox = {"is_proxmox": True, "proxmox_node": name, "external_interface": "vmbr0"}
    host = Server.objects.create(name=name, keymanager_name=name, internal_ip=ip, **proxmox)
    now = timezone.now()
    NodeSeen.objects.create(host=host, state="ok", looked_at=now, answered_at=now)
    return host


def seen(
    host: Server, *cards: str, more_config: Mapping[str, object] | None = None, **more: object
) -> GuestSeen:
    """A guest with these cards, net0 first."""
    config: dict[str, object] = {f"net{number}": card for number, card in enumerate(cards)}
    config.update(more_config or {})
    facts = {"name": "shop", "config": config, "config_at": timezone.now(), "status": "running"}
    return GuestSeen.objects.create(host=host, vmid=101, addresses=reading.addresses(config), **facts | more)


def page_of(client, guest: GuestSeen) -> str:
    return client.get(reverse("proxmox:adopt", args=[guest.pk])).content.decode()


@pytest.mark.parametrize(
    ("ip", "texts", "inside", "outside"),
    [
        ("10.0.0.1", ["192.168.7.5/24", "172.16.3.4/16", "10.0.0.44/24"], "10.0.0.44", None),
        ("10.0.0.1", ["169.254.3.9/16", "10.0.0.1/24", "10.0.0.0/24", "10.0.0.255/24"], None, None),
        ("10.0.0.1", ["10.0.0.9/24", "10.0.0.10/24"], "10.0.0.10", None),
        ("10.0.0.1", ["8.8.8.8/24", "9.9.9.9/24", "10.0.0.9/24"], None, "9.9.9.9"),
        ("10.0.0.1", ["8.8.8.8/24"], None, None),
        (None, ["169.254.3.9/16", "127.0.0.2/8", "192.168.55.9/24"], "192.168.55.9", None),
        (None, ["10.0.0.9/24"], None, None),
        ("fd00::1", ["10.0.0.44/24"], None, None),
    ],
)
def test_nothing_is_proposed_that_saving_refuses(admin_client, ip, texts, inside, outside):
    host = make_host(ip)
    if ip != "fd00::1":
        add_server(host, "twin", "10.0.0.9")
    Server.objects.create(name="other", keymanager_name="other", external_ip="8.8.8.8")
    guest = seen(host, *(CARD.format(text) for text in texts))
    found = proposal(guest)
    assert (found.inside, found.outside) == (inside, outside)
    shown = {one for one in (inside, outside) if one}
    assert set(found.left) | shown == set(guest.addresses)
    assert all(found.left.values())
    answer = admin_client.post(
        reverse("proxmox:adopt", args=[guest.pk]), "{}", content_type="application/json", headers=JSON
    )
    assert answer.status_code == 200, answer.content
    made = Server.objects.get(name="shop")
    assert (made.internal_ip, made.external_ip) == (inside, outside)


def test_the_page_says_which_addresses_are_not_filled_in_and_why(admin_client):
    host = make_host()
    add_server(host, "twin", "10.0.0.9")
    page = page_of(admin_client, seen(host, *map(CARD.format, ("10.0.0.9/24", "192.168.7.5/24"))))
    assert "twin on the same host has this internal IP" in page
    assert "it is not in 10.0.0.0/24, the network inside pve1" in page


@pytest.mark.parametrize("elsewhere", ["bridge=vmbr0,tag=30", "bridge=vmbr9"])
@pytest.mark.parametrize("machine", [False, True])
def test_the_same_numbers_in_another_network_come_after_those_on_the_hosts_bridge(
    admin_client, elsewhere, machine
):
    host = make_host()
    if machine:
        cards = (f"virtio=BC:24:11:01:02:03,{elsewhere}", "virtio=BC:24:11:01:02:04,bridge=vmbr0")
        config = {"ipconfig0": "ip=10.0.0.60/24", "ipconfig1": "ip=10.0.0.61/24"}
        guest = seen(host, *cards, more_config=config, kind="qemu")
    else:
        guest = seen(host, f"name=eth0,{elsewhere},ip=10.0.0.60/24", CARD.format("10.0.0.61/24"))
    assert proposal(guest).inside == "10.0.0.61"
    assert "From its configuration on the host: net1, on vmbr0." in page_of(admin_client, guest)
    if elsewhere == "bridge=vmbr9":
        InternalNetwork.objects.create(host=host, bridge="vmbr9")
        assert proposal(guest).inside == "10.0.0.60"


def test_of_many_cards_the_first_is_the_one_with_the_lowest_number():
    cards = {f"net{number}": CARD.format(f"10.0.0.{50 + number}/24") for number in (10, 2)}
    assert reading.addresses(cards) == ["10.0.0.52", "10.0.0.60"]


@pytest.mark.parametrize(
    ("config", "said"),
    [
        ({}, "guest agent, which could, is off"),
        ({"agent": 1}, "does not say (yet) which one"),
        ({"agent": 1, "ipconfig0": "ip=10.0.0.7/24"}, ""),
    ],
)
def test_a_machine_whose_address_nobody_tells_says_why(admin_client, config, said):
    guest = seen(make_host(), "virtio=BC:24:11:01:02:03,bridge=vmbr0", more_config=config, kind="qemu")
    page = page_of(admin_client, guest)
    assert said in page
    assert ("notice-info" in page) is bool(said)


def test_two_hosts_may_have_the_same_network(admin_client):
    one, two = make_host(), make_host(name="pve2")
    add_server(one, "twin", "10.0.0.9")
    guest = seen(two, CARD.format("10.0.0.9/24"))
    url = reverse("proxmox:adopt", args=[guest.pk])
    assert admin_client.get(url, headers=JSON).json()["initial"]["internal_ip"] == "10.0.0.9"
    sent = json.dumps({"preview": True})
    assert admin_client.post(url, sent, content_type="application/json", headers=JSON).status_code == 200
    assert not Server.objects.filter(name="shop").exists()


@pytest.mark.parametrize("page", ["adopt", "link"])
def test_a_page_that_was_opened_for_another_guest_of_this_id_counts_for_none(admin_client, page):
    host = make_host()
    guest = seen(host, CARD.format("10.0.0.9/24"))
    server = add_server(host, "store", None)
    url = reverse(f"proxmox:{page}", args=[guest.pk])
    (shown,) = re.findall(r'name="seen" value="([^"]+)"', admin_client.get(url).content.decode())
    sent = {"name": "shop.example.org", "internal_ip": "10.0.0.9", "server": server.pk, "seen": shown}
    GuestSeen.objects.filter(pk=guest.pk).update(name="db", first_seen_at=timezone.now())
    answer = admin_client.post(url, sent)
    assert (answer.status_code, Server.objects.filter(name="shop.example.org").exists()) == (422, False)
    assert "belongs to another guest by now: 101 db" in answer.content.decode()
    guest.refresh_from_db()
    assert guest.server is None
    GuestSeen.objects.filter(pk=guest.pk).update(first_seen_at=datetime.fromisoformat(shown))
    assert admin_client.post(url, sent).status_code == 302
