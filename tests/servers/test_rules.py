"""Every rule between the settings of a server, told by the field where it can be mended."""

import pytest
from django.core.exceptions import ValidationError
from django.db import IntegrityError, transaction
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from servers.models import Server, UnixUser
from servers.rules import chain_of

pytestmark = [pytest.mark.services, pytest.mark.django_db]


def problems(server: Server) -> dict[str, list[str]]:
    try:
        server.full_clean()
    except ValidationError as error:
        return error.message_dict
    return {}


def saved(name: str, **fields) -> Server:
    server = Server(name=name, **fields)
    server.full_clean()
    server.save()
    return server


@pytest.fixture
def pve1() -> Server:
    return saved("pve1.example.org", is_proxmox=True, external_ip="192.0.2.1", internal_ip="10.0.0.1")


@pytest.fixture
def web(pve1) -> Server:
    return saved("web.example.org", is_vm=True, vm_host=pve1, internal_ip="10.0.0.5")


def test_a_name_alone_is_enough():
    server = Server(name="A.example.org")
    assert problems(server) == {}
    assert server.keymanager_name == "a.example.org"


def test_what_can_be_computed_is_filled_in():
    server = saved(
        "pve1.example.org",
        is_proxmox=True,
        ssh_connection=" -p  222   root@pve1.example.org",
        samba_management=True,
        samba_base_folder="/srv//shares/",
    )
    assert server.proxmox_node == "pve1"
    assert server.external_interface == "vmbr0"
    assert server.ssh_connection == "-p 222 root@pve1.example.org"
    assert server.samba_base_folder == "/srv/shares"


def test_a_node_is_called_as_a_host_can_be():
    assert saved("pve_1.example.org", is_proxmox=True).proxmox_node == "pve-1"


def test_names_are_unique_in_any_spelling():
    saved("münchen.example")
    assert "name" in problems(Server(name="XN--MNCHEN-3YA.example"))


@pytest.mark.parametrize("name", ["nc bad", "-x", "a_", "x" * 300])
def test_a_wrong_name_is_told_by_itself_and_not_by_what_is_computed_from_it(name):
    for more in ({}, {"is_proxmox": True}):
        with pytest.raises(ValidationError) as refused:
            Server(name=name, **more).full_clean()
        assert set(refused.value.message_dict) == {"name"}
    with pytest.raises(ValidationError) as refused:
        Server(name=name, keymanager_name="bad name").full_clean()
    assert set(refused.value.message_dict) == {"name", "keymanager_name"}


def test_a_keymanager_name_may_be_shared():
    saved("a.example.org", keymanager_name="webs")
    assert problems(Server(name="b.example.org", keymanager_name="webs")) == {}


def test_a_vm_needs_a_host_and_only_a_vm_has_one(pve1):
    assert "vm_host" in problems(Server(name="a.example.org", is_vm=True))
    assert "vm_host" in problems(Server(name="a.example.org", vm_host=pve1))


def test_hosts_do_not_run_on_themselves_nor_in_circles(pve1):
    pve1.is_vm, pve1.vm_host = True, pve1
    assert "vm_host" in problems(pve1)
    nested = saved("pve2.example.org", is_proxmox=True, is_vm=True, vm_host=Server.objects.get(pk=pve1.pk))
    pve1.vm_host = nested
    assert "vm_host" in problems(pve1)


def test_nothing_runs_on_a_vm_unless_it_is_a_proxmox_host(web):
    assert "vm_host" in problems(Server(name="a.example.org", is_vm=True, vm_host=web))


def test_a_host_need_not_be_proxmox():
    host = saved("kvm.example.org")
    assert problems(Server(name="a.example.org", is_vm=True, vm_host=host)) == {}
    saved("b.example.org", is_vm=True, vm_host=host)
    other = saved("other.example.org", is_proxmox=True)
    host.is_vm, host.vm_host = True, other
    assert "is_vm" in problems(host)


def test_a_proxmox_host_with_guests_stays_one(pve1, web):
    pve1.is_proxmox, pve1.proxmox_node, pve1.external_interface = False, "", ""
    assert "is_proxmox" in problems(pve1)
    web.delete()
    assert problems(pve1) == {}


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("proxmox_node", "pve1"),
        ("external_interface", "eth0"),
        ("external_hostname_for_vms", "out.example.org"),
    ],
)
def test_proxmox_settings_belong_to_proxmox_hosts(field, value):
    assert field in problems(Server(name="a.example.org", **{field: value}))
    with pytest.raises(IntegrityError), transaction.atomic():
        Server.objects.create(name="a.example.org", keymanager_name="a", **{field: value})


def test_the_nginx_server_is_a_guest_of_this_host_and_stays_until_another_is_chosen(pve1, web):
    other = saved("pve2.example.org", is_proxmox=True)
    other.nginx_server = web
    assert "nginx_server" in problems(other)
    pve1.nginx_server = web
    assert problems(pve1) == {}
    pve1.save()
    web.vm_host = other
    assert "vm_host" in problems(web)


