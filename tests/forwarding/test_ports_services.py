"""What people can do with forwarded ports, and what stands in their way."""

import pytest
from django.core.exceptions import ValidationError
from django.db import IntegrityError, transaction

from accounts.models import AuditEntry
from forwarding.models import PortClaim, PortForward, PortReading
from forwarding.services.ports import (
    change_port_forward,
    create_port_forward,
    delete_port_forward,
    switch_port_forward,
)
from pages.second_word import SecondWordNeeded
from servers.foretelling import foretell
from servers.models import Rollout, Server
from servers.services import StaleEdit

pytestmark = [pytest.mark.services, pytest.mark.django_db]


def test_a_new_rule_is_kept_claimed_noted_and_rolled_out(rows, actor):
    rule = create_port_forward(actor, rows.rule("8000-8002", inside="80-82"))
    assert sorted(rule.claims.values_list("port", flat=True)) == [8000, 8001, 8002]
    assert Rollout.objects.get(server=rows.pve1, kind="nat").wanted == 1
    entry = AuditEntry.objects.get(verb="port.create")
    assert entry.after is not None
    assert entry.after["ports"] == "8000-8002"


@pytest.mark.parametrize(
    ("ports", "inside", "field"),
    [
        ("8080", "81", "ports"),
        ("8000-9000", "80", "ports"),
        ("8080-8081", "80", "ports"),
        ("0", "80", "ports"),
        ("65536", "80", "ports"),
        ("20-10", "80", "ports"),
        ("9000", "70000", "destination_ports"),
        ("9000-9002", "80-81", "destination_ports"),
        ("9000", "80-81", "destination_ports"),
    ],
)
def test_a_rule_that_cannot_be_is_refused_by_its_field(rows, actor, ports, inside, field):
    create_port_forward(actor, rows.rule("8080"))
    with pytest.raises(ValidationError) as refused:
        create_port_forward(actor, rows.rule(ports, to=rows.proxy, inside=inside))
    assert field in refused.value.message_dict
    assert PortForward.objects.count() == 1


def test_the_same_port_of_another_protocol_or_host_is_free(rows, actor):
    create_port_forward(actor, rows.rule("8080"))
    create_port_forward(actor, rows.rule("8080", protocol="udp"))
    assert PortClaim.objects.count() == 2


def test_a_switched_off_rule_keeps_its_ports(rows, actor):
    rule = create_port_forward(actor, rows.rule("8080"))
    switch_port_forward(actor, rule, active=False)
    with pytest.raises(ValidationError):
        create_port_forward(actor, rows.rule("8080", to=rows.proxy))
    switch_port_forward(actor, rule, active=True)
    assert PortForward.objects.get().active


def test_the_database_itself_lets_no_second_rule_have_a_port(rows, actor):
    rule = create_port_forward(actor, rows.rule("7000-7010"))
    other = create_port_forward(actor, rows.rule("9000", to=rows.proxy))
    with pytest.raises(IntegrityError), transaction.atomic():
        PortClaim.objects.create(rule=other, host=rows.pve1, protocol="tcp", port=7005)
    assert rule.claims.count() == 11


def test_the_database_itself_refuses_ranges_that_are_none(rows):
    with pytest.raises(IntegrityError), transaction.atomic():
        rows.rule("90-80").save()
    with pytest.raises(IntegrityError), transaction.atomic():
        rows.rule("80-90", inside="80-85").save()


def test_a_changed_rule_gives_its_old_ports_free(rows, actor):
    rule = create_port_forward(actor, rows.rule("8000-8005", inside="80"))
    rule.last_port = 8001
    change_port_forward(actor, rule, version=1)
    create_port_forward(actor, rows.rule("8002-8005", inside="80"))
    assert PortClaim.objects.count() == 6


def test_a_note_is_changed_without_a_rollout(rows, actor):
    rule = create_port_forward(actor, rows.rule())
    rule.note = "the shop"
    change_port_forward(actor, rule, version=1)
    assert Rollout.objects.get().wanted == 1


def test_who_changes_what_somebody_else_has_changed_is_told(rows, actor):
    rule = create_port_forward(actor, rows.rule())
    theirs = PortForward.objects.get()
    theirs.note = "theirs"
    change_port_forward(actor, theirs, version=1)
    rule.note = "mine"
    with pytest.raises(StaleEdit):
        change_port_forward(actor, rule, version=1)
    assert PortForward.objects.get().note == "theirs"


def test_a_deleted_rule_is_gone_and_its_port_is_free(rows, actor):
    rule = create_port_forward(actor, rows.rule())
    delete_port_forward(actor, rule)
    assert not PortClaim.objects.exists()
    assert Rollout.objects.get().wanted == 2
    with pytest.raises(StaleEdit):
        delete_port_forward(actor, rule)


def test_what_a_change_would_do_is_shown_and_not_kept(rows, actor):
    (told,) = foretell(lambda: create_port_forward(actor, rows.rule("8080")))
    assert " tcp 8080 10.0.0.102 80" in told.difference
    assert "TCP 8080 to 10.0.0.102:80" in told.begins
    assert not PortForward.objects.exists()
    assert not Rollout.objects.exists()
    assert not AuditEntry.objects.filter(verb="port.create").exists()


