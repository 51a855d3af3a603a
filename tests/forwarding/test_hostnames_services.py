"""What people can do with hostnames, and what stands in their way."""

from typing import Any

import pytest
from django.core.exceptions import ValidationError
from django.db import IntegrityError, transaction

from accounts.models import AuditEntry
from forwarding.models import HostnameClaim, HostnameDestination, HostnameForward
from forwarding.services.hostnames import (
    change_hostname,
    create_hostname,
    delete_hostname,
    switch_hostname,
)
from pages.second_word import SecondWordNeeded, second_word
from servers.models import Rollout, Server
from servers.services import StaleEdit
from tests.forwarding.conftest import HostnameRows

pytestmark = [pytest.mark.services, pytest.mark.django_db]


def wanted(server: Server) -> int:
    rollout = Rollout.objects.filter(server=server, kind="nginx").first()
    return rollout.wanted if rollout else 0


def claims() -> set[tuple[str, int, bool]]:
    return set(HostnameClaim.objects.values_list("domain", "port", "tls"))


def refused(change: Any) -> dict[str, list[str]]:
    with pytest.raises(ValidationError) as error:
        change()
    return error.value.message_dict


def test_a_new_hostname_is_kept_claimed_noted_and_rolled_out(web: HostnameRows, actor):
    made = create_hostname(actor, web.hostname(certificate_kind="acme"), web.to(web.web1, web.web2))
    assert [one.server.name for one in made.destinations.all()] == ["web1", "web2"]
    assert claims() == {("www.example.org", 80, False), ("www.example.org", 443, True)}
    assert wanted(web.proxy) == 1
    assert wanted(web.pve1) == 0
    assert (AuditEntry.objects.get(verb="hostname.create").after or {})["destinations"] == ["web1", "web2"]


@pytest.mark.parametrize(
    ("fields", "field"),
    [
        ({"domain": "a b"}, "domain"),
        ({"domain": "*.org"}, "domain"),
        ({"domain": "10.0.0.1"}, "domain"),
        ({"domain": "a;b.org"}, "domain"),
        ({"domain": "UPPER.example.org\n"}, "domain"),
        ({"port": 0}, "port"),
        ({"port": 22}, "port"),
        ({"https_port": 65536}, "https_port"),
        ({"certificate_kind": "acme", "https_port": 80}, "https_port"),
        ({"certificate_kind": "mine"}, "certificate_kind"),
        ({"certificate_kind": "paths", "key_path": "/k.pem"}, "certificate_path"),
        ({"certificate_kind": "paths", "certificate_path": "/c.pem", "key_path": "/k.pem;"}, "key_path"),
        (
            {"certificate_kind": "paths", "certificate_path": "/a/../c.pem", "key_path": "/k"},
            "certificate_path",
        ),
        ({"certificate_kind": "acme", "domain": "*.example.org"}, "certificate_kind"),
        ({"force_https": True}, "force_https"),
        ({"is_default": True, "domain": "*.example.org"}, "is_default"),
        ({"balancing": "random"}, "balancing"),
        ({"body_size": -1}, "body_size"),
        ({"fail_timeout": 0}, "fail_timeout"),
        ({"note": "a\x00"}, "note"),
    ],
)
def test_what_cannot_be_is_refused_by_the_field(web: HostnameRows, actor, fields, field):
    found = refused(lambda: create_hostname(actor, web.hostname(**fields), web.to(web.web1)))
    assert list(found) == [field]
    assert not HostnameForward.objects.exists()


def test_destinations_that_cannot_answer_are_refused(web: HostnameRows, actor):
    def told(destinations: list[HostnameDestination], **fields: Any) -> str:
        return refused(lambda: create_hostname(actor, web.hostname(**fields), destinations))["destinations"][
            0
        ]

    assert "Choose" in told([])
    assert "twice" in told(web.to(web.web1, web.web1))
    spare = HostnameDestination(server=web.web2, backup=True)
    assert "no spare" in told([spare])
    assert "no spare servers" in told([*web.to(web.web1), spare], balancing="ip_hash")
    assert "itself" in told(web.to(web.proxy))
    heavy = HostnameDestination(server=web.web1, weight=101)
    assert "100" in told([heavy])
    elsewhere = web.other_host()
    guest = Server.objects.create(name="far", is_vm=True, vm_host=elsewhere, internal_ip="10.0.0.102")
    assert "pve2" in told(web.to(guest))
    bare = Server.objects.create(name="bare", is_vm=True, vm_host=web.pve1)
    assert "no internal IP" in told(web.to(bare))


def test_a_host_without_nginx_server_is_refused(web: HostnameRows, actor):
    Server.objects.filter(pk=web.pve1.pk).update(nginx_server=None)
    assert "nginx" in refused(lambda: create_hostname(actor, web.hostname(), web.to(web.web1)))["host"][0]


def test_another_host_is_reached_from_outside(web: HostnameRows, actor):
    far = Server.objects.create(
        name="far", is_vm=True, vm_host=web.other_host(), internal_ip="10.0.0.102", external_ip="198.51.100.7"
    )
    made = create_hostname(actor, web.hostname(), web.to(far, web.backup1, web.pve1))
    assert [one.address for one in made.destinations.all()] == ["198.51.100.7", "198.51.100.11", "10.0.0.1"]


def test_the_same_name_and_port_is_there_once(web: HostnameRows, actor):
    create_hostname(actor, web.hostname(certificate_kind="acme"), web.to(web.web1))
    again = refused(lambda: create_hostname(actor, web.hostname(), web.to(web.web2)))
    assert "port 80" in again["domain"][0]
    create_hostname(actor, web.hostname(port=8080), web.to(web.web2))
    create_hostname(actor, web.hostname(domain="*.example.org"), web.to(web.web2))


