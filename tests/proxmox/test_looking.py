"""Looks at simulated hosts: what is written, what trouble is called, and that nobody waits for anybody."""

import threading
import time
from datetime import timedelta
from types import SimpleNamespace

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from accounts.actors import Actor
from jobs.models import Job
from lab.pve import Drops, PveServer, Refuses, Slow, World
from lab.pve.world import Grant, Guest, Token, User
from proxmox import asking, noting
from proxmox.looking import look_at
from proxmox.models import GuestSeen, Matched, NodeSeen, NodeState, Numbers, ProxmoxAccess
from servers.models import Server
from servers.services import change_server
from tests.proxmox.nodes import add_server, answered_at, guest_of, looked_at, many_hosts, node_of, see
from tests.proxmox.panel_side import host_row
from tests.waiting import wait_for

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.services]


def test_a_look_brings_the_host_its_guests_its_storages_and_their_configuration(pve, host):
    see(host)
    node = node_of(host)
    assert (node.state, node.error, node.version) == (NodeState.ANSWERS, "", "9.2.11")
    assert node.memory == 32 << 30
    assert [storage["storage"] for storage in node.storages] == ["local", "local-lvm"]
    guest = guest_of(host, 101)
    assert (guest.name, guest.status, guest.kind, guest.memory) == ("ct101", "running", "lxc", 1 << 30)
    assert guest.addresses == ["10.0.0.100"]
    assert guest.onboot
    assert guest.config["hostname"] == "ct101"
    assert "digest" not in guest.config


def test_a_change_is_seen_by_the_next_look_and_only_then_is_its_configuration_read_again(pve, host):
    see(host)
    pve.world.guests[101].config["memory"] = 2048
    pve.world.guests[101].config["hostname"] = "other"
    pve.faults.add(Refuses(path="*/lxc/102/config", status=500, reason="not asked for"))
    see(host)
    guest = guest_of(host, 101)
    assert (guest.name, guest.memory, guest.config["memory"]) == ("other", 2 << 30, 2048)
    assert guest_of(host, 102).config["memory"] == 1024


def test_a_guest_that_is_not_there_any_more_is_gone_and_comes_back_as_itself(pve, host):
    see(host)
    kept = pve.world.guests.pop(102)
    server = Server.objects.create(
        name="db", keymanager_name="db", next_check_at=timezone.now() + timedelta(minutes=4)
    )
    GuestSeen.objects.filter(host=host, vmid=102).update(server=server)
    see(host)
    assert guest_of(host, 102).gone_at is not None
    server.refresh_from_db()
    assert server.next_check_at <= timezone.now()  # what leads to it is green until somebody has looked
    assert (
        Job.objects.get(work="servers.check_all").state == "waiting"
    )  # at once: the schedule comes by later
    pve.world.guests[102] = kept
    see(host)
    assert guest_of(host, 102).gone_at is None


def test_an_id_that_is_used_again_is_another_guest_and_inherits_nothing(pve, host):
    server = add_server(host, "special")
    see(host)
    GuestSeen.objects.filter(vmid=102).update(server=server, matched=Matched.HAND)
    GuestSeen.objects.update(first_seen_at=timezone.now() - timedelta(days=9))
    config = dict(pve.world.guests[102].config)
    config |= {
        "hostname": "newcomer",
        "net0": config["net0"].replace("BC:24:11:00:00:01", "BC:24:11:99:99:99"),
    }
    pve.world.guests[102] = Guest(102, pve.node, config=config, running=True)
    see(host)
    guest = guest_of(host, 102)
    assert (guest.name, guest.server, guest.matched) == ("newcomer", None, Matched.NOT)
    assert guest.first_seen_at > timezone.now() - timedelta(days=1)


