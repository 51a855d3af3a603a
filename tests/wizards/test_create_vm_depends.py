"""What the parts of create_vm need of each other, told by the field where it can be mended."""

import json

import pytest
from django.test import RequestFactory

from accounts.actors import Actor
from forwarding.models import HostnameDestination, HostnameForward
from forwarding.services.hostnames import create_hostname
from keymanager.models import Group, Key
from pages.answers import form_data
from proxmox.models import Offer
from servers.models import Server
from tests.wizards.create_vm_ground import (
    SYSTEM,
    computed,
    guest_of,
    proxmox_host,
    step,
    with_backup_server,
    with_nginx,
)
from wizards.create_vm import choices, task_setup
from wizards.wizards.create_vm import create_vm

pytestmark = pytest.mark.django_db
NAME = "shop.example.org"


@pytest.fixture
def host() -> Server:
    return proxmox_host()


@pytest.fixture
def actor(admin) -> Actor:
    return Actor(admin, admin.username)


def errors(actor, number: int, host: Server, **typed) -> set[str]:
    """The fields with errors of a step after those before it were taken as computed."""
    before = {"name": NAME, "host": host.pk, **typed.pop("before", {})}
    data = computed(actor, number, **before)
    return set(step(actor, number, data, **{**before, **typed}).errors)


@pytest.mark.parametrize(
    ("number", "said", "wrong"),
    [
        (1, {"make_container": False, "memory": 4096}, {"memory"}),
        (1, {"make_container": False, "onboot": False}, set()),
        (2, {"forward_ssh": False, "ssh_port": 2222, "ssh_connection": "root@shop"}, {"ssh_port"}),
        (2, {"setup": False, "script_arguments": "a=b"}, {"script_arguments"}),
        (3, {"forward_domain": False, "domain": "www.example.org"}, {"domain"}),
        (3, {"backup": False, "backup_folder": "/b/else"}, {"backup_folder"}),
        (3, {"forward_domain": False, "backup": False, "first_backup": False}, set()),
    ],
)
def test_a_program_hears_that_a_part_which_is_off_takes_no_answers(host, actor, number, said, wrong) -> None:
    before = computed(actor, number, name=NAME, host=host.pk)
    request = RequestFactory().post("/", json.dumps(said), content_type="application/json")
    found = create_vm.steps[number]
    form = found.make_form(actor, before, form_data(request), found.defaults(actor, dict(before)))
    assert {name for name, texts in form.errors.items() if "counts only" in str(texts)} == wrong


def test_a_name_that_has_a_container_already(host, actor) -> None:
    Server.objects.create(name=NAME, keymanager_name=NAME)
    assert set(step(actor, 0, {}, name=NAME, host=host.pk).errors) == {"name"}


def test_a_guest_of_another_host(host, actor) -> None:
    guest_of(proxmox_host("pve2.example.org", external_ip="198.51.100.8"), NAME, "10.0.0.9")
    assert set(step(actor, 0, {}, name=NAME, host=host.pk).errors) == {"name"}


def test_a_host_whose_templates_nobody_has_read(host, actor) -> None:
    Offer.objects.update(templates=[])
    assert set(step(actor, 0, {}, name=NAME, host=host.pk).errors) == {"host"}


def test_no_secret_no_password(host, actor, settings) -> None:
    settings.VM_PASS_SECRET = ""
    assert "VM_PASS_SECRET" in str(step(actor, 0, {}, name=NAME, host=host.pk).errors)


def test_an_address_that_is_taken(host, actor) -> None:
    guest_of(host, "other.example.org", "10.0.0.9")
    assert errors(actor, 1, host, address="10.0.0.9") == {"address"}


def test_a_container_needs_template_and_storage(host, actor) -> None:
    assert errors(actor, 1, host, template="", storage="") == {"template", "storage"}
    assert not errors(actor, 1, host, make_container=False, template="", storage="")


def test_unix_users_are_names(host, actor) -> None:
    assert errors(actor, 1, host, unix_users="root; id") == {"unix_users"}


def test_a_forwarded_port_needs_an_address_and_a_free_port(host, actor) -> None:
    nowhere = {"make_container": False, "address": ""}
    assert "forward_ssh" in errors(actor, 2, host, before=nowhere, forward_ssh=True, ssh_port=105)
    assert errors(actor, 2, host, ssh_port="") >= {"ssh_port"}
    assert errors(actor, 2, host, ssh_port=22, ssh_connection="", backup_connection="") == {"ssh_port"}


def test_a_connection_by_a_port_that_does_not_lead_to_it(host, actor) -> None:
    assert errors(actor, 2, host, ssh_port=300) == {"ssh_connection", "backup_connection"}
    assert errors(actor, 2, host, forward_ssh=False) == {"ssh_connection", "backup_connection"}
    free = {"ssh_connection": "", "backup_connection": "-p 2200 root@other.example.org"}
    assert not errors(actor, 2, host, forward_ssh=False, **free)


def test_no_script_and_no_keys_without_a_way_in(actor) -> None:
    host = proxmox_host(ssh_connection="")
    off = {"forward_ssh": False, "ssh_connection": "", "backup_connection": ""}
    assert errors(actor, 2, host, **off) == {"setup", "fetch_keys", "refuse_passwords"}


def test_no_script_where_no_container_is_made(host, actor) -> None:
    before = {"make_container": False}
    assert errors(actor, 2, host, before=before, setup=True, fetch_keys=True) == {"setup", "fetch_keys"}


@pytest.mark.parametrize(
    "typed",
    ["nothing", "colour=blue", "tools", "keys=perhaps"],
    ids=["no value", "unknown", "no sign", "no bool"],
)
def test_arguments_of_the_script(host, actor, typed) -> None:
    assert errors(actor, 2, host, script_arguments=typed) == {"script_arguments"}