def test_an_internal_ip_is_unique_on_its_host_and_not_the_hosts_own(pve1, web):
    assert "internal_ip" in problems(
        Server(name="b.example.org", is_vm=True, vm_host=pve1, internal_ip="10.0.0.5")
    )
    assert "internal_ip" in problems(
        Server(name="b.example.org", is_vm=True, vm_host=pve1, internal_ip="10.0.0.1")
    )
    other = saved("pve2.example.org", is_proxmox=True, internal_ip="10.0.0.1")
    assert problems(Server(name="b.example.org", is_vm=True, vm_host=other, internal_ip="10.0.0.5")) == {}
    pve1.internal_ip = "10.0.0.5"
    assert "internal_ip" in problems(pve1)
    with pytest.raises(IntegrityError), transaction.atomic():
        Server.objects.create(
            name="b.example.org", keymanager_name="b", is_vm=True, vm_host=pve1, internal_ip="10.0.0.5"
        )


def test_host_and_guest_share_an_internal_network_of_one_ip_version(pve1, web):
    guest = Server(name="b.example.org", is_vm=True, vm_host=pve1, internal_ip="fd00::5")
    assert "internal_ip" in problems(guest)
    pve1.internal_ip = "fd00::1"
    assert "internal_ip" in problems(pve1)


def test_ipv6_is_compared_by_value_not_by_spelling(pve1):
    host = saved("pve6.example.org", is_proxmox=True, internal_ip="fd00::1")
    saved("a.example.org", is_vm=True, vm_host=host, internal_ip="fd00:0::5")
    twin = Server(name="b.example.org", is_vm=True, vm_host=host, internal_ip="FD00::0005")
    assert "internal_ip" in problems(twin)
    mapped = Server(name="c.example.org", is_vm=True, vm_host=pve1, internal_ip="::ffff:10.0.0.9")
    assert problems(mapped) == {}
    assert mapped.internal_ip == "10.0.0.9"


def test_an_external_ip_is_shared_only_with_what_runs_on_the_same_host(pve1):
    assert "external_ip" in problems(Server(name="a.example.org", external_ip="192.0.2.1"))
    saved("web.example.org", is_vm=True, vm_host=pve1, external_ip="192.0.2.1")
    assert problems(Server(name="b.example.org", is_vm=True, vm_host=pve1, external_ip="192.0.2.1")) == {}


def test_samba_and_its_folder_come_together():
    assert "samba_base_folder" in problems(Server(name="a.example.org", samba_management=True))
    assert "samba_base_folder" in problems(Server(name="a.example.org", samba_base_folder="/srv/x"))
    folder = Server(name="a.example.org", samba_management=True, samba_base_folder="/")
    assert "samba_base_folder" in problems(folder)


@pytest.mark.parametrize(
    "fields",
    [
        {"name": "UPPER.example.org"},
        {"is_vm": True},
        {"samba_management": True},
        {"is_proxmox": True},
    ],
)
def test_the_database_itself_refuses_what_no_server_is(fields):
    with pytest.raises(IntegrityError), transaction.atomic():
        Server.objects.create(**{"name": "a.example.org", "keymanager_name": "a", **fields})


@pytest.mark.parametrize("name", ["", "-rf"])
def test_the_database_itself_refuses_a_unix_user_that_looks_like_an_option(pve1, name):
    with pytest.raises(IntegrityError), transaction.atomic():
        UnixUser.objects.create(server=pve1, name=name)


def test_chains_end_even_where_the_rows_go_in_circles(pve1):
    other = saved("pve2.example.org", is_proxmox=True, is_vm=True, vm_host=pve1)
    Server.objects.filter(pk=pve1.pk).update(is_vm=True, vm_host=other)
    assert len(chain_of(Server.objects.get(pk=pve1.pk))) == 2


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    fields=st.fixed_dictionaries(
        {
            "is_vm": st.booleans(),
            "is_proxmox": st.booleans(),
            "samba_management": st.booleans(),
            "samba_base_folder": st.sampled_from(["", "/srv", "/", "srv", "/a/../b"]),
            "proxmox_node": st.sampled_from(["", "pve", "-x"]),
            "external_interface": st.sampled_from(["", "eth0", "a b"]),
            "internal_ip": st.sampled_from([None, "", "10.0.0.5", "127.0.0.1", "fd00::1"]),
            "external_ip": st.sampled_from([None, "", "192.0.2.1", "192.0.2.9"]),
            "ssh_connection": st.sampled_from(["", "root@h", "-p 0 root@h", "root@h\n"]),
            "on": st.sampled_from(["", "pve1"]),
        }
    )
)
def test_what_the_rules_let_through_the_database_takes(pve1, fields):
    host = pve1 if fields.pop("on") else None
    server = Server(name="x.example.org", vm_host=host, **fields)
    if not problems(server):
        with transaction.atomic():
            server.save()
            transaction.set_rollback(True)