@pytest.mark.parametrize("first", ["being made", "not read"])
def test_an_id_that_is_used_again_within_a_minute_inherits_nothing_either(pve, host, first):
    """As by a script that destroys a guest and makes another; a look meanwhile does not tell whose id it is."""
    server = add_server(host, "special")
    see(host)
    GuestSeen.objects.filter(vmid=102).update(server=server, matched=Matched.HAND)
    config = dict(pve.world.guests[102].config)
    config |= {"hostname": "newcomer", "net0": config["net0"].replace("00:00:01", "99:99:99")}
    fault = pve.faults.add(Refuses(path="*/lxc/102/config", status=500, reason="got timeout"))
    if first == "being made":
        pve.faults.remove(fault)
        pve.world.guests[102] = Guest(102, pve.node, config={"lock": "create"})
        see(host)
    pve.world.guests[102] = Guest(102, pve.node, config=config, running=True)
    see(host)
    if first == "not read":
        pve.faults.remove(fault)
        see(host)
    guest = guest_of(host, 102)
    assert (guest.name, guest.server, guest.matched) == ("newcomer", None, Matched.NOT)


def test_a_renamed_guest_stays_the_server_it_was_linked_to(pve, host):
    server = add_server(host, "special")
    see(host)
    GuestSeen.objects.filter(vmid=102).update(server=server, matched=Matched.HAND)
    pve.world.guests[102].config["hostname"] = "renamed"
    fault = pve.faults.add(Refuses(path="*/lxc/102/config", status=500, reason="got timeout"))
    see(host)
    pve.faults.remove(fault)
    see(host)
    assert (guest_of(host, 102).server, guest_of(host, 102).config["hostname"]) == (server, "renamed")


@pytest.mark.parametrize(
    ("fault", "state"),
    [
        (Refuses(path="*/lxc", status=595, reason="No route to host"), NodeState.DOWN),
        (Refuses(path="*/lxc", status=500, reason="internal"), NodeState.REFUSED),
        (Refuses(path="*/lxc", status=401, reason="permission denied"), NodeState.REFUSED),
        (Drops(path="*/lxc"), NodeState.SLOW),
    ],
)
def test_trouble_is_called_by_its_name_and_what_was_known_stays(pve, host, fault, state):
    see(host)
    pve.faults.add(fault)
    see(host)
    node = node_of(host)
    assert node.state == state
    assert node.error
    assert answered_at(host) < looked_at(host)
    assert guest_of(host, 101).status == "running"


def test_a_host_that_is_down_and_one_without_access_are_told_apart(pve, host):
    see(host)
    pve.close()
    see(host)
    assert node_of(host).state == NodeState.DOWN
    ProxmoxAccess.objects.all().update(user="", secret="")
    see(host)
    assert node_of(host).state == NodeState.NO_ACCESS


def test_a_changed_certificate_stops_everything_and_is_told(pve, host):
    see(host)
    ProxmoxAccess.objects.update(fingerprint=":".join(["AB"] * 32))
    see(host)
    assert node_of(host).state == NodeState.CHANGED


def sign_in_as(pve: PveServer, *privileges: str) -> None:
    """Let the panel be somebody with no more than these privileges on all guests."""
    pve.world.users["app@pve"] = User("app@pve", tokens={"few": Token("few", "secret", privsep=False)})
    if privileges:
        pve.world.roles["Few"] = set(privileges)
        pve.world.acl.append(Grant("/vms", "app@pve", "Few"))
    ProxmoxAccess.objects.update(user="app@pve!few")


def test_a_token_without_rights_gets_an_empty_list_and_that_is_no_host_without_guests(pve, host):
    see(host)
    sign_in_as(pve)
    see(host)
    node = node_of(host)
    assert node.state == NodeState.REFUSED
    assert "VM.Audit" in node.error
    assert guest_of(host, 101).gone_at is None


def test_without_the_right_to_see_the_node_there_are_the_guests_alone(pve, host):
    sign_in_as(pve, "VM.Audit")
    see(host)
    node = node_of(host)
    assert (node.state, node.error, node.memory) == (NodeState.ANSWERS, "", None)
    assert guest_of(host, 101).status == "running"


def test_an_empty_host_is_an_empty_host():
    with PveServer(World.example(containers=0)) as empty:
        host = host_row(empty)
        see(host)
        assert node_of(host).state == NodeState.ANSWERS