def test_arguments_in_their_types(host, actor) -> None:
    from wizards.create_vm.choices import script_arguments

    found = script_arguments("server.setup", "tools = curl rsync\n\nkeys=no\nconfiguration=on\n")
    assert found == {"tools": "curl rsync", "keys": False, "configuration": True}


def test_an_argument_that_is_left_empty_is_as_the_script_has_it(settings, tmp_path) -> None:
    from wizards.create_vm.choices import script_arguments

    settings.FABRIC_FOLDER = str(tmp_path)
    words = "c, who=None, times: int = 1, rate: float | None = None, may: bool | None = None, word='w'"
    (tmp_path / "some.py").write_text(f"from fabric import task\n@task\ndef go({words}): pass\n")
    assert script_arguments("some.go", "who=\ntimes=\nrate=\nmay=no\nword=") == {"may": False, "word": ""}


@pytest.mark.parametrize(
    ("typed", "told"),
    [
        ({"fetch_keys": False}, True),
        ({"fetch_keys": False, "script_arguments": "keys = yes"}, False),
        ({"fetch_keys": False, "script": "server.copy_user_config"}, False),
        ({}, False),
    ],
)
def test_the_script_does_not_set_up_the_fetching_that_is_switched_off(host, actor, typed, told) -> None:
    data = {**computed(actor, 3, name=NAME, host=host.pk), **typed}
    assert choices.leaves_keys(data) is told
    assert ("keys=no" in task_setup.says(data)) is told


def test_a_script_must_be_chosen(host, actor) -> None:
    assert errors(actor, 2, host, script="") == {"script"}


def test_passwords_are_refused_in_a_new_container_alone(host, actor) -> None:
    before = {"make_container": False}
    data = computed(actor, 3, name=NAME, host=host.pk, make_container=False)
    assert not data["refuse_passwords"]
    assert errors(actor, 2, host, before=before, refuse_passwords=True) == {"refuse_passwords"}
    assert computed(actor, 3, name="other.example.org", host=host.pk)["refuse_passwords"]


def test_it_becomes_the_nginx_server_of_a_host_that_has_none(host, actor) -> None:
    data = computed(actor, name=NAME, host=host.pk)
    assert not data["becomes_nginx"]
    assert errors(actor, 3, host, becomes_nginx=True) == set()
    alone = {"make_container": False, "setup": False, "fetch_keys": False, "refuse_passwords": False}
    assert errors(actor, 3, host, before=alone, becomes_nginx=True) == {"becomes_nginx"}
    with_nginx(host)
    assert errors(actor, 3, host, becomes_nginx=True) == {"becomes_nginx"}


def test_a_domain_to_the_nginx_server_itself_goes_to_another_port(host, actor) -> None:
    typed = {"becomes_nginx": True, "forward_domain": True, "domain": NAME}
    assert errors(actor, 3, host, **typed) == {"domain_port"}
    assert errors(actor, 3, host, **typed, domain_port=8080) == set()


def test_no_domain_without_an_nginx_server(host, actor) -> None:
    assert errors(actor, 3, host, forward_domain=True) == {"forward_domain"}


def test_a_domain_that_is_taken_or_none(host, actor) -> None:
    proxy = with_nginx(host)
    web = guest_of(host, "web.example.org", "10.0.0.60")
    create_hostname(SYSTEM, HostnameForward(host=host, domain=NAME), [HostnameDestination(server=web)])
    assert proxy.nginx_for.get() == host
    assert errors(actor, 3, host) == {"domain"}
    assert errors(actor, 3, host, domain="", domain_port="") == {"domain", "domain_port"}
    assert errors(actor, 3, host, domain="no domain") == {"domain"}


def test_no_backup_without_a_backup_server(host, actor) -> None:
    assert errors(actor, 3, host, backup=True) == {"backup_server"}


def test_no_backup_where_the_backup_server_is_not_let_in(host, actor) -> None:
    with_backup_server()
    before: dict[str, list[int]] = {"groups_allowed": []}
    assert errors(actor, 3, host, before=before, backup=True) == {"backup_server"}
    Group.objects.get().member_servers.clear()
    assert errors(actor, 3, host, backup=True) == {"backup_server"}


def test_no_backup_of_nothing(host, actor) -> None:
    with_backup_server()
    before = {"make_container": False, "setup": False, "fetch_keys": False}
    assert errors(actor, 3, host, before=before, backup=True) == {"backup"}


def test_a_backup_folder_of_its_own(host, actor) -> None:
    from backups.models import Backup

    there = with_backup_server()
    Backup.objects.create(source=host, destination=there, destination_folder="/backups/all")
    assert errors(actor, 3, host, backup_folder="/backups/all/shop") == {"backup_folder"}
    assert errors(actor, 3, host, backup_folder="") == {"backup_folder"}


def test_a_backup_folder_of_its_own_on_the_proxmox_host_itself(host, actor) -> None:
    """Small fleets back up there; what is taken was told by the run alone, once all else was made."""
    from backups.models import Backup

    there = with_backup_server()
    host.unix_users.create(name="root")
    Key.objects.filter(unix_user__server=there).update(unix_user=host.unix_users.get(name="root"))
    Group.objects.get().member_servers.set([host])
    Backup.objects.create(source=there, destination=host, destination_folder="/backups/all")
    taken = {"backup": True, "backup_server": host.pk}
    assert errors(actor, 3, host, **taken, backup_folder="/backups/new") == set()
    assert errors(actor, 3, host, **taken, backup_folder="/backups/all/shop") == {"backup_folder"}