def test_only_a_guest_of_a_proxmox_host_can_be_a_destination(rows, actor):
    with pytest.raises(ValidationError) as refused:
        create_port_forward(actor, rows.rule(to=rows.backup1))
    assert "destination" in refused.value.message_dict
    rule = rows.rule()
    rule.host = rows.backup1
    with pytest.raises(ValidationError) as refused:
        create_port_forward(actor, rule)
    assert "host" in refused.value.message_dict


def dangers_of(change) -> str:
    with pytest.raises(SecondWordNeeded) as asked:
        change()
    return " ".join(asked.value.sentences)


@pytest.mark.parametrize("ports", ["22", "8006", "1-100"])
def test_the_hosts_own_ports_want_a_second_word(rows, actor, ports):
    words = dangers_of(lambda: create_port_forward(actor, rows.rule(ports, inside="80")))
    assert "pve1 itself" in words
    assert not PortForward.objects.exists()
    create_port_forward(actor, rows.rule(ports, inside="80"), confirmed=True)
    assert (AuditEntry.objects.get(verb="port.create").after or {})["confirmed"]


def test_udp_22_is_nobodys(rows, actor):
    create_port_forward(actor, rows.rule("22", protocol="udp"))


def test_what_listens_by_udp_on_a_port_of_ours_is_told_as_what_it_is(rows, actor):
    PortReading.objects.create(host=rows.pve1, listening=[["udp", 22, 22, ""]], foreign=[])
    told = dangers_of(lambda: create_port_forward(actor, rows.rule("22", protocol="udp")))
    assert "pve1 itself listens on UDP 22 (?)." in told


def test_how_many_ports_are_wanted_inside_is_told(rows, actor):
    with pytest.raises(ValidationError, match=r"as many ports as on the host \(3\)"):
        create_port_forward(actor, rows.rule("9000-9002", inside="80-81"))


def test_what_the_host_was_seen_to_use_wants_a_second_word(rows, actor):
    PortReading.objects.create(
        host=rows.pve1,
        listening=[["tcp", 3128, 3128, "spiceproxy"]],
        foreign=[["tcp", 2201, 2210, "DOCKER"]],
    )
    assert "spiceproxy" in dangers_of(lambda: create_port_forward(actor, rows.rule("3128")))
    assert "DOCKER" in dangers_of(lambda: create_port_forward(actor, rows.rule("2205")))
    rule = create_port_forward(actor, rows.rule("3128"), confirmed=True)
    rule.note = "no new danger"
    change_port_forward(actor, rule, version=1)


@pytest.mark.parametrize("field", ["ssh_connection", "backup_ssh_connection"])
@pytest.mark.parametrize("name", ["198.51.100.10", "pve1"])
def test_the_rule_that_carries_our_own_connection_wants_a_second_word(rows, actor, field, name):
    Server.objects.filter(pk=rows.web1.pk).update(**{field: f"-p 2202 root@{name}"})
    rule = create_port_forward(actor, rows.rule("2202", inside="22"))  # leads where the connection should go
    whose = "The backup server" if field.startswith("backup") else "Gestion"
    assert whose in dangers_of(lambda: delete_port_forward(actor, rule))
    assert whose in dangers_of(lambda: switch_port_forward(actor, rule, active=False))
    rule.destination = rows.proxy
    assert whose in dangers_of(lambda: change_port_forward(actor, rule, version=1))
    rule.refresh_from_db()
    rule.first_port = 2203
    rule.last_port = 2203
    assert whose in dangers_of(lambda: change_port_forward(actor, rule, version=1))
    delete_port_forward(actor, rule, confirmed=True)


def test_a_port_that_another_servers_connection_uses_is_not_taken_unasked(rows, actor):
    Server.objects.filter(pk=rows.proxy.pk).update(ssh_connection="-p 2201 root@198.51.100.10")
    assert "proxy" in dangers_of(lambda: create_port_forward(actor, rows.rule("2201", inside="22")))


def test_the_hosts_own_other_ssh_port_is_not_taken_unasked(rows, actor):
    Server.objects.filter(pk=rows.pve1.pk).update(ssh_connection="-p 2222 root@198.51.100.10")
    assert "2222" in dangers_of(lambda: create_port_forward(actor, rows.rule("2222", inside="22")))


def test_the_way_to_the_nginx_server_is_not_closed_unasked(rows, actor):
    Server.objects.filter(pk=rows.pve1.pk).update(nginx_server=rows.proxy)
    rule = create_port_forward(actor, rows.rule("443", to=rows.proxy, inside="443"))
    assert "every website" in dangers_of(lambda: delete_port_forward(actor, rule))


def test_the_way_to_the_panel_itself_is_not_closed_unasked(rows, actor, settings):
    settings.GESTION_IP, settings.GESTION_VM_NAME = "10.0.0.102", "pve1"
    rule = create_port_forward(actor, rows.rule("8443", inside="443"))
    assert "Gestion itself" in dangers_of(lambda: delete_port_forward(actor, rule))
