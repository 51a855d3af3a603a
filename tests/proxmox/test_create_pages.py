"""The pages of creating containers and of addresses; what is typed reaches Proxmox as one value, or not at all."""

import re

import pytest
from django.core.exceptions import ValidationError
from django.urls import reverse
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.django import TestCase

from forwarding.models import PortForward
from forwarding.services.ports import create_port_forward
from jobs.models import Job
from keymanager.services.keys import add_keys
from lab.pve import Refuses
from proxmox.create_options import options_of
from proxmox.forms.create import CreateForm
from proxmox.models import Creation, GuestSeen, InternalNetwork, Offer
from proxmox.services.create import READ_OFFER, create_container, read_offer
from proxmox.works_create import due, start_readings
from servers.models import Server
from tests.proxmox.creating import ACTOR, TEMPLATE, ask, run, simulated
from tests.servers.conftest import work_off

KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJVXF3dJ5DsiUkj/vGmkVrW4oZ7rkGkpKwYF8H2d1xJp ada@example.org"
NEW = reverse("proxmox:create")


@pytest.fixture
def host(db) -> Server:
    host = Server.objects.create(
        name="pve1", keymanager_name="pve1", is_proxmox=True, proxmox_node="pve1",
        external_interface="vmbr0", internal_ip="10.0.0.1",
    )  # fmt: skip
    make_offer(host)
    return host


def make_offer(host: Server) -> Offer:
    from django.utils import timezone

    return Offer.objects.create(
        host=host, templates=[[TEMPLATE, 126_515_062]], storages=[["local-lvm", "lvmthin", 10**11]],
        bridges=[["vmbr0", "10.0.0.1/24"]], read_at=timezone.now(), tried_at=timezone.now(),
    )  # fmt: skip


def typed(**more) -> dict[str, object]:
    data = {
        "name": "web1.example.org", "template": TEMPLATE, "storage": "local-lvm", "disk": 8, "memory": 1024,
        "swap": 512, "cores": 1, "address": "", "gateway": "10.0.0.1", "bridge": "vmbr0", "name_servers": "",
        "ssh_keys": "", "unprivileged": "on", "onboot": "on", "start": "on",
    }  # fmt: skip
    return {name: value for name, value in {**data, **more}.items() if value is not None}


def test_the_form_is_filled_in(admin_client, host):
    page = admin_client.get(NEW).content.decode()
    assert 'value="10.0.0.2"' in page
    assert "debian-12-standard_12.7-1_amd64.tar.zst" in page
    for name in ("unprivileged", "onboot", "start"):
        assert re.search(rf'name="{name}"[^>]* checked', page), name
    assert not re.search(r'name="nesting"[^>]* checked', page)


def test_with_several_hosts_one_is_chosen_first(admin_client, host):
    other = Server.objects.create(
        name="pve2", keymanager_name="pve2", is_proxmox=True, proxmox_node="pve2", external_interface="vmbr0"
    )
    page = admin_client.get(NEW)
    assert f"?host={host.pk}" in page.content.decode()
    assert "pve2" in admin_client.get(f"{NEW}?host={other.pk}").content.decode()


def test_a_server_without_container_brings_its_name_and_address(admin_client, admin, host):
    server = Server.objects.create(
        name="db1", keymanager_name="db1", is_vm=True, vm_host=host, internal_ip="10.0.0.50"
    )
    page = admin_client.get(f"{NEW}?server={server.pk}").content.decode()
    assert 'value="db1"' in page
    assert 'value="10.0.0.50"' in page


def test_keys_of_the_servers_key_set_are_filled_in(admin_client, admin, host):
    server = Server.objects.create(name="db1", keymanager_name="db1", is_vm=True, vm_host=host)
    server.unix_users.create(name="root")
    server.owners.add(admin)
    add_keys(ACTOR, admin, KEY)
    assert KEY in admin_client.get(f"{NEW}?server={server.pk}").content.decode()


