"""Reaching servers: states, host keys at first contact and changed, gateways, backing off."""

from datetime import timedelta

import pytest
from django.utils import timezone

from accounts.models import AuditEntry
from hosts.errors import HostKeyChanged
from servers import contact, services, upkeep
from servers.connect import (
    GatewayBlocked,
    NoConnection,
    connect,
    suggested_connection,
    target_of,
    target_to_check,
)
from servers.models import Contact, HostKey, Server
from tests.servers.conftest import pin, work_off
from tests.servers.fleet import host_key

pytestmark = [pytest.mark.services, pytest.mark.django_db]


def check(server: Server) -> str:
    contact.check(server)
    server.refresh_from_db()
    return server.contact


def test_first_contact_offers_the_key_and_logs_in_only_after_it_is_accepted(make_server, memory_fleet, actor):
    server = make_server("a.example.org", ssh_connection="root@a.example.org")
    machine = memory_fleet.add("root@a.example.org")
    assert check(server) == Contact.UNPINNED
    assert machine.logins == 0
    key = server.host_keys.get()
    assert (key.fingerprint, key.pinned_at) == (machine.key.fingerprint, None)
    assert key.file_on_host == "/etc/ssh/ssh_host_ed25519_key.pub"
    services.accept_host_key(actor, key)
    assert check(server) == Contact.OK
    assert server.last_contact_at is not None
    entry = AuditEntry.objects.get(verb="host_key.accept")
    assert entry.after == {"host_key": machine.key.fingerprint}


@pytest.mark.parametrize("again", [False, True])
def test_a_look_that_ends_after_the_key_was_accepted_does_not_say_that_it_is_not(
    make_server, memory_fleet, actor, again
):
    server = make_server("a.example.org", ssh_connection="root@a.example.org")
    machine = memory_fleet.add("root@a.example.org")
    if again:
        check(server)
        services.accept_host_key(actor, server.host_keys.get())
        machine.key = host_key("reinstalled")
    late = contact.reach(server, target_to_check(server))
    contact.note(late)
    services.accept_host_key(actor, server.host_keys.get(pinned_at=None))
    assert check(server) == Contact.OK
    contact.note(late)
    server.refresh_from_db()
    assert (server.contact, server.failed_checks) == (Contact.OK, 0)
    assert server.host_keys.get().fingerprint == machine.key.fingerprint


def test_only_the_last_key_that_was_shown_is_offered(make_server, memory_fleet):
    server = make_server("a.example.org", ssh_connection="root@a.example.org")
    machine = memory_fleet.add("root@a.example.org")
    check(server)
    machine.key = host_key("reinstalled")
    check(server)
    assert server.host_keys.get().fingerprint == machine.key.fingerprint


def test_a_changed_key_stops_everything_until_an_admin_accepts_it(make_reached, actor):
    server, machine = make_reached("a.example.org")
    old = server.host_keys.get()
    machine.key = host_key("reinstalled")
    assert check(server) == Contact.CHANGED
    with pytest.raises(HostKeyChanged) as caught, connect(server):
        pass
    assert caught.value.expected == old.fingerprint
    assert caught.value.found == machine.key.fingerprint
    assert machine.logins == 0
    services.accept_host_key(actor, server.host_keys.get(pinned_at=None))
    assert check(server) == Contact.OK
    assert [key.fingerprint for key in server.host_keys.all()] == [machine.key.fingerprint]
    entry = AuditEntry.objects.get(verb="host_key.accept")
    assert entry.before == {"host_keys": [old.fingerprint]}


def test_a_changed_key_can_be_refused_and_the_old_one_counts_again(make_reached, actor):
    server, machine = make_reached("a.example.org")
    machine.key = host_key("somebody in between")
    check(server)
    machine.key = host_key("root@a.example.org")
    services.reject_host_key(actor, server.host_keys.get(pinned_at=None))
    assert check(server) == Contact.OK
    assert AuditEntry.objects.filter(verb="host_key.reject").exists()


def test_a_refused_key_of_a_first_contact_is_offered_again_by_the_next_check(
    make_server, memory_fleet, actor
):
    server = make_server("a.example.org", ssh_connection="root@a.example.org")
    memory_fleet.add("root@a.example.org")
    check(server)
    services.reject_host_key(actor, server.host_keys.get())
    server.refresh_from_db()
    assert server.contact == Contact.UNKNOWN
    assert check(server) == Contact.UNPINNED


def test_without_its_accepted_key_nothing_is_sent_to_a_server(make_reached, actor):
    server, machine = make_reached("a.example.org")
    check(server)
    services.remove_host_key(actor, server.host_keys.get())
    logins = machine.logins
    assert check(server) == Contact.UNPINNED
    assert machine.logins == logins


@pytest.mark.parametrize(
    ("trouble", "state"), [({"down": True}, Contact.UNREACHABLE), ({"refuses": True}, Contact.REFUSED)]
)
def test_trouble_is_told_with_what_to_do(make_reached, trouble, state):
    server, machine = make_reached("a.example.org")
    check(server)
    for name, value in trouble.items():
        setattr(machine, name, value)
    assert check(server) == state
    assert "Check that" in server.contact_why
    assert server.last_contact_at is not None


def test_a_server_that_nobody_said_how_to_reach_says_what_to_fill_in(make_server, memory_fleet):
    server = make_server("a.example.org")
    assert check(server) == Contact.UNKNOWN
    assert "Fill in its SSH connection" in server.contact_why


