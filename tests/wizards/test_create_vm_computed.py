"""Everything that create_vm computes from a name and a host."""

from typing import Any

import pytest

from accounts.actors import Actor
from backups.models import Backup
from backups.services.plans import create_backup
from forwarding.models import HostnameForward, PortForward, PortReading
from forwarding.services.ports import create_port_forward
from keymanager.services.groups import create_group
from proxmox.models import InternalNetwork
from servers.models import Rollout, Server
from tests.forwarding.hostname_rows import hostname
from tests.wizards.create_vm_ground import (
    SYSTEM,
    TEMPLATE,
    computed,
    guest_of,
    pin,
    proxmox_host,
    with_backup_server,
    with_nginx,
)
from wizards.create_vm.connections import connection_from, port_of
from wizards.wizards.create_vm import create_vm

pytestmark = pytest.mark.django_db
NAME = "shop.example.org"


@pytest.fixture
def host() -> Server:
    return proxmox_host()


@pytest.fixture
def actor(admin) -> Actor:
    return Actor(admin, admin.username)


def test_two_fields_are_enough_for_all_of_it(host, actor) -> None:
    with_nginx(host)
    there = with_backup_server()
    servers = create_group(SYSTEM, name="Servers")
    data = computed(actor, name="Shop.Example.org.", host=host.pk)
    assert data["name"] == NAME
    assert (data["address"], data["gateway"], data["unix_users"]) == ("10.0.0.3", "10.0.0.1", ["root"])
    assert (data["template"], data["storage"]) == (TEMPLATE, "local-lvm")
    assert (data["disk"], data["memory"], data["swap"], data["cores"]) == (8, 1024, 512, 1)
    assert (data["forward_ssh"], data["ssh_port"]) == (True, 103)
    assert data["ssh_connection"] == data["backup_connection"] == "-p 103 root@198.51.100.9"
    assert data["groups"] == [servers.pk]
    assert [there.key_groups.get().pk] == data["groups_allowed"]
    assert (data["own"], data["fetch_keys"]) == (True, True)
    assert (data["setup"], data["script"]) == (True, "server.setup")
    assert (data["forward_domain"], data["domain"], data["domain_port"]) == (True, NAME, 80)
    assert (data["backup"], data["backup_server"], data["first_backup"]) == (True, there.pk, True)
    assert data["backup_folder"] == f"/backups/{NAME}"
    assert all(str(task.says(data)) for task in create_vm.tasks)
    assert {task.slug for task in create_vm.tasks if not task.wanted(data)} == {"nginx"}


def test_where_the_fleet_has_less_those_parts_are_off_and_the_rest_is_as_it_was(host, actor) -> None:
    data = computed(actor, name=NAME, host=host.pk)
    assert (data["forward_domain"], data["backup"], data["first_backup"]) == (False, False, False)
    assert (data["groups"], data["groups_allowed"]) == ([], [])
    off = {task.slug for task in create_vm.tasks if not task.wanted(data)}
    assert all(str(task.says(data)) for task in create_vm.tasks)
    assert off == {"groups", "groups_allowed", "nginx", "domain", "backup", "first_backup"}


def test_the_settings_say_which_groups_which_script_and_where_the_backup_goes(host, actor, settings) -> None:
    there = with_backup_server("copies.example.org")
    with_backup_server("other.example.org")
    web = create_group(SYSTEM, name="Web servers")
    settings.CREATEVM_DEFAULT_GROUPS = ["web servers", "never made"]
    settings.SETUP_FABRIC_SCRIPT = "server.copy_key_manager"
    settings.BACKUP_SERVER, settings.BACKUP_BASE_FOLDER = "copies.example.org", "/srv/copies/"
    data = computed(actor, name=NAME, host=host.pk)
    assert data["groups"] == [web.pk]
    assert data["script"] == "server.copy_key_manager"
    assert (data["backup_server"], data["backup_folder"]) == (there.pk, f"/srv/copies/{NAME}")


def test_a_script_that_is_not_there_is_not_run(host, actor, settings) -> None:
    settings.SETUP_FABRIC_SCRIPT = "server.never_written"
    assert not computed(actor, name=NAME, host=host.pk, script="")["setup"]