def test_creating_makes_the_server_the_claim_and_the_job(admin_client, host):
    answer = admin_client.post(NEW, typed())
    made = Creation.objects.get()
    assert answer.url == made.get_absolute_url()
    assert (made.hostname, made.address, made.claim.address) == ("web1.example.org", "10.0.0.2", "10.0.0.2")
    assert made.server.vm_host == host
    page = admin_client.get(answer.url).content.decode()
    assert "web1.example.org" in page
    assert admin_client.get(made.server.get_absolute_url()).status_code == 200
    assert "being created" in admin_client.get(made.server.get_absolute_url()).content.decode()


def test_a_container_calls_itself_as_a_host_can_which_is_said_before(admin_client, host):
    name = "web_1.demo.example"
    plan = admin_client.post(
        NEW, typed(name=name, preview="1"), headers={"accept": "application/json"}
    ).json()
    assert plan["plan"]["hostname"] == "web-1.demo.example"
    admin_client.post(NEW, typed(name=name))
    made = Creation.objects.get()
    assert (made.hostname, made.server.name) == ("web-1.demo.example", name)
    assert f'value="{name}"' in admin_client.get(f"{NEW}?from={made.pk}").content.decode()


def test_a_container_of_a_long_name_calls_itself_by_its_first_part(admin_client, host):
    name = "web1.a-department-with-a-long-name.a-company-with-a-longer-one.example.org"
    admin_client.post(NEW, typed(name=name))
    made = Creation.objects.get()
    assert (made.hostname, made.server.name) == ("web1", name)


def test_a_program_creates_by_the_same_url(admin_client, host):
    answer = admin_client.post(NEW, typed(), headers={"accept": "application/json"}).json()
    assert (answer["ok"], answer["address"], answer["state"]) == (True, "10.0.0.2", "waiting")
    answer = admin_client.post(NEW, typed(memory=1), headers={"accept": "application/json"})
    assert answer.status_code == 422
    assert "memory" in answer.json()["errors"]


def test_the_preview_says_what_will_be_asked_for_and_changes_nothing(admin_client, host):
    page = admin_client.post(NEW, typed(preview="1", nesting="on"))
    words = page.content.decode()
    assert page.status_code == 200
    assert "name=eth0,bridge=vmbr0,ip=10.0.0.2/24,gw=10.0.0.1" in words
    assert "nesting=1" in words
    assert not Creation.objects.exists()
    assert not Server.objects.filter(name="web1.example.org").exists()
    assert "It is taken" in admin_client.post(NEW, typed(preview="1", address="10.0.0.1")).content.decode()


@pytest.mark.parametrize(
    ("field", "value", "words"),
    [
        ("name", "pve1", "no VM"),
        ("name", "a b", "Enter a domain name"),
        ("template", "local:vztmpl/none.tar", "Select a valid choice"),
        ("storage", "nfs", "Select a valid choice"),
        ("disk", "0", "greater than or equal"),
        ("memory", "9999999", "less than or equal"),
        ("cores", "x", "whole number"),
        ("address", "10.0.0.1", "It is taken"),
        ("address", "10.0.0.300", "valid"),
        ("bridge", "vmbr0,hwaddr=x", "interface name"),
        ("name_servers", "9.9.9.9 dns", "no IP address"),
        ("ssh_keys", "ssh-ed25519 AAAA", "key"),
        ("ssh_keys", f'from="10.0.0.1" {KEY}', "without options"),
    ],
)
def test_errors_are_by_the_field(admin_client, host, field, value, words):
    answer = admin_client.post(NEW, typed(**{field: value}), headers={"accept": "application/json"})
    assert answer.status_code == 422
    assert words in " ".join(answer.json()["errors"][field])
    assert not Creation.objects.exists()


def test_a_server_that_has_a_container_gets_no_second_one(admin_client, host):
    server = Server.objects.create(name="web1.example.org", keymanager_name="x", is_vm=True, vm_host=host)
    GuestSeen.objects.create(host=host, vmid=101, name="other", server=server, matched="hand")
    assert "has a container already" in admin_client.post(NEW, typed()).content.decode()


