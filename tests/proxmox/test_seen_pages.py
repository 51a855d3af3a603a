"""The pages of guests and hosts: who sees what, what is asked for and never waited for, and an admin's word."""

import time
from datetime import timedelta

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from django.utils import timezone

from accounts.actors import Actor
from accounts.models import AuditEntry
from jobs.models import Job, JobState
from jobs.services import start_job
from lab.pve import Slow
from proxmox.models import GuestSeen, Matched, NodeSeen, NodeState, Numbers, ProxmoxAccess
from servers.models import Server
from tests.proxmox.nodes import add_server, guest_of, many_hosts, see

JSON = {"Accept": "application/json"}


def make_host(name: str = "pve1", state: str = NodeState.ANSWERS) -> Server:
    """A host that was seen a moment ago."""
    host = Server.objects.create(
        name=name, keymanager_name=name, is_proxmox=True, proxmox_node=name, external_interface="vmbr0"
    )
    now = timezone.now()
    NodeSeen.objects.create(host=host, state=state, looked_at=now, answered_at=now)
    return host


def make_guest(host: Server, vmid: int, name: str = "", **more: object) -> GuestSeen:
    """A container that runs."""
    facts = {"status": "running", "cpu": 0.5, "cores": 2, "memory_used": 1 << 28, "memory": 1 << 30}
    return GuestSeen.objects.create(host=host, vmid=vmid, name=name or f"ct{vmid}", **facts | more)


def listed(client: Client, query: str = "") -> list[str]:
    answer = client.get(f"/proxmox/guests/{query}", headers=JSON)
    return [f"{row['host']} {row['name']}" for row in answer.json()["rows"]]


@pytest.fixture
def hosts(db) -> tuple[Server, Server]:
    return make_host("pve1"), make_host("pve2")


@pytest.mark.services
def test_the_list_is_searched_sorted_and_filtered(hosts, admin_client):
    one, two = hosts
    web = add_server(one, "shop.example.org")
    make_guest(one, 101, "web", cpu=0.9, server=web, matched=Matched.ADDRESS, addresses=["10.0.0.7"])
    make_guest(one, 102, "db", status="stopped", onboot=True, tags="prod;blue", lock="backup")
    make_guest(two, 101, "vm", kind="qemu", cpu=0.1)
    make_guest(two, 103, "old", gone_at=timezone.now())
    assert listed(admin_client) == ["pve1 db", "pve2 vm", "pve1 web"]
    assert listed(admin_client, "?q=shop") == ["pve1 web"]
    assert listed(admin_client, "?q=10.0.0.7") == ["pve1 web"]
    assert listed(admin_client, "?q=blue") == ["pve1 db"]
    assert listed(admin_client, "?q=101&sort=-cpu") == ["pve1 web", "pve2 vm"]
    assert listed(admin_client, f"?host={two.pk}") == ["pve2 vm"]
    assert listed(admin_client, "?kind=qemu") == ["pve2 vm"]
    assert listed(admin_client, "?state=stopped") == ["pve1 db"]
    assert listed(admin_client, "?state=idle") == ["pve1 db"]
    assert listed(admin_client, "?state=locked") == ["pve1 db"]
    assert listed(admin_client, "?state=gone") == ["pve2 old"]
    assert listed(admin_client, "?match=yes") == ["pve1 web"]
    assert listed(admin_client, "?match=no&kind=lxc") == ["pve1 db"]


@pytest.mark.parametrize("column", ["name", "id", "host", "state", "cpu", "memory", "swap", "disk", "uptime"])
@pytest.mark.services
def test_every_column_sorts_both_ways_also_where_nothing_is_known(hosts, admin_client, column):
    make_guest(hosts[0], 101, swap=0, swap_used=0, disk=0)
    make_guest(hosts[0], 102, memory=None, memory_used=None)
    assert set(listed(admin_client, f"?sort={column}")) == set(listed(admin_client, f"?sort=-{column}"))
    assert len(listed(admin_client, f"?sort={column}")) == 2


def test_the_number_of_queries_does_not_grow_with_the_list(hosts, admin_client):
    counts = []
    for vmids in (range(101, 103), range(103, 140)):
        for vmid in vmids:
            server = add_server(hosts[0], f"s{vmid}")
            make_guest(hosts[0], vmid, server=server, matched=Matched.HAND)
        for url in ("/proxmox/guests/", "/proxmox/hosts/", f"/proxmox/hosts/{hosts[0].pk}/"):
            admin_client.get(url)
            with CaptureQueriesContext(connection) as queries:
                assert admin_client.get(url).status_code == 200
            counts.append(len(queries))
    assert counts[:3] == counts[3:]