def test_on_the_panels_own_host_it_is_reached_inside(host, actor, settings) -> None:
    settings.GESTION_VM_NAME = "PVE1.example.org"
    there = with_backup_server()
    Server.objects.filter(pk=there.pk).update(is_vm=True, vm_host=host, internal_ip="10.0.0.8")
    data = computed(actor, name=NAME, host=host.pk)
    assert data["ssh_connection"] == data["backup_connection"] == "root@10.0.0.2"


def test_each_of_panel_and_backup_server_has_its_own_way(host, actor, settings) -> None:
    settings.GESTION_VM_NAME = "pve1.example.org"
    with_backup_server()
    data = computed(actor, name=NAME, host=host.pk)
    assert (data["ssh_connection"], data["backup_connection"]) == (
        "root@10.0.0.2",
        "-p 102 root@198.51.100.9",
    )


def test_the_hosts_outside_name_for_guests_goes_before_its_address(actor) -> None:
    host = proxmox_host(external_hostname_for_vms="vms.example.org")
    data = computed(actor, name=NAME, host=host.pk)
    assert data["ssh_connection"] == "-p 102 root@vms.example.org"


@pytest.mark.parametrize(
    ("beside", "port", "said"),
    [("", 150, "-p 150 root@198.51.100.9"), ("", None, ""), ("pve1.example.org", None, "root@10.0.0.50")],
)
def test_connection_strings(host, beside, port, said) -> None:
    assert connection_from(beside, host, NAME, "10.0.0.50", port) == said


def test_the_port_is_a_hundred_and_the_number_in_the_network(host) -> None:
    assert port_of(host, "10.0.0.50") == 150
    assert port_of(host, "10.0.0.254") == 354
    assert port_of(host, "2001:db8::5") is None
    assert port_of(host, "") is None


def test_a_port_that_anything_has_is_left_out(host) -> None:
    web = guest_of(host, "web.example.org", "10.0.0.50", ssh_connection="-p 152 root@198.51.100.9")
    create_port_forward(
        SYSTEM,
        PortForward(
            host=host,
            destination=web,
            first_port=150,
            last_port=151,
            destination_first=22,
            destination_last=23,
        ),
    )
    PortReading.objects.create(host=host, listening=[["tcp", 153, 153, "sshd"], ["udp", 154, 154, "x"]])
    assert port_of(host, "10.0.0.50") == 154


def test_numbers_beyond_the_last_port_begin_anew(host) -> None:
    host.internal_ip = "10.0.0.1"
    host.save()
    from proxmox.models import InternalNetwork

    InternalNetwork.objects.create(host=host, prefix_length=8)
    assert port_of(host, "10.255.0.1") == 1024


def test_a_server_of_the_inventory_keeps_what_it_has(host, actor) -> None:
    known = guest_of(host, NAME, "10.0.0.77", ssh_connection="root@elsewhere.example.org")
    known.unix_users.create(name="root")
    known.unix_users.create(name="deploy")
    data = computed(actor, name=NAME, host=host.pk)
    assert (data["address"], data["ssh_port"]) == ("10.0.0.77", 177)
    assert data["unix_users"] == ["deploy", "root"]
    assert data["ssh_connection"] == "root@elsewhere.example.org"


def test_a_server_whose_container_is_gone_keeps_its_port_and_its_hostname(host, actor) -> None:
    """They lead to the new container; both were proposed once more, and the port said not to lead to it."""
    with_nginx(host)
    known = guest_of(host, NAME, "10.0.0.77", ssh_connection="-p 177 root@198.51.100.9")
    ports = {"first_port": 177, "last_port": 177, "destination_first": 22, "destination_last": 22}
    create_port_forward(SYSTEM, PortForward(host=host, destination=known, **ports))
    hostname(host, NAME, known)
    data = computed(actor, name=NAME, host=host.pk)
    assert (data["forward_ssh"], data["forward_domain"]) == (False, False)
    assert data["ssh_connection"] == data["backup_connection"] == "-p 177 root@198.51.100.9"