def test_checks_of_a_server_out_of_reach_back_off_to_an_hour(make_reached):
    server, machine = make_reached("a.example.org")
    machine.down = True
    waits = []
    for _turn in range(8):
        check(server)
        waits.append(server.next_check_at - server.checked_at)
    assert waits == sorted(waits)
    assert timedelta(minutes=3) < waits[0] < timedelta(minutes=5)
    assert waits[-1] <= timedelta(hours=1)
    machine.down = False
    check(server)
    assert server.next_check_at - server.checked_at < timedelta(minutes=5)
    assert server.failed_checks == 0


def test_contact_remembers_since_when(make_reached):
    server, machine = make_reached("a.example.org")
    check(server)
    since = server.contact_since
    check(server)
    assert server.contact_since == since
    machine.down = True
    check(server)
    assert server.contact_since > since


def test_a_guest_is_reached_through_its_host(make_reached, make_server, memory_fleet):
    host, _machine = make_reached("pve1.example.org", is_proxmox=True)
    guest = make_server("web.example.org", is_vm=True, vm_host=host, internal_ip="10.0.0.5")
    machine = memory_fleet.add("root@10.0.0.5")
    pin(guest, machine)
    assert check(guest) == Contact.OK
    assert machine.through == ["root@pve1.example.org"]


def test_a_guests_own_connection_comes_before_the_way_through_its_host(
    make_reached, make_server, memory_fleet
):
    host, _machine = make_reached("pve1.example.org", is_proxmox=True)
    guest = make_server(
        "web.example.org",
        is_vm=True,
        vm_host=host,
        internal_ip="10.0.0.5",
        ssh_connection="-p 2205 root@pve1.example.org",
    )
    assert target_of(guest).address.text == "-p 2205 root@pve1.example.org"
    assert target_of(guest).gateway is None


def test_the_gateways_new_key_is_never_taken_for_the_guests(make_reached, make_server, memory_fleet):
    host, machine = make_reached("pve1.example.org", is_proxmox=True)
    guest = make_server("web.example.org", is_vm=True, vm_host=host, internal_ip="10.0.0.5")
    pin(guest, memory_fleet.add("root@10.0.0.5"))
    machine.key = host_key("reinstalled")
    assert check(guest) == Contact.UNREACHABLE
    assert "pve1.example.org" in guest.contact_why
    host.refresh_from_db()
    assert host.contact == Contact.CHANGED
    assert guest.host_keys.count() == 1
    with pytest.raises(GatewayBlocked):
        target_of(guest)


def test_a_guest_of_a_host_that_cannot_be_reached_has_no_connection(make_server):
    host = make_server("pve1.example.org", is_proxmox=True)
    guest = make_server("web.example.org", is_vm=True, vm_host=host, internal_ip="10.0.0.5")
    with pytest.raises(NoConnection):
        target_of(guest)


@pytest.mark.django_db(transaction=True)
def test_the_schedule_checks_all_whose_turn_it_is_in_one_job(make_reached, make_server, memory_fleet):
    host, _machine = make_reached("pve1.example.org", is_proxmox=True)
    guest = make_server("web.example.org", is_vm=True, vm_host=host, internal_ip="10.0.0.5")
    memory_fleet.add("root@10.0.0.5")
    late, _machine = make_reached("later.example.org")
    lost, lost_machine = make_reached("lost.example.org")
    lost_machine.down = True
    Server.objects.filter(pk=late.pk).update(next_check_at=timezone.now() + timedelta(minutes=1))
    upkeep.start_checks()
    work_off()
    contacts = dict(Server.objects.values_list("name", "contact"))
    assert contacts == {
        host.name: Contact.OK,
        guest.name: Contact.UNPINNED,
        late.name: Contact.UNKNOWN,
        lost.name: Contact.UNREACHABLE,
    }


def test_without_servers_the_schedule_starts_no_job(db):
    from jobs.models import Job

    upkeep.start_checks()
    upkeep.start_looks()
    upkeep.resume()
    assert not Job.objects.exists()


def test_a_server_deleted_during_its_check_does_no_harm(make_reached):
    server, _machine = make_reached("a.example.org")
    gone = Server.objects.get(pk=server.pk)
    Server.objects.all().delete()
    assert contact.note(contact.Reached(gone, None)) == Contact.UNKNOWN
    assert not HostKey.objects.exists()


def test_suggestions_are_the_seeds_own():
    host = Server(name="pve1.example.org", external_ip="192.0.2.1", is_proxmox=True)

    def suggest(**given):
        fields = {
            "host": None,
            "internal_ip": "",
            "external_ip": "",
            "name": "a.example.org",
            "panel_host": "",
        }
        return suggested_connection(**{**fields, **given})

    assert suggest(external_ip="192.0.2.9") == "root@192.0.2.9"
    assert suggest() == "root@a.example.org"
    assert suggest(host=host, internal_ip="10.0.0.5", panel_host="pve1.example.org") == "root@10.0.0.5"
    assert suggest(host=host, internal_ip="10.0.0.5").endswith("root@192.0.2.1")
    host.external_hostname_for_vms = "out.example.org"
    assert suggest(host=host, external_ip="192.0.2.1").endswith("root@out.example.org")