def test_owners_see_and_operate_their_own_guests_and_no_others(hosts, member_client, member):
    mine = add_server(hosts[0], "mine.example.org")
    mine.owners.add(member)
    own = make_guest(hosts[0], 101, server=mine, matched=Matched.HAND)
    other = make_guest(hosts[0], 102, "secret-name")
    assert listed(member_client) == ["pve1 ct101"]
    page = member_client.get("/proxmox/guests/").content.decode()
    assert "secret-name" not in page
    shown = member_client.get(own.get_absolute_url())
    assert shown.status_code == 200
    assert "Adopt" not in shown.content.decode()
    assert "Start" in shown.content.decode() or "Shut down" in shown.content.decode()
    assert member_client.get(other.get_absolute_url()).status_code == 404
    assert member_client.get(reverse("proxmox:host", args=[hosts[0].pk])).status_code == 403
    assert "ct101" in member_client.get(mine.get_absolute_url()).content.decode()
    power = reverse("proxmox:power_guest", args=[hosts[0].pk, "lxc", 102, "stop"])
    assert member_client.post(power, {"name": "secret-name"}).status_code == 403
    assert member_client.post(power, {"name": "ct101"}).status_code == 403


def test_an_owner_may_not_operate_a_guest_that_only_has_the_name_of_his_server(hosts, member_client, member):
    mine = add_server(hosts[0], "web.example.org", "10.0.0.5")
    mine.owners.add(member)
    make_guest(hosts[0], 101, "web1", server=mine, matched=Matched.ADDRESS)
    make_guest(hosts[0], 102, "web")
    power = reverse("proxmox:power_guest", args=[hosts[0].pk, "lxc", 102, "stop"])
    assert member_client.post(power, {"name": "web"}).status_code == 403
    power = reverse("proxmox:power_guest", args=[hosts[0].pk, "lxc", 101, "start"])
    assert member_client.post(power, {"name": "web1"}).status_code == 302


def test_what_a_host_says_is_text_on_every_page(hosts, admin_client):
    bad = '"><script>alert(1)</script>'
    guest = make_guest(hosts[0], 101, bad, tags=bad, lock=bad, config={bad: bad})
    NodeSeen.objects.update(
        error=bad, state=NodeState.DOWN, version=bad, storages=[{"storage": bad, "type": bad}]
    )
    host = reverse("proxmox:host", args=[hosts[0].pk])
    for url in (
        "/",
        "/proxmox/guests/",
        "/proxmox/hosts/",
        host,
        guest.get_absolute_url(),
        "/search/?q=script",
    ):
        assert "<script>alert" not in admin_client.get(url).content.decode()


def test_a_host_in_trouble_is_shown_as_that_with_the_age_of_what_is_known(hosts, admin_client):
    make_guest(hosts[0], 101)
    with_access(hosts[0])
    long_ago = timezone.now() - timedelta(hours=3)
    NodeSeen.objects.filter(host=hosts[0]).update(
        state=NodeState.DOWN, error="No route to host.", answered_at=long_ago
    )
    for url in (
        "/proxmox/guests/",
        reverse("proxmox:host", args=[hosts[0].pk]),
        guest_of(hosts[0], 101).get_absolute_url(),
    ):
        page = admin_client.get(url).content.decode()
        assert "No route to host." in page
        assert "3\xa0hours ago" in page
    assert "The Proxmox API of pve1: down." in admin_client.get("/").content.decode()


def with_access(host: Server) -> None:
    """Somebody has given the panel a token for this host."""
    ProxmoxAccess.objects.create(server=host, user="a@pve!panel", secret="x", address="127.0.0.1", port=1)


def test_a_part_that_is_asked_for_again_is_empty_while_nothing_is_new(hosts, admin_client):
    guest = make_guest(hosts[0], 101)
    page = admin_client.get("/proxmox/guests/")
    stamp = page.context["stamp"]
    again = {"HX-Request": "true", "Gestion-Seen": stamp}
    assert admin_client.get("/proxmox/guests/", headers=again).status_code == 204
    NodeSeen.objects.filter(host=hosts[0]).update(looked_at=timezone.now())
    assert admin_client.get("/proxmox/guests/", headers=again).status_code == 200
    one = admin_client.get(guest.get_absolute_url())
    again["Gestion-Seen"] = one.context["stamp"]
    assert admin_client.get(guest.get_absolute_url(), headers=again).status_code == 204


