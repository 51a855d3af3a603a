"""Lists, map, search and dashboard: what is found, for whom, and in how many queries."""

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from servers.models import Contact, Rollout, RolloutState, Server, Tag, UnixUser
from tests.servers.asking import JSON

pytestmark = pytest.mark.django_db


def fill(make_server, count: int, start: int = 0) -> None:
    host = Server.objects.filter(is_proxmox=True).first() or make_server("pve1.example.org", is_proxmox=True)
    tags = [Tag.objects.get_or_create(name=name)[0] for name in "ab"]
    rows = Server.objects.bulk_create(
        Server(
            name=f"s{number:03}.example.org",
            keymanager_name=f"s{number:03}",
            is_vm=True,
            vm_host=host,
            internal_ip=f"10.0.{number // 250}.{number % 250 + 2}",
        )
        for number in range(start, start + count)
    )
    through = Server.tags.through
    through.objects.bulk_create(through(server=row, tag=tag) for row in rows for tag in tags)
    UnixUser.objects.bulk_create(UnixUser(server=row, name="root") for row in rows)
    Rollout.objects.bulk_create(
        Rollout(server=row, kind=kind, state=RolloutState.values[(row.pk + len(kind)) % 6])
        for row in rows
        for kind in ("motd", "nat")
    )


@pytest.mark.parametrize("name", ["servers:list", "servers:map", "servers:rollouts"])
@pytest.mark.parametrize("accept", ["text/html", "application/json"])
def test_a_list_takes_as_many_queries_for_300_servers_as_for_3(
    admin_client, make_server, django_assert_num_queries, name, accept
):
    fill(make_server, 3)
    with CaptureQueriesContext(connection) as few:
        admin_client.get(reverse(name), headers={"accept": accept})
    fill(make_server, 297, start=3)
    with django_assert_num_queries(len(few)):
        answer = admin_client.get(reverse(name), headers={"accept": accept})
    assert answer.status_code == 200


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ("q=shop", ["web.example.org"]),
        ("q=10.0.0.5", ["web.example.org"]),
        ("q=money", ["pve1.example.org"]),
        ("q=webs", ["web.example.org"]),
        ("q=example+pve1", ["pve1.example.org"]),
        ("tag=shop", ["web.example.org"]),
        ("role=proxmox", ["pve1.example.org"]),
        ("role=vm", ["web.example.org"]),
        ("contact=changed", ["web.example.org"]),
        ("rollout=drifted", ["web.example.org"]),
        ("sort=-name", ["web.example.org", "pve1.example.org"]),
        ("q=%00", ["pve1.example.org", "web.example.org"]),
    ],
)
@pytest.mark.services
def test_the_list_finds_filters_and_sorts(admin_client, make_server, query, found):
    host = make_server("pve1.example.org", is_proxmox=True, notes="where the money is")
    web = make_server(
        "web.example.org",
        is_vm=True,
        vm_host=host,
        internal_ip="10.0.0.5",
        tags=["shop"],
        keymanager_name="webs",
    )
    Server.objects.filter(pk=web.pk).update(contact=Contact.CHANGED)
    Rollout.objects.create(server=web, kind="motd", state=RolloutState.DRIFTED)
    answer = admin_client.get(f"{reverse('servers:list')}?{query}", **JSON)
    assert answer.status_code == 200
    assert [row["name"] for row in answer.json()["rows"]] == found


@pytest.mark.parametrize("query", ["host=999", "host=x&q=%00"])
def test_a_host_that_is_none_gives_a_person_all_and_a_program_none(admin_client, make_server, query):
    make_server("web.example.org")
    asked = f"{reverse('servers:list')}?{query}"
    assert "web.example.org" in admin_client.get(asked).content.decode()
    assert list(admin_client.get(asked, **JSON).json()["errors"]) == ["host"]


def test_the_inventory_is_there_for_other_systems(admin_client, make_server, owner):
    make_server("web.example.org", owners=[owner], tags=["shop"], unix_users=["root", "deploy"])
    (row,) = admin_client.get(reverse("servers:list"), **JSON).json()["rows"]
    assert row["unix_users"] == ["deploy", "root"]
    assert row["owners"] == ["olga"]
    assert row["tags"] == ["shop"]
    assert "private" not in str(row)


def test_empty_lists_say_what_to_do_first(admin_client):
    assert b"Begin with a Proxmox host" in admin_client.get(reverse("servers:list")).content
    assert b"Add a Proxmox host" in admin_client.get(reverse("servers:map")).content
    assert b"Nothing is rolled out yet" in admin_client.get(reverse("servers:rollouts")).content


def test_the_map_has_each_guest_below_its_host(admin_client, make_server):
    host = make_server("pve1.example.org", is_proxmox=True)
    make_server("web.example.org", is_vm=True, vm_host=host)
    make_server("backup.example.org")
    data = admin_client.get(reverse("servers:map"), **JSON).json()
    assert data == {"hosts": {"pve1.example.org": ["web.example.org"]}, "alone": ["backup.example.org"]}


@pytest.mark.services
def test_search_finds_servers_that_one_may_see(admin_client, owner_client, owned, make_server):
    make_server("other.example.org", notes="needle")
    url = reverse("search") + "?q=needle"
    assert b"other.example.org" in admin_client.get(url).content
    assert b"other.example.org" not in owner_client.get(url).content
    assert b"a.example.org" in owner_client.get(reverse("search") + "?q=a.example").content


def test_the_dashboard_counts_and_names_the_first_of_many(admin_client, make_server):
    for number in range(8):
        make_server(f"s{number}.example.org")
    Server.objects.update(contact=Contact.UNREACHABLE)
    page = admin_client.get("/").content.decode()
    assert "8 unreachable" in page
    assert "and 3 more servers" in page