def test_without_the_secret_the_form_says_what_to_set(admin_client, host, settings):
    settings.VM_PASS_SECRET = ""
    assert "VM_PASS_SECRET" in admin_client.post(NEW, typed()).content.decode()
    assert not Server.objects.filter(name="web1.example.org").exists()


def test_the_form_never_asks_the_host(admin_client, host):
    """There is nothing at this host's address; the page comes all the same, and says that it is not read."""
    Offer.objects.all().delete()
    assert "was not read yet" in admin_client.get(NEW).content.decode()
    Offer.objects.create(host=host, words="The Proxmox API of pve1 does not answer.")
    assert "does not answer" in admin_client.get(NEW).content.decode()


def test_a_failed_create_is_changed_in_its_own_form_with_what_proxmox_said(admin_client, host):
    made = ask(host, memory=2048)
    errors = {"storage": ["storage 'local-lvm' does not support container directories"]}
    Creation.objects.filter(pk=made.pk).update(state="failed", errors=errors, why="Refused.")
    page = admin_client.get(f"{NEW}?from={made.pk}").content.decode()
    assert 'value="2048"' in page
    assert "does not support container directories" in page
    assert "does not support" in admin_client.get(made.get_absolute_url()).content.decode()
    answer = admin_client.post(reverse("proxmox:create_again", args=[made.pk]))
    assert answer.url == made.get_absolute_url()
    made.refresh_from_db()
    assert (made.state, made.errors) == ("waiting", {})


def test_failed_creates_are_on_the_dashboard_until_one_went_well(admin_client, host):
    made = ask(host)
    Creation.objects.update(state="failed", why="No.")
    words = "could not be created on pve1"
    assert words in admin_client.get("/").content.decode()
    Creation.objects.filter(pk=made.pk).update(state="done")
    assert words not in admin_client.get("/").content.decode()


def test_of_many_failed_creates_the_rest_is_counted(admin_client, host):
    for number in range(7):
        ask(host, name=f"web{number}.example.org", address="")
    Creation.objects.update(state="failed", why="No.")
    page = admin_client.get("/").content.decode()
    assert page.count("could not be created on pve1") == 5
    assert "2 more containers could not be created" in page


def test_members_see_none_of_it(member_client, host):
    made = ask(host)
    for url in (NEW, made.get_absolute_url(), reverse("proxmox:addresses", args=[host.pk])):
        assert member_client.get(url).status_code == 403


def test_the_page_of_addresses_shows_used_claimed_and_free(admin_client, host):
    Server.objects.create(name="db1", keymanager_name="d", is_vm=True, vm_host=host, internal_ip="10.0.0.50")
    Server.objects.create(name="odd", keymanager_name="o", is_vm=True, vm_host=host, internal_ip="10.7.0.5")
    ask(host)
    url = reverse("proxmox:addresses", args=[host.pk])
    page = admin_client.get(url).content.decode()
    for words in ("10.0.0.50", "being created", "10.0.0.3 – 10.0.0.49", "10.0.0.51 – 10.0.0.254", "10.7.0.5"):
        assert words in page, words
    data = admin_client.get(url, headers={"accept": "application/json"}).json()
    assert data["network"] == "10.0.0.0/24"
    assert {
        "first": "10.0.0.2",
        "last": "10.0.0.2",
        "kind": "claim",
        "by": "web1.example.org, being created",
    } in (data["used"])


def test_the_page_of_addresses_takes_as_many_queries_for_many_guests(
    admin_client, host, django_assert_max_num_queries
):
    for number in range(60):
        name = f"g{number}"
        Server.objects.create(
            name=name, keymanager_name=name, is_vm=True, vm_host=host, internal_ip=f"10.0.0.{number + 10}"
        )
    with django_assert_max_num_queries(14):
        admin_client.get(reverse("proxmox:addresses", args=[host.pk]))