def test_a_server_that_is_copied_as_a_whole_already_is_not_copied_once_more(host, actor) -> None:
    """A second backup into a folder beside the first was proposed, and run."""
    there, known = with_backup_server(), guest_of(host, NAME, "10.0.0.77")
    of = {"source": known, "destination": there, "destination_folder": f"/backups/{NAME}"}
    backup = Backup.objects.create(**of, source_folder="/srv")
    assert computed(actor, name=NAME, host=host.pk)["backup"]
    Backup.objects.filter(pk=backup.pk).update(source_folder="/")
    assert not computed(actor, name=NAME, host=host.pk)["backup"]


def test_a_folder_that_is_taken_on_the_backup_server_is_left_out(host, actor) -> None:
    there = with_backup_server()
    Backup.objects.create(source=host, destination=there, destination_folder=f"/backups/{NAME}")
    assert computed(actor, name=NAME, host=host.pk)["backup_folder"] == f"/backups/{NAME}-2"


def test_a_name_without_a_domain_leads_no_domain(host, actor) -> None:
    with_nginx(host)
    assert not computed(actor, name="shop", host=host.pk)["forward_domain"]
    assert not HostnameForward.objects.exists()


@pytest.mark.parametrize("container", [True, False])
def test_the_plan_says_what_the_new_address_has_rolled_out(host, actor, container) -> None:
    def said(**typed: Any) -> str:
        data = computed(actor, 2, name=NAME, host=host.pk, make_container=container, **typed)
        plan = " ".join(
            str(task.says(data)) for task in create_vm.tasks if task.slug in {"server", "container"}
        )
        assert not Server.objects.filter(name=NAME).exists()
        return plan

    InternalNetwork.objects.create(host=host, prefix_length=16)
    web = guest_of(host, "web.example.org", "10.0.0.9")
    ports = {"first_port": 8080, "last_port": 8080, "destination_first": 80, "destination_last": 80}
    create_port_forward(SYSTEM, PortForward(host=host, destination=web, **ports))
    begins = "Forwarded ports of pve1.example.org: masquerading of 10.0.7.0/24 behind vmbr0 begins"
    assert begins in said(address="10.0.7.3")
    assert "rolled out" not in said()


def test_the_plan_says_what_the_hosts_first_port_begins_besides(host, actor) -> None:
    port = next(task for task in create_vm.tasks if task.slug == "port")

    def said() -> str:
        return str(port.says(computed(actor, 3, name=NAME, host=host.pk)))

    assert "masquerading of 10.0.0.0/24 behind vmbr0 begins; TCP 102 to 10.0.0.2:22 begins" in said()
    assert not Server.objects.filter(name=NAME).exists()
    assert not Rollout.objects.exists()
    web = guest_of(host, "web.example.org", "10.0.0.9")
    ports = {"first_port": 8080, "last_port": 8080, "destination_first": 80, "destination_last": 80}
    create_port_forward(SYSTEM, PortForward(host=host, destination=web, **ports))
    assert said().endswith("leads to its SSH")


def test_the_plan_says_what_follows_a_known_server_to_its_new_address(host, actor) -> None:
    web = guest_of(host, NAME, "10.0.0.9")
    ports = {"first_port": 8080, "last_port": 8080, "destination_first": 80, "destination_last": 80}
    create_port_forward(SYSTEM, PortForward(host=host, destination=web, **ports))
    data = computed(actor, 2, name=NAME, host=host.pk, address="10.0.0.44")
    container = next(task for task in create_vm.tasks if task.slug == "container")
    assert "TCP 8080 to 10.0.0.9:80 ends; TCP 8080 to 10.0.0.44:80 begins" in str(container.says(data))
    there = with_backup_server()
    pin(web)
    create_backup(SYSTEM, Backup(source=web, destination=there, destination_folder="/backups/shop"))
    data = computed(actor, 3, name=NAME, host=host.pk, address="10.0.0.44")
    connection = next(task for task in create_vm.tasks if task.slug == "connection")
    assert "Backups of backup1.example.org:" in str(connection.says(data))
    web.refresh_from_db()
    assert web.internal_ip == "10.0.0.9"