def test_a_host_that_does_not_answer_is_looked_at_less_and_less_often(pve, host):
    pve.close()
    waits = []
    for _ in range(5):
        see(host)
        node = node_of(host)
        waits.append((node.next_look_at - looked_at(host)).total_seconds())
    assert waits == sorted(waits)
    assert waits[0] < 60 < waits[-1] <= 300


def test_one_look_at_a_time_and_none_too_soon(pve, host):
    NodeSeen.objects.create(host=host, looking_since=timezone.now())
    assert see(host) == []
    NodeSeen.objects.update(looking_since=timezone.now() - timedelta(minutes=2))  # its worker has died
    assert see(host) == [host.pk]
    assert look_at([host.pk], apart=60) == []


def test_a_look_that_is_wanted_while_somebody_looks_is_made_right_after(pve, host):
    slow = pve.faults.add(Slow(path="*/status", seconds=3600, times=1))
    first = threading.Thread(target=in_a_thread, args=(see, host))
    first.start()
    wait_for(lambda: slow.times == 0, name="the question after the list of guests")
    pve.world.guests[101].config["hostname"] = "latest"
    assert see(host) == []
    pve.faults.remove(slow)
    first.join()
    assert guest_of(host, 101).name == "latest"


def in_a_thread(function, *args):
    try:
        function(*args)
    finally:
        connection.close()


@pytest.fixture
def one_span(monkeypatch):
    """The clock of the numbers over time stands: no span ends between two looks."""
    monkeypatch.setattr(noting, "time", SimpleNamespace(time=lambda: 1_800_000_000.0))


@pytest.mark.usefixtures("one_span")
def test_the_number_of_queries_does_not_grow_with_the_guests():
    counts = []
    for containers in (3, 30):
        with PveServer(World.example(containers=containers, node=f"pve{containers}")) as server:
            host = host_row(server, name=f"pve{containers}")
            see(host)
            with CaptureQueriesContext(connection) as queries:
                see(host)
            counts.append(len(queries))
    assert counts[0] == counts[1] < 25


def test_a_host_that_hangs_keeps_no_other_from_being_seen():
    with many_hosts(4, 3) as hosts:
        hosts[0][0].faults.add(hang := Slow(path="*", seconds=3600, times=9))
        began = time.monotonic()
        see(*(host for _server, host in hosts))
        assert hang.times == 8, "what hangs is asked once"
        assert time.monotonic() - began < asking.LOOK_SECONDS
        hosts[0][0].faults.remove(hang)
        states = {host.name: node_of(host).state for _server, host in hosts}
        assert states.pop("pve1") == NodeState.SLOW
        assert set(states.values()) == {NodeState.ANSWERS}
        first = min(answered_at(host) for _server, host in hosts[1:])
        assert first < looked_at(hosts[0][1]) - timedelta(seconds=1)


def test_a_server_is_found_by_its_address_and_a_changed_one_at_once(pve, host, admin):
    web = add_server(host, "web1.example.org", "10.0.0.101")
    see(host)
    assert guest_of(host, 102).server == web
    web = Server.objects.get(pk=web.pk)
    web.internal_ip = "10.0.0.102"
    change_server(Actor(admin, "ada"), web, version=web.version)
    assert guest_of(host, 102).server is None
    assert (guest_of(host, 103).server, guest_of(host, 103).matched) == (web, Matched.ADDRESS)


@pytest.mark.usefixtures("one_span")
def test_numbers_over_time_are_kept_once_a_span_and_for_a_day(pve, host):
    see(host)
    see(host)
    row = Numbers.objects.get()
    assert set(row.guests) == {"101", "102", "103"}
    Numbers.objects.update(span=row.span - 289)
    see(host)
    assert [one.span >= row.span for one in Numbers.objects.all()] == [True]


def test_nothing_is_left_of_what_is_no_proxmox_host_any_more(pve, host, admin):
    see(host)
    row = Server.objects.get(pk=host.pk)
    row.external_ip = None
    row.is_proxmox, row.proxmox_node, row.external_interface = False, "", ""
    change_server(Actor(admin, "ada"), row, version=row.version)
    assert not GuestSeen.objects.exists()
    assert not NodeSeen.objects.exists()