def test_the_network_is_changed_in_its_form(admin_client, host):
    url = reverse("proxmox:network", args=[host.pk])
    data = {"prefix_length": 26, "gateway": "10.0.0.62", "bridge": "vmbr1", "name_servers": "9.9.9.9",
            "reserved": "10.0.0.10-10.0.0.20\n10.0.0.30\n"}  # fmt: skip
    assert admin_client.post(url, data).status_code == 302
    row = InternalNetwork.objects.get()
    assert row.reserved == [["10.0.0.10", "10.0.0.20"], ["10.0.0.30", "10.0.0.30"]]
    assert "10.0.0.10-10.0.0.20\n10.0.0.30" in admin_client.get(url).content.decode()
    page = admin_client.get(NEW).content.decode()
    assert 'value="10.0.0.62"' in page
    assert 'value="vmbr1"' in page


@pytest.mark.parametrize(
    ("field", "value"),
    [("prefix_length", 33), ("prefix_length", 31), ("gateway", "10.1.0.1"), ("reserved", "10.0.0.9-10.0.0.2"),
     ("reserved", "10.0.0.9-x"), ("reserved", "10.0.9.9"), ("bridge", "a b"), ("name_servers", "x")],
)  # fmt: skip
def test_a_network_that_cannot_be_is_refused(admin_client, host, field, value):
    data = {"prefix_length": 24, "bridge": "vmbr0", field: value}
    answer = admin_client.post(
        reverse("proxmox:network", args=[host.pk]), data, headers={"accept": "application/json"}
    )
    assert answer.status_code == 422
    assert field in answer.json()["errors"]


@pytest.mark.django_db(transaction=True)
def test_what_a_host_offers_is_read_in_a_job(admin_client):
    with simulated() as (pve, host):
        admin_client.post(reverse("proxmox:read_offer", args=[host.pk]))
        work_off()
        offer = Offer.objects.get()
        assert [name for name, _size in offer.templates] == [TEMPLATE]
        assert [name for name, _type, _free in offer.storages] == ["local-lvm"]
        assert ["vmbr0", "10.0.0.1/24"] in offer.bridges
        assert offer.addresses == [[101, "ct101", "10.0.0.100"], [102, "ct102", "10.0.0.101"]]
        pve.faults.add(Refuses(path="/nodes/*"))
        read_offer(ACTOR, host)
        work_off()
        offer.refresh_from_db()
        assert "No route to host" in offer.words
        assert offer.templates  # of the last time
        assert Job.objects.filter(work=READ_OFFER, state="failed").exists()


def test_hosts_are_read_in_turn(host):
    assert not due()
    Offer.objects.all().delete()
    assert due() == [host]
    start_readings()
    start_readings()
    assert Job.objects.filter(work="proxmox.offers").count() == 1


TYPED = ["name", "address", "gateway", "bridge", "name_servers", "ssh_keys"]
hostile = st.text(alphabet=st.sampled_from("a1.-:/,= \n\r\0\t;'\"$`\\{}<>é"), max_size=30)


class TestWhatIsTyped(TestCase):
    """By hypothesis: whatever passes the form is one value of one parameter."""

    @settings(max_examples=200, deadline=None)
    @given(field=st.sampled_from(TYPED), value=hostile)
    def test_hostile_words(self, field, value):
        host = Server.objects.create(
            name="pve1", keymanager_name="pve1", is_proxmox=True, proxmox_node="pve1",
            external_interface="vmbr0", internal_ip="10.0.0.1",
        )  # fmt: skip
        form = CreateForm(typed(**{field: value}), host=host, offer=make_offer(host))
        if not form.is_valid():
            return
        try:
            made = create_container(ACTOR, form.wanted())
        except ValidationError:
            return
        options = options_of(made, panel_key="ssh-ed25519 AAAA panel", password="x")
        net0 = r"name=eth0,bridge=[A-Za-z0-9._-]+,ip=[0-9.]+/24(,gw=[0-9.]+)?"
        assert re.fullmatch(net0, options["net0"])
        assert re.fullmatch(r"[a-z0-9.-]+", options["hostname"])
        assert re.fullmatch(r"[0-9a-f.: ]*", options.get("nameserver", ""))
        assert options["ssh-public-keys"] == "ssh-ed25519 AAAA panel\n"