def test_what_is_done_with_a_guest_is_shown_and_so_is_what_failed_a_moment_ago(hosts, admin_client, admin):
    guest = make_guest(hosts[0], 101)
    args = {"host": hosts[0].pk, "kind": "lxc", "vmid": 101, "name": "ct101", "action": "stop"}
    job = start_job(Actor(admin, "ada"), "proxmox.power", "Stop it now", args, subject=hosts[0])
    page = admin_client.get(guest.get_absolute_url())
    assert "Stop it now" in page.content.decode()
    again = {"HX-Request": "true", "Gestion-Seen": page.context["stamp"]}
    Job.objects.filter(pk=job.pk).update(
        state=JobState.FAILED, error="CT is locked (backup)", ended_at=timezone.now()
    )
    assert admin_client.get(guest.get_absolute_url(), headers=again).status_code == 200
    assert "CT is locked (backup)" in admin_client.get(guest.get_absolute_url()).content.decode()
    Job.objects.filter(pk=job.pk).update(ended_at=timezone.now() - timedelta(hours=1))
    assert "CT is locked" not in admin_client.get(guest.get_absolute_url()).content.decode()


def test_a_day_is_drawn_and_told(hosts, admin_client):
    guest = make_guest(hosts[0], 101, first_seen_at=timezone.now() - timedelta(days=1))
    span = int(time.time() // 300)
    for back in range(5):
        numbers = {"101": [100 * back, 500]}
        Numbers.objects.create(host=hosts[0], span=span - back, cpu=100 * back, memory=300, guests=numbers)
    page = admin_client.get(guest.get_absolute_url()).content.decode()
    assert "Processor in the last 24 hours: now 0 %, average 20 %, highest 40 %" in page
    assert page.count("<polyline") == 2


def test_a_guest_is_adopted_as_a_server_with_what_it_tells(hosts, admin_client):
    guest = make_guest(hosts[0], 101, "web1", addresses=["10.0.0.7", "fd00::7"])
    url = reverse("proxmox:adopt", args=[guest.pk])
    form = admin_client.get(url).context["form"]
    assert (form["name"].value(), form["internal_ip"].value()) == ("web1", "10.0.0.7")
    answer = admin_client.post(url, {"name": "Web1.Example.org", "internal_ip": "10.0.0.7"})
    server = Server.objects.get(name="web1.example.org")
    assert answer.headers["Location"] == server.get_absolute_url()
    assert (server.vm_host, server.is_vm, server.internal_ip) == (hosts[0], True, "10.0.0.7")
    assert [user.name for user in server.unix_users.all()] == ["root"]
    guest.refresh_from_db()
    assert (guest.server, guest.matched) == (server, Matched.HAND)
    assert set(AuditEntry.objects.values_list("verb", flat=True)) >= {"server.create", "guest.link"}
    again = admin_client.post(url, {"name": "other.example.org"}, headers=JSON)
    assert again.status_code == 409


@pytest.mark.parametrize(
    ("addresses", "inside", "outside"),
    [
        (["192.168.50.4", "10.0.0.7"], "10.0.0.7", None),
        (["93.184.216.34", "10.0.0.7", "2606:2800:220:1::1"], "10.0.0.7", "93.184.216.34"),
        (["192.168.50.4"], None, None),  # none of the host's: nobody can say which it is
        (["2606:2800:220:1::1"], None, "2606:2800:220:1::1"),
        (["fd00::7"], None, None),
        ([], None, None),
    ],
)
def test_of_several_cards_the_address_inside_the_host_is_filled_in(
    hosts, admin_client, addresses, inside, outside
):
    Server.objects.filter(pk=hosts[0].pk).update(internal_ip="10.0.0.1")
    guest = make_guest(hosts[0], 101, "web1", addresses=addresses)
    url = reverse("proxmox:adopt", args=[guest.pk])
    form = admin_client.get(url).context["form"]
    assert (form["internal_ip"].value(), form["external_ip"].value()) == (inside, outside)
    answer = admin_client.post(url, {"name": "web1.example.org"}, "application/json", headers=JSON)
    assert answer.json()["ok"], answer.content


def test_a_wrong_name_or_a_taken_address_is_told_by_its_field(hosts, admin_client):
    add_server(hosts[0], "web1.example.org", "10.0.0.7")
    guest = make_guest(hosts[0], 101)
    url = reverse("proxmox:adopt", args=[guest.pk])
    sent = {"name": "bad name;", "internal_ip": "10.0.0.8"}
    assert "name" in admin_client.post(url, sent, headers=JSON).json()["errors"]
    sent = {"name": "new.example.org", "internal_ip": "10.0.0.7"}
    assert "internal_ip" in admin_client.post(url, sent, headers=JSON).json()["errors"]
    assert Server.objects.count() == 3


def test_a_guest_is_linked_kept_apart_and_left_to_its_address_again(hosts, admin_client):
    server = add_server(hosts[0], "web1.example.org", "10.0.0.7")
    guest = make_guest(hosts[0], 101, addresses=["10.0.0.7"], server=server, matched=Matched.ADDRESS)
    other = make_guest(hosts[0], 102)

    def how(one: GuestSeen) -> tuple[Server | None, str]:
        one.refresh_from_db()
        return one.server, one.matched

    assert (
        admin_client.post(reverse("proxmox:link", args=[other.pk]), {"server": server.pk}).status_code == 302
    )
    assert (how(other), how(guest)) == ((server, Matched.HAND), (None, Matched.NOT))
    refused = admin_client.post(reverse("proxmox:link", args=[guest.pk]), {"server": server.pk}, headers=JSON)
    assert refused.status_code == 422
    admin_client.post(reverse("proxmox:apart", args=[other.pk]))
    assert (how(other), how(guest)) == ((None, Matched.APART), (server, Matched.ADDRESS))
    admin_client.post(reverse("proxmox:apart", args=[guest.pk]))
    admin_client.post(reverse("proxmox:match", args=[guest.pk]))
    assert how(guest) == (server, Matched.ADDRESS)
    verbs = list(AuditEntry.objects.order_by("pk").values_list("verb", flat=True))
    assert verbs == ["guest.link", "guest.unlink", "guest.unlink", "guest.match"]


def test_a_server_of_another_host_cannot_be_chosen(hosts, admin_client):
    elsewhere = add_server(hosts[1], "web1.example.org")
    guest = make_guest(hosts[0], 101)
    answer = admin_client.post(
        reverse("proxmox:link", args=[guest.pk]), {"server": elsewhere.pk}, headers=JSON
    )
    assert answer.status_code == 422


def test_an_ambiguous_guest_says_so_and_offers_what_it_may_be(hosts, admin_client):
    server = add_server(hosts[0], "web1.example.org", "10.0.0.7")
    for vmid in (101, 102):
        make_guest(hosts[0], vmid, addresses=["10.0.0.7"], matched=Matched.AMBIGUOUS, candidates=[server.pk])
    page = admin_client.get(guest_of(hosts[0], 101).get_absolute_url()).content.decode()
    assert "It is web1.example.org" in page
    assert (
        "More than one guest may be this server"
        in admin_client.get(server.get_absolute_url()).content.decode()
    )


def test_servers_without_a_guest_are_listed_on_their_host(hosts, admin_client):
    add_server(hosts[0], "missing.example.org")
    page = admin_client.get(reverse("proxmox:host", args=[hosts[0].pk])).content.decode()
    assert "missing.example.org" in page


@pytest.mark.services
def test_the_shell_finds_guests_and_counts_them(hosts, admin_client, member_client):
    make_guest(hosts[0], 101, "needle", status="stopped", onboot=True)
    assert "needle" in admin_client.get("/search/?q=needle").content.decode()
    assert "101 needle" not in member_client.get("/search/?q=needle").content.decode()
    page = admin_client.get("/").content.decode()
    assert "needle starts with its host, and is stopped." in page
    assert "1 without a server" in page


@pytest.mark.django_db(transaction=True)
@pytest.mark.services
def test_twenty_hosts_of_a_hundred_containers_are_listed_while_one_hangs(admin_client):
    with many_hosts(20, 100) as all_of_them:
        for first in range(0, 20, 4):  # all at once they would wait for each other: they are one process
            see(*(host for _server, host in all_of_them[first : first + 4]))
        assert GuestSeen.objects.count() == 2000
        server, host = all_of_them[0]
        hang = server.faults.add(Slow(path="*", seconds=3600))
        NodeSeen.objects.update(looked_at=timezone.now() - timedelta(minutes=2))
        with CaptureQueriesContext(connection) as queries:
            page = admin_client.get("/proxmox/guests/")
        assert page.context["listing"].total == 2000
        assert len(queries) < 12
        see(host)
        page = admin_client.get("/proxmox/guests/?sort=-memory").content.decode()
        assert "does not answer" in page
        server.faults.remove(hang)
