"""What changes of servers mean for forwarded ports."""

import pytest
from django.core.exceptions import ValidationError
from django.urls import reverse

from accounts.models import AuditEntry
from forwarding.models import PortForward
from forwarding.services.ports import create_port_forward
from pages.second_word import SecondWordNeeded, second_word
from servers.models import Rollout, Server
from servers.registry import held_by
from servers.services import change_server, create_server, delete_server

pytestmark = pytest.mark.django_db


@pytest.fixture
def rule(rows, actor):
    return create_port_forward(actor, rows.rule("8080"))


def wanted(server: Server) -> int:
    rollout = Rollout.objects.filter(server=server, kind="nat").first()
    return rollout.wanted if rollout else 0


def test_a_guest_to_which_ports_lead_does_not_move_away(rows, actor, rule):
    pve2 = Server.objects.create(
        name="pve2", is_proxmox=True, proxmox_node="pve2", external_interface="eth0", keymanager_name="pve2"
    )
    rows.web1.vm_host = pve2
    with pytest.raises(ValidationError) as refused:
        change_server(actor, rows.web1, version=1)
    assert "tcp 8080" in refused.value.message_dict["vm_host"][0]


@pytest.mark.parametrize("ip", [None, "fd00::2"])
def test_a_guest_to_which_ports_lead_keeps_an_ipv4_address(rows, actor, rule, ip):
    Server.objects.filter(pk=rows.pve1.pk).update(internal_ip=None)
    Server.objects.filter(pk=rows.proxy.pk).delete()
    rows.web1.internal_ip = ip
    rows.web1.vm_host.internal_ip = None
    with pytest.raises(ValidationError) as refused:
        change_server(actor, rows.web1, version=1)
    assert "internal_ip" in refused.value.message_dict


def test_a_host_whose_ports_are_forwarded_stays_a_proxmox_host(rows, actor, rule):
    Server.objects.filter(vm_host=rows.pve1).exclude(pk=rows.web1.pk).delete()
    rows.pve1.is_proxmox, rows.pve1.proxmox_node, rows.pve1.external_interface = False, "", ""
    with pytest.raises(ValidationError) as refused:
        change_server(actor, rows.pve1, version=1)
    assert "is_proxmox" in refused.value.message_dict


def test_a_new_address_of_a_guest_is_rolled_out_on_its_host(rows, actor, rule):
    rows.web1.internal_ip = "10.0.0.202"
    change_server(actor, rows.web1, version=1)
    assert wanted(rows.pve1) == 2


def test_an_address_in_a_network_of_its_own_asks_for_a_second_word_and_says_what_begins(rows, actor, rule):
    rows.web1.internal_ip = "192.168.50.4"
    before = wanted(rows.pve1)
    with pytest.raises(SecondWordNeeded, match=r"192\.168\.50\.0/24.*10\.0\.0\.0/24"):
        change_server(actor, rows.web1, version=1)
    assert wanted(rows.pve1) == before
    with second_word():
        change_server(actor, rows.web1, version=1)
    assert wanted(rows.pve1) == before + 1
    fresh = Server(name="new", is_vm=True, vm_host=rows.pve1, internal_ip="192.168.50.5")
    create_server(actor, fresh)  # in a network that the host knows by now
    other = Server(name="other", is_vm=True, vm_host=rows.pve1, internal_ip="172.16.0.5")
    with pytest.raises(SecondWordNeeded):
        create_server(actor, other)


def test_another_external_interface_is_rolled_out(rows, actor, rule):
    rows.pve1.external_interface = "vmbr0"
    with pytest.raises(SecondWordNeeded, match="behind vmbr0 instead of eth0"):
        change_server(actor, rows.pve1, version=1)
    assert wanted(rows.pve1) == 1
    with second_word():
        change_server(actor, rows.pve1, version=1)
    assert wanted(rows.pve1) == 2


def test_the_form_says_what_begins_on_the_host_before_and_beside_the_second_word(rows, rule, admin_client):
    url = reverse("servers:edit", args=[rows.web1.pk])
    sent = {"internal_ip": "10.5.0.4", "version": 1}
    json = {"content_type": "application/json", "headers": {"accept": "application/json"}}
    (told,) = admin_client.post(url, sent | {"preview": True}, **json).json()["preview"]
    begins = ["masquerading of 10.5.0.0/24 behind eth0", "TCP 8080 to 10.5.0.4:80"]
    assert (told["server"], told["begins"], told["ends"]) == ("pve1", begins, ["TCP 8080 to 10.0.0.102:80"])
    assert f"+{rule.pk} tcp 8080 10.5.0.4 80" in told["difference"]
    asked = admin_client.post(url, sent, **json)
    assert asked.status_code == 409
    sentences = asked.json()["errors"]["confirm_lockout"]
    assert "masquerading of 10.5.0.0/24 behind eth0 begins" in sentences[-1]
    rows.web1.refresh_from_db()
    assert (rows.web1.internal_ip, wanted(rows.pve1)) == ("10.0.0.102", 1)
    saved = admin_client.post(url, sent | {"confirm_lockout": True}, **json).json()
    assert [(one["server"], one["kind"]) for one in saved["rolls_out"]] == [("pve1", "nat")]


def test_the_page_to_delete_a_server_says_what_it_ends(rows, rule, admin_client):
    scripts = {"hx-request": "true"}
    for url, sent in (
        (reverse("servers:delete", args=[rows.web1.pk]), {"name": "web1"}),
        (reverse("forwarding:delete_port", args=[rule.pk]), {}),
    ):
        assert 'hx-trigger="load"' in admin_client.get(url).content.decode()
        piece = admin_client.post(url, {**sent, "preview": "1"}, headers=scripts).content.decode()
        assert "TCP 8080 to 10.0.0.102:80 ends" in piece
        assert PortForward.objects.get() == rule
    assert wanted(rows.pve1) == 1


def test_a_host_without_forwarded_ports_is_left_alone(rows, actor):
    rows.web1.internal_ip = "10.0.0.202"
    change_server(actor, rows.web1, version=1)
    assert wanted(rows.pve1) == 0


def test_a_deleted_guest_takes_its_rules_off_the_host(rows, actor, rule):
    assert [held.text for held in held_by(rows.web1) if "forwarded" in str(held.text)] == [
        "the forwarded port tcp 8080 → web1:80 leads to it"
    ]
    delete_server(actor, rows.web1, "web1")
    assert not PortForward.objects.exists()
    assert wanted(rows.pve1) == 2
    assert AuditEntry.objects.get(verb="port.delete").object_name.startswith("tcp 8080")