@pytest.mark.django_db(transaction=True)
def test_the_page_of_a_created_container_says_so(admin_client):
    with simulated() as (_pve, host):
        made = run(ask(host, start=False))
        page = admin_client.get(made.get_absolute_url()).content.decode()
    assert f"container {made.vmid}" in page


def test_what_the_servers_new_address_has_rolled_out_is_said_before(admin_client, host):
    """Its ports and hostnames follow it."""
    name = "web1.example.org"
    web = Server.objects.create(
        name=name, keymanager_name=name, is_vm=True, vm_host=host, internal_ip="10.0.0.9"
    )
    rule = PortForward(
        host=host, destination=web, first_port=8080, last_port=8080, destination_first=80, destination_last=80
    )
    create_port_forward(ACTOR, rule)
    json = {"content_type": "application/json", "headers": {"accept": "application/json"}}

    def post(**more: object):
        said = {"name": name, "template": TEMPLATE, "storage": "local-lvm", **more}
        return admin_client.post(NEW, said, **json)

    (told,) = post(preview=True).json()["preview"]  # the form offers the next free address
    assert (told["server"], told["begins"]) == ("pve1", ["TCP 8080 to 10.0.0.2:80"])
    page = admin_client.post(NEW, typed(address="10.0.0.2", preview="1")).content.decode()
    assert "TCP 8080 to 10.0.0.9:80 ends" in page
    asked = post()
    assert (asked.status_code, Creation.objects.count()) == (409, 0)
    assert "TCP 8080 to 10.0.0.2:80 begins" in asked.json()["errors"]["confirm_lockout"][0]
    assert post(address="10.0.0.9", preview=True).json()["preview"] == []
    assert post(confirm_lockout=True).status_code == 200
    assert Creation.objects.get().address == "10.0.0.2"
    web.refresh_from_db()
    assert web.internal_ip == "10.0.0.9"  # until the container has another one


def test_a_new_container_that_changes_nothing_elsewhere_asks_nothing(admin_client, host):
    assert admin_client.post(NEW, typed()).status_code == 302
    assert Creation.objects.count() == 1


def test_a_key_that_openssh_here_does_not_read_gets_into_no_container(
    admin_client, host, tmp_path, monkeypatch
):
    """It reads others of the type: whatever the rules say of this one."""
    program = tmp_path / "ssh-keygen"
    program.write_text(
        f"#!/bin/sh\ngrep -q {KEY.split()[1]} && {{ echo '(stdin) is not a public key file.' >&2; exit 255; }}\n"
        "echo 256 SHA256:x\n"
    )
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    answer = admin_client.post(NEW, typed(ssh_keys=KEY))
    assert (answer.status_code, Creation.objects.count()) == (422, 0)
    assert "OpenSSH does not read this key (SHA256:" in answer.content.decode()


def test_a_key_with_an_editors_mark_is_taken_and_a_private_one_is_not_shown_again(admin_client, host):
    assert admin_client.post(NEW, typed(ssh_keys=f"\ufeff{KEY}\r\n")).status_code == 302
    assert Creation.objects.get().ssh_keys == KEY
    secret = "-----BEGIN OPENSSH PRIVATE KEY-----\nb3BlbnNzaC1rZXktdjEAAAAABG5vbmU\n-----END OPENSSH PRIVATE KEY-----"
    answer = admin_client.post(NEW, typed(name="web2.example.org", ssh_keys=secret))
    page = answer.content.decode()
    assert answer.status_code == 422
    assert "This is a private key" in page
    assert "b3BlbnNz" not in page