def test_a_port_is_either_plain_or_tls(web: HostnameRows, actor):
    create_hostname(actor, web.hostname(certificate_kind="acme"), web.to(web.web1))
    plain = web.hostname(domain="b.example.org", port=443)
    assert "HTTPS" in refused(lambda: create_hostname(actor, plain, web.to(web.web1)))["port"][0]
    tls = web.hostname(domain="c.example.org", port=81, https_port=80, certificate_kind="uploaded")
    assert "HTTP" in refused(lambda: create_hostname(actor, tls, web.to(web.web1)))["https_port"][0]


def test_one_default_redirect_a_port(web: HostnameRows, actor):
    create_hostname(actor, web.hostname(is_default=True), web.to(web.web1))
    second = web.hostname(domain="b.example.org", is_default=True)
    found = refused(lambda: create_hostname(actor, second, web.to(web.web1)))
    assert "www.example.org" in found["is_default"][0]
    create_hostname(actor, web.hostname(domain="c.example.org", is_default=True, port=81), web.to(web.web1))


def test_the_database_itself_keeps_names_ports_and_settings_apart(web: HostnameRows, actor):
    made = create_hostname(actor, web.hostname(), web.to(web.web1))
    with pytest.raises(IntegrityError), transaction.atomic():
        HostnameClaim.objects.create(hostname=made, nginx=web.proxy, domain=made.domain, port=80, tls=True)
    for bad in (
        {"port": 0},
        {"https_port": 70000},
        {"force_https": True},
        {"certificate_path": "/x"},
        {"certificate_kind": "paths"},
        {"balancing": "x"},
    ):
        with pytest.raises(IntegrityError), transaction.atomic():
            HostnameForward.objects.filter(pk=made.pk).update(**bad)


def test_a_change_moves_the_claims_and_is_rolled_out(web: HostnameRows, actor):
    made = create_hostname(actor, web.hostname(), web.to(web.web1))
    made.domain, made.certificate_kind = "b.example.org", "uploaded"
    change_hostname(actor, made, web.to(web.web2), version=1)
    assert claims() == {("b.example.org", 80, False), ("b.example.org", 443, True)}
    assert [one.server.name for one in made.destinations.all()] == ["web2"]
    assert wanted(web.proxy) == 2
    entry = AuditEntry.objects.get(verb="hostname.change")
    assert (entry.after or {})["destinations"] == ["web2"]


def test_a_note_is_nobodys_rollout(web: HostnameRows, actor):
    made = create_hostname(actor, web.hostname(), web.to(web.web1))
    made.note = "shop"
    change_hostname(actor, made, web.to(web.web1), version=1)
    assert wanted(web.proxy) == 1
    assert HostnameForward.objects.get().version == 2


def test_what_somebody_else_changed_or_deleted_is_not_overwritten(web: HostnameRows, actor):
    made = create_hostname(actor, web.hostname(), web.to(web.web1))
    made.note = "first"
    change_hostname(actor, made, web.to(web.web1), version=1)
    with pytest.raises(StaleEdit):
        change_hostname(actor, made, web.to(web.web1), version=1)
    delete_hostname(actor, made)
    with pytest.raises(StaleEdit):
        delete_hostname(actor, made)
    with pytest.raises(StaleEdit):
        switch_hostname(actor, made, active=False)


def test_switched_off_it_keeps_its_name(web: HostnameRows, actor):
    made = create_hostname(actor, web.hostname(), web.to(web.web1))
    switch_hostname(actor, made, active=False)
    assert wanted(web.proxy) == 2
    assert "domain" in refused(lambda: create_hostname(actor, web.hostname(), web.to(web.web2)))
    switch_hostname(actor, made, active=True)
    assert wanted(web.proxy) == 3


def test_deleted_it_leaves_nothing_behind(web: HostnameRows, actor):
    made = create_hostname(actor, web.hostname(), web.to(web.web1))
    delete_hostname(actor, made)
    assert not HostnameClaim.objects.exists()
    assert wanted(web.proxy) == 2
    assert (AuditEntry.objects.get(verb="hostname.delete").before or {})["domain"] == "www.example.org"


@pytest.mark.parametrize("domain", ["panel.example.org", "*.example.org"])
def test_the_panels_own_name_wants_a_second_word(web: HostnameRows, actor, settings, domain):
    settings.GESTION_URL = "https://Panel.example.org/"

    def asked(change: Any) -> None:
        with pytest.raises(SecondWordNeeded) as error:
            change()
        assert "panel.example.org" in error.value.sentences[0]

    hostname = web.hostname(domain=domain)
    asked(lambda: create_hostname(actor, hostname, web.to(web.web1)))
    made = create_hostname(actor, hostname, web.to(web.web1), confirmed=True)
    assert (AuditEntry.objects.get(verb="hostname.create").after or {})["confirmed"]
    asked(lambda: switch_hostname(actor, made, active=False))
    asked(lambda: delete_hostname(actor, made))
    asked(lambda: change_hostname(actor, made, web.to(web.web2), version=1))
    made.note = "no danger"
    change_hostname(actor, made, web.to(web.web1), version=1)
    with second_word():
        delete_hostname(actor, made)


def test_the_way_to_the_panels_own_server_wants_a_second_word(web: HostnameRows, actor, settings):
    settings.GESTION_IP, settings.GESTION_VM_NAME = "10.0.0.102", "pve1"
    made = create_hostname(actor, web.hostname(), web.to(web.web1))
    with pytest.raises(SecondWordNeeded):
        delete_hostname(actor, made)
