"""Where a rule leads a port, and which hostnames may have spare servers."""

import pytest

from forwarding.hostname_dangers import Served
from forwarding.hostname_dangers import dangers as hostname_dangers
from forwarding.hostname_rules import problems
from forwarding.models import Balancing
from forwarding.models.hostnames import MOST_DESTINATIONS
from forwarding.port_dangers import Way
from forwarding.port_rules import problems as port_problems
from servers.models import Server


def way(first: int, last: int, to_first: int, to_last: int, *, active: bool = True) -> Way:
    return Way("tcp", first, last, 7, to_first, to_last, active)


def test_one_port_leads_to_one_port():
    assert way(8080, 8080, 80, 80).leads("tcp", 8080) == (7, 80)


def test_a_span_leads_to_a_span_port_by_port_and_no_further():
    span = way(8000, 8002, 9000, 9002)
    assert [span.leads("tcp", port) for port in range(7999, 8004)] == [
        None,
        (7, 9000),
        (7, 9001),
        (7, 9002),
        None,
    ]


def test_a_span_may_lead_to_one_port():
    assert [way(8000, 8002, 80, 80).leads("tcp", port) for port in (8000, 8002)] == [(7, 80), (7, 80)]


def test_another_protocol_and_a_rule_that_is_off_lead_nowhere():
    assert way(80, 80, 80, 80).leads("udp", 80) is None
    assert way(80, 80, 80, 80, active=False).leads("tcp", 80) is None


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("balancing", "spare", "good"),
    [
        (Balancing.IP_HASH, False, True),
        (Balancing.IP_HASH, True, False),
        (Balancing.ROUND_ROBIN, False, True),
        (Balancing.ROUND_ROBIN, True, True),
    ],
)
def test_spare_servers_do_not_go_with_a_choice_by_address(web, *, balancing, spare, good):
    destinations = web.to(web.web1, web.web2)
    destinations[1].backup = spare
    found = problems(web.hostname(balancing=balancing), destinations, web.proxy)
    assert ("destinations" not in found) is good


@pytest.mark.django_db
def test_the_panels_own_name_is_in_danger_however_it_is_written(web, settings):
    settings.GESTION_URL = "https://Panel.example.org/"
    own = Served("panel.example.org", (), (), active=True)
    assert hostname_dangers(web.pve1, own, None)
    assert hostname_dangers(web.pve1, None, Served("*.example.org", (), (), active=True))
    assert not hostname_dangers(web.pve1, Served("www.example.org", (), (), active=True), None)
    assert not hostname_dangers(web.pve1, own, own)


@pytest.mark.django_db
def test_a_broken_rule_of_ports_is_told_in_words_by_its_field(rows):
    rule = rows.rule("8080")
    rule.host = rows.web1
    assert "no Proxmox host" in str(port_problems(rule)["host"][0])


@pytest.mark.django_db
@pytest.mark.parametrize(("many", "good"), [(MOST_DESTINATIONS, True), (MOST_DESTINATIONS + 1, False)])
def test_a_hostname_has_so_many_servers_and_no_more(web, many, good):
    guests = [
        Server.objects.create(
            name=f"guest{number}", is_vm=True, vm_host=web.pve1, internal_ip=f"10.9.0.{number + 1}"
        )
        for number in range(many)
    ]
    found = problems(web.hostname(), web.to(*guests), web.proxy)
    assert (str(MOST_DESTINATIONS) not in str(found.get("destinations", ""))) is good
