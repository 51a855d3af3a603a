"""What changes of servers mean for hostnames."""

from functools import partial

import pytest
from django.core.exceptions import ValidationError

from accounts.models import AuditEntry
from forwarding.models import HostnameClaim, HostnameDestination, HostnameForward
from forwarding.services.hostnames import create_hostname
from forwarding.services.ports import create_port_forward
from pages.second_word import SecondWordNeeded, second_word
from servers.foretelling import foretell
from servers.models import Rollout, Server
from servers.registry import held_by
from servers.services import change_server, delete_server
from tests.forwarding.conftest import HostnameRows

pytestmark = pytest.mark.django_db


@pytest.fixture
def made(web: HostnameRows, actor) -> HostnameForward:
    return create_hostname(actor, web.hostname(), web.to(web.web1, web.web2))


def wanted(server: Server) -> int:
    rollout = Rollout.objects.filter(server=server, kind="nginx").first()
    return rollout.wanted if rollout else 0


def another_nginx(web: HostnameRows) -> Server:
    return Server.objects.create(
        name="proxy2", is_vm=True, vm_host=web.pve1, internal_ip="10.0.0.109", keymanager_name="proxy2"
    )


def test_with_another_nginx_server_the_names_go_there(web, actor, made):
    new = another_nginx(web)
    web.pve1.nginx_server = new
    with pytest.raises(SecondWordNeeded, match=r"www\.example\.org\) are served by proxy2"):
        change_server(actor, web.pve1, version=1)
    (gone, come) = foretell(partial(change_server, actor, web.pve1, version=1))
    assert (gone.server, come.server) == ("proxy", "proxy2")
    assert gone.ends == come.begins == ("www.example.org (80) to 10.0.0.102:80, 10.0.0.103:80",)
    with second_word():
        change_server(actor, web.pve1, version=1)
    assert list(HostnameClaim.objects.values_list("nginx", flat=True)) == [new.pk]
    assert (wanted(web.proxy), wanted(new)) == (2, 1)


@pytest.mark.parametrize(
    ("ports", "said"),
    [((), ""), (("80",), "of pve1, those for 80 lead to proxy"), (("80", "443"), "for 80 lead")],
)
def test_with_another_nginx_server_it_is_said_which_ports_outside_still_lead_to_the_old_one(
    web, actor, made, ports, said
):
    for port in ports:
        create_port_forward(actor, web.rule(port, web.proxy, port), confirmed=True)
    web.pve1.nginx_server = another_nginx(web)
    with pytest.raises(SecondWordNeeded) as refused:
        change_server(actor, web.pve1, version=1)
    words = " ".join(refused.value.sentences)
    assert said in words
    assert ("From outside, nobody reaches them" in words) == bool(said)


def test_where_the_ports_lead_to_the_new_nginx_server_too_nothing_more_is_said(web, actor, made):
    new = another_nginx(web)
    create_port_forward(actor, web.rule("80", web.proxy, "80"), confirmed=True)
    create_port_forward(actor, web.rule("8080", new, "80"), confirmed=True)
    web.pve1.nginx_server = new
    with pytest.raises(SecondWordNeeded) as refused:
        change_server(actor, web.pve1, version=1)
    assert len(refused.value.sentences) == 1


def test_a_name_that_the_new_nginx_server_has_already_is_told(web, actor, made):
    new = another_nginx(web)
    other = create_hostname(actor, web.hostname(domain="b.example.org"), web.to(web.web1))
    HostnameClaim.objects.filter(hostname=other).update(nginx=new, domain="www.example.org")
    HostnameForward.objects.filter(pk=other.pk).update(host=web.other_host())
    web.pve1.nginx_server = new
    with pytest.raises(ValidationError) as refused:
        change_server(actor, web.pve1, version=1)
    assert "www.example.org" in refused.value.message_dict["nginx_server"][0]
    assert HostnameClaim.objects.get(hostname=made).nginx == web.proxy


def test_a_host_with_hostnames_keeps_an_nginx_server(web, actor, made):
    web.pve1.nginx_server = None
    with pytest.raises(ValidationError) as refused:
        change_server(actor, web.pve1, version=1)
    assert "www.example.org" in refused.value.message_dict["nginx_server"][0]


def test_a_new_address_is_rolled_out_on_the_nginx_server(web, actor, made):
    web.web1.internal_ip = "10.0.0.202"
    change_server(actor, web.web1, version=1)
    assert wanted(web.proxy) == 2


def test_what_no_hostname_needs_is_not_rolled_out(web, actor, made):
    web.web1.notes = "painted red"
    change_server(actor, web.web1, version=1)
    web.backup1.external_ip = "198.51.100.99"
    change_server(actor, web.backup1, version=1)
    assert wanted(web.proxy) == 1


def test_a_server_to_which_hostnames_lead_stays_where_it_is_reached(web, actor, made):
    web.web1.internal_ip = None
    with pytest.raises(ValidationError) as refused:
        change_server(actor, web.web1, version=1)
    assert "www.example.org" in refused.value.message_dict["internal_ip"][0]
    web.web2.vm_host = web.other_host()
    with pytest.raises(ValidationError) as refused:
        change_server(actor, web.web2, version=1)
    assert "vm_host" in refused.value.message_dict


def test_a_deleted_server_leaves_its_hostnames_to_the_others(web, actor, made):
    HostnameDestination.objects.filter(server=web.web2).update(backup=True)
    assert "the hostname www.example.org leads to it" in [str(held.text) for held in held_by(web.web1)]
    delete_server(actor, web.web1, "web1")
    left = made.destinations.get()
    assert (left.server, left.backup) == (web.web2, False)
    assert wanted(web.proxy) == 2
    entry = AuditEntry.objects.get(verb="hostname.change")
    assert (entry.before or {})["destinations"] == ["web1", "web2 (spare)"]


def test_the_last_server_takes_its_hostname_with_it(web, actor):
    create_hostname(actor, web.hostname(), web.to(web.web1))
    delete_server(actor, web.web1, "web1")
    assert not HostnameForward.objects.exists()
    assert not HostnameClaim.objects.exists()
    assert wanted(web.proxy) == 2
    assert AuditEntry.objects.get(verb="hostname.delete").object_name == "www.example.org"


def test_the_server_behind_the_panels_own_name_is_not_deleted_unasked(web, actor, made, settings):
    settings.GESTION_URL = "https://www.example.org/"
    with pytest.raises(SecondWordNeeded):
        delete_server(actor, web.web1, "web1")
    with second_word():
        delete_server(actor, web.web1, "web1")
