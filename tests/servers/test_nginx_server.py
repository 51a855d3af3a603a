"""A Proxmox host's nginx server is chosen while a server is made: by its guest, or by the host."""

import pytest
from django.core.exceptions import ValidationError

from accounts.actors import Actor
from accounts.models import AuditEntry
from servers.models import Server
from servers.services import become_nginx_server, create_server

pytestmark = pytest.mark.django_db
SYSTEM = Actor.system("test")


@pytest.fixture
def pve() -> Server:
    return create_server(SYSTEM, Server(name="pve1", is_proxmox=True, internal_ip="10.0.0.1"))


def add(client, **fields):
    answer = client.post(
        "/servers/new/", fields, content_type="application/json", headers={"accept": "application/json"}
    )
    return answer, answer.json().get("errors", {})


def test_a_new_guest_becomes_it_where_the_host_has_none(admin_client, pve) -> None:
    form = admin_client.get(f"/servers/new/?host={pve.pk}").content.decode()
    assert 'name="nginx_of_host"' in form
    guest = {"name": "proxy", "is_vm": True, "vm_host": pve.pk, "internal_ip": "10.0.0.2"}
    answer, errors = add(admin_client, **guest, nginx_of_host=True)
    assert (answer.status_code, errors) == (200, {})
    pve.refresh_from_db()
    assert pve.nginx_server == Server.objects.get(name="proxy")
    assert AuditEntry.objects.filter(verb="server.change", object_id=str(pve.pk)).exists()
    page = admin_client.get(pve.get_absolute_url()).content.decode()
    assert '<span class="tag">nginx</span>' in page


def test_where_the_host_has_one_it_is_said_by_the_field_and_nothing_is_added(admin_client, pve) -> None:
    create_server(SYSTEM, Server(name="proxy", is_vm=True, vm_host=pve), nginx_of_host=True)
    answer, errors = add(admin_client, name="web", is_vm=True, vm_host=pve.pk, nginx_of_host=True)
    assert errors.keys() == {"nginx_of_host"}
    assert "pve1 has proxy as its nginx server" in errors["nginx_of_host"][0]
    assert answer.status_code == 422
    assert not Server.objects.filter(name="web").exists()


@pytest.mark.parametrize("more", [{}, {"is_vm": True}, {"is_proxmox": True}], ids=str)
def test_only_a_guest_of_a_proxmox_host_can_be_it(admin_client, more) -> None:
    plain = Server.objects.create(name="kvm", keymanager_name="kvm")
    host = {"vm_host": plain.pk} if more.get("is_vm") else {}
    _answer, errors = add(admin_client, name="web", nginx_of_host=True, **more, **host)
    assert errors.keys() == {"nginx_of_host"}
    with pytest.raises(ValidationError):
        become_nginx_server(SYSTEM, plain)


def test_a_new_proxmox_host_takes_one_that_stood_alone_as_its_guest(admin_client) -> None:
    proxy = create_server(
        SYSTEM, Server(name="proxy", internal_ip="10.0.0.2", ssh_connection="-p 222 root@pve2")
    )
    answer, errors = add(
        admin_client, name="pve2", is_proxmox=True, internal_ip="10.0.0.1", nginx_server=proxy.pk
    )
    assert (answer.status_code, errors) == (200, {})
    host = Server.objects.get(name="pve2")
    proxy.refresh_from_db()
    assert (host.nginx_server, proxy.vm_host, proxy.is_vm) == (proxy, host, True)
    proxy.full_clean()
    host.full_clean()


def test_what_breaks_a_rule_is_said_by_the_field_and_nothing_is_changed(admin_client, pve) -> None:
    alone = create_server(SYSTEM, Server(name="alone", internal_ip="10.0.0.1"))
    guest = create_server(SYSTEM, Server(name="guest", is_vm=True, vm_host=pve))
    for nginx, more in (
        (alone, {"is_proxmox": True, "internal_ip": "10.0.0.1"}),  # its address is the host's own
        (alone, {}),  # no Proxmox host
        (guest, {"is_proxmox": True}),  # another host's
        (pve, {"is_proxmox": True}),
    ):
        answer, errors = add(admin_client, name="pve2", nginx_server=nginx.pk, **more)
        assert (answer.status_code, errors.keys()) == (422, {"nginx_server"})
    assert not Server.objects.filter(name="pve2").exists()
    alone.refresh_from_db()
    assert (alone.is_vm, alone.version) == (False, 1)


def test_an_edit_chooses_among_guests_as_before(admin_client, pve) -> None:
    form = admin_client.get(f"/servers/{pve.pk}/edit/").content.decode()
    assert 'name="nginx_of_host"' not in form
    guest = create_server(SYSTEM, Server(name="guest", is_vm=True, vm_host=pve))
    answer = admin_client.post(
        f"/servers/{pve.pk}/edit/",
        {"nginx_server": guest.pk},
        content_type="application/json",
        headers={"accept": "application/json"},
    )
    assert answer.status_code == 200, answer.content
    pve.refresh_from_db()
    assert pve.nginx_server == guest
