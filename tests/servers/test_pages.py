"""The pages of this room: who sees what, what a program gets, and in how many queries."""

from typing import Any

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from accounts.actors import Actor
from accounts.models import AuditEntry
from accounts.tokens import create_token
from jobs.models import Job
from servers import registry, rollouts, services
from servers.models import Contact, HostKey, PanelIdentity, Rollout, RolloutState, Server, Tag, UnixUser
from tests.servers.conftest import work_off
from tests.servers.fleet import host_key

pytestmark = pytest.mark.django_db
JSON: dict[str, Any] = {"headers": {"accept": "application/json"}}


@pytest.fixture
def owner_client(owner) -> Client:
    client = Client()
    client.force_login(owner)
    return client


def post_json(client: Client, url: str, data: dict, status: int = 200) -> dict:
    answer = client.post(url, data, content_type="application/json", **JSON)
    assert answer.status_code == status, answer.content
    return answer.json()


def form_of(**changed) -> dict:
    return {"name": "web.example.org", "unix_users": "root, www-data", "tags": "shop", **changed}


# Adding and changing


def test_a_server_is_added_by_the_form(admin_client, owner):
    answer = admin_client.post(reverse("servers:new"), form_of(owners=[owner.pk], name="Web.Example.org."))
    server = Server.objects.get()
    assert answer.status_code == 302
    assert answer.url == server.get_absolute_url()
    assert server.name == "web.example.org"
    assert [u.name for u in server.unix_users.all()] == ["root", "www-data"]
    assert [t.name for t in server.tags.all()] == ["shop"]
    assert list(server.owners.all()) == [owner]


def test_what_is_wrong_is_said_by_the_field(admin_client):
    url = reverse("servers:new")
    answer = post_json(admin_client, url, form_of(is_vm=True, unix_users="-rf", external_ip="x"), 422)
    assert set(answer["errors"]) == {"vm_host", "unix_users", "external_ip"}
    page = admin_client.post(url, form_of(is_vm="on"))
    assert page.status_code == 422
    assert b"needs a host" in page.content
    assert not Server.objects.exists()


@pytest.mark.parametrize("name", ["a b", "a\0b", "a/b", "-a", "10.0.0.1", "a\nb"])
def test_a_bad_name_is_refused_with_its_field(admin_client, name):
    assert "name" in post_json(admin_client, reverse("servers:new"), form_of(name=name), 422)["errors"]


@pytest.mark.services
def test_a_program_changes_only_what_it_names(admin_client, make_server, owner):
    server = make_server("web.example.org", notes="keep", tags=["a"], owners=[owner], external_ip="192.0.2.1")
    post_json(admin_client, reverse("servers:edit", args=[server.pk]), {"keymanager_name": "webs"})
    server.refresh_from_db()
    assert (server.keymanager_name, server.notes, server.external_ip) == ("webs", "keep", "192.0.2.1")
    assert [t.name for t in server.tags.all()] == ["a"]
    assert list(server.owners.all()) == [owner]
    post_json(admin_client, reverse("servers:edit", args=[server.pk]), {"tags": [], "external_ip": None})
    server.refresh_from_db()
    assert server.external_ip is None
    assert not server.tags.exists()


@pytest.mark.services
def test_two_admins_editing_at_once_lose_nothing(admin_client, make_server):
    server = make_server("web.example.org")
    url = reverse("servers:edit", args=[server.pk])
    shown = {"name": server.name, "keymanager_name": server.name, "version": server.version}
    assert admin_client.post(url, {**shown, "notes": "first"}).status_code == 302
    second = admin_client.post(url, {**shown, "notes": "second"})
    assert second.status_code == 422
    assert "first" in second.content.decode()  # what the other one did
    assert "second" in second.content.decode()  # what was typed
    assert Server.objects.get().notes == "first"
    form = second.context["form"]
    again = admin_client.post(url, {**shown, "notes": "second", "version": form["version"].value()})
    assert again.status_code == 302
    assert Server.objects.get().notes == "second"


def test_the_form_offers_hosts_that_can_be_hosts_and_guests_as_nginx_server(admin_client, make_server):
    host = make_server("pve1.example.org", is_proxmox=True)
    guest = make_server("web.example.org", is_vm=True, vm_host=host)
    form = admin_client.get(reverse("servers:edit", args=[host.pk])).context["form"]
    assert list(form.fields["nginx_server"].queryset) == [guest]
    form = admin_client.get(reverse("servers:new") + f"?host={host.pk}").context["form"]
    assert list(form.fields["vm_host"].queryset) == [host]
    assert form["is_vm"].value() is True


@pytest.mark.parametrize("host", ["x", "999999", "-1", "%00"])
def test_a_strange_host_in_the_address_does_no_harm(admin_client, host):
    assert admin_client.get(reverse("servers:new") + f"?host={host}").status_code == 200
    assert admin_client.get(reverse("servers:suggestion") + f"?vm_host={host}&is_vm=on").status_code == 200


def test_the_connection_is_suggested_as_the_seed_says(admin_client, make_server, settings):
    settings.GESTION_VM_NAME = "pve1.example.org"
    host = make_server("pve1.example.org", is_proxmox=True)
    query = f"?name=web.example.org&is_vm=on&vm_host={host.pk}&internal_ip=10.0.0.5"
    answer = admin_client.get(reverse("servers:suggestion") + query)
    assert "root@10.0.0.5" in answer.content.decode()


def test_deleting_asks_for_the_name_and_says_what_goes(admin_client, make_server):
    server = make_server("web.example.org")
    url = reverse("servers:delete", args=[server.pk])
    assert "1 unix user" in admin_client.get(url).content.decode()
    assert admin_client.post(url, {"name": "wrong"}).status_code == 422
    assert admin_client.post(url, {"name": server.name}).status_code == 302
    assert not Server.objects.exists()


def test_a_host_with_guests_is_not_deleted(admin_client, make_server):
    host = make_server("pve1.example.org", is_proxmox=True)
    make_server("web.example.org", is_vm=True, vm_host=host)
    url = reverse("servers:delete", args=[host.pk])
    page = admin_client.get(url).content.decode()
    assert "web.example.org runs on it" in page
    post_json(admin_client, url, {"name": host.name}, 409)
    assert Server.objects.count() == 2


def test_unix_users_are_added_and_removed(admin_client, make_server):
    server = make_server("web.example.org")
    url = reverse("servers:new_unix_user", args=[server.pk])
    made = post_json(admin_client, url, {"name": "deploy"})
    assert "name" in post_json(admin_client, url, {"name": "deploy"}, 422)["errors"]
    assert "name" in post_json(admin_client, url, {"name": "-x"}, 422)["errors"]
    remove = reverse("servers:remove_unix_user", args=[server.pk, made["id"]])
    assert admin_client.get(remove).status_code == 200
    assert admin_client.post(remove).status_code == 302
    assert [u.name for u in server.unix_users.all()] == ["root"]


def test_a_unix_user_of_another_server_is_not_found_here(admin_client, make_server):
    server, other = make_server("a.example.org"), make_server("b.example.org")
    url = reverse("servers:remove_unix_user", args=[server.pk, other.unix_users.get().pk])
    assert admin_client.post(url).status_code == 404


# Lists


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
        ("host=999", ["pve1.example.org", "web.example.org"]),
        ("host=x&q=%00", None),
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
    if found is not None:
        assert [row["name"] for row in answer.json()["rows"]] == found


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


# Who sees what


def admin_urls(server: Server, key: HostKey) -> list[tuple[str, str]]:
    pk, unix_user = server.pk, server.unix_users.get().pk
    return [
        ("get", reverse("servers:map")),
        ("get", reverse("servers:rollouts")),
        ("get", reverse("servers:identity")),
        ("get", reverse("servers:new")),
        ("get", reverse("servers:suggestion")),
        ("post", reverse("servers:check_all")),
        ("post", reverse("servers:roll_out_waiting")),
        ("get", reverse("servers:edit", args=[pk])),
        ("get", reverse("servers:delete", args=[pk])),
        ("post", reverse("servers:accept_host_key", args=[pk, key.pk])),
        ("post", reverse("servers:reject_host_key", args=[pk, key.pk])),
        ("post", reverse("servers:remove_host_key", args=[pk, key.pk])),
        ("post", reverse("servers:new_unix_user", args=[pk])),
        ("post", reverse("servers:remove_unix_user", args=[pk, unix_user])),
    ]


def owner_urls(server: Server) -> list[tuple[str, str]]:
    pk = server.pk
    return [
        ("get", reverse("servers:server", args=[pk])),
        ("post", reverse("servers:check", args=[pk])),
        ("post", reverse("servers:roll_out_all", args=[pk])),
        ("get", reverse("servers:rollout", args=[pk, "motd"])),
        ("post", reverse("servers:look", args=[pk, "motd"])),
        ("post", reverse("servers:roll_out", args=[pk, "motd"])),
        ("post", reverse("servers:adopt", args=[pk, "motd"])),
    ]


@pytest.fixture
def owned(make_server, owner, motd):
    server = make_server("a.example.org", owners=[owner], notes="hello")
    Rollout.objects.create(server=server, kind="motd", state=RolloutState.FAILED, foreign=["/etc/motd"])
    shown = host_key("a")
    key = HostKey.objects.create(server=server, key=shown.key, fingerprint=shown.fingerprint)
    return server, key


def test_an_owner_sees_and_operates_the_own_server_and_nothing_else(owned, owner_client, make_server):
    server, key = owned
    for method, url in owner_urls(server):
        data = {"paths": ["/etc/motd"]} if url.endswith("adopt/") else {}
        answer = getattr(owner_client, method)(url, data)
        assert answer.status_code in {200, 302}, url
    for method, url in admin_urls(server, key):
        assert getattr(owner_client, method)(url).status_code == 403, url
    other = make_server("b.example.org")
    Rollout.objects.create(server=other, kind="motd")
    for method, url in owner_urls(other):
        assert getattr(owner_client, method)(url).status_code == 404, url
    rows = owner_client.get(reverse("servers:list"), **JSON).json()["rows"]
    assert [row["name"] for row in rows] == ["a.example.org"]


def test_a_member_sees_no_server(owned, member_client):
    server, key = owned
    for method, url in owner_urls(server):
        assert getattr(member_client, method)(url).status_code == 404, url
    for method, url in admin_urls(server, key):
        assert getattr(member_client, method)(url).status_code == 403, url
    assert member_client.get(reverse("servers:list"), **JSON).json()["total"] == 0
    assert "a.example.org" not in member_client.get(reverse("servers:list")).content.decode()


def test_an_owner_does_not_roll_out_what_needs_an_admin(owned, owner_client, motd):
    server, _key = owned
    kind = registry.RolloutKind("motd", "Message of the day", motd.desired, needs_admin=True)
    registry.register(registry.ServerPart("test-motd", kinds=(kind,)))
    url = reverse("servers:roll_out", args=[server.pk, "motd"])
    assert owner_client.post(url).status_code == 403
    assert owner_client.post(reverse("servers:adopt", args=[server.pk, "motd"])).status_code == 403
    assert owner_client.post(reverse("servers:roll_out_all", args=[server.pk])).status_code == 302
    assert not Job.objects.filter(work="servers.roll_out").exists()
    page = owner_client.get(reverse("servers:rollout", args=[server.pk, "motd"])).content.decode()
    assert url not in page


def test_nothing_changes_by_get(owned, admin_client):
    server, key = owned
    before = (AuditEntry.objects.count(), Job.objects.count(), HostKey.objects.count())
    for _method, url in admin_urls(server, key) + owner_urls(server):
        assert admin_client.get(url).status_code in {200, 405}, url
    assert (AuditEntry.objects.count(), Job.objects.count(), HostKey.objects.count()) == before


# The server page, host keys, rollouts


def test_the_page_shows_the_first_key_with_how_to_compare_it_and_accepts_it(admin_client, owned):
    server, key = owned
    page = admin_client.get(server.get_absolute_url()).content.decode()
    assert key.fingerprint in page
    assert "ssh-keygen -lf /etc/ssh/ssh_host_ed25519_key.pub" in page
    url = reverse("servers:accept_host_key", args=[server.pk, key.pk])
    assert admin_client.post(url).status_code == 302
    key.refresh_from_db()
    assert key.pinned_by == "ada"
    assert post_json(admin_client, url, {}, 409)


def test_a_changed_key_is_shown_beside_the_old_one(admin_client, owned, actor):
    server, key = owned
    services.accept_host_key(actor, key)
    shown = host_key("new")
    HostKey.objects.create(server=server, key=shown.key, fingerprint=shown.fingerprint)
    Server.objects.filter(pk=server.pk).update(contact=Contact.CHANGED)
    page = admin_client.get(server.get_absolute_url()).content.decode()
    assert key.fingerprint in page
    assert shown.fingerprint in page
    dashboard = admin_client.get("/").content.decode()
    assert "another host key" in dashboard


def test_the_panel_of_another_room_is_on_the_page(admin_client, make_server):
    server = make_server("a.example.org")
    panel = registry.Panel("servers/_suggestion.html", {"form": {"suggestion": "from another room"}})
    registry.register(registry.ServerPart("test-panel", panel=lambda _request, _server: panel))
    try:
        page = admin_client.get(server.get_absolute_url()).content.decode()
    finally:
        registry.unregister("test-panel")
    assert "from another room" in page


@pytest.mark.django_db(transaction=True)
@pytest.mark.services
def test_drift_is_shown_with_its_difference_and_two_buttons(admin_client, make_reached, motd, actor):
    server, machine = make_reached("a.example.org", notes="hello")
    rollouts.ask(actor, server, ["motd"], "on")
    work_off()
    machine.host.write("/etc/motd", b"by hand\n")
    url = reverse("servers:rollout", args=[server.pk, "motd"])
    assert admin_client.post(reverse("servers:look", args=[server.pk, "motd"])).status_code == 302
    assert b"data-job-stream" in admin_client.get(url).content
    work_off()
    page = admin_client.get(url).content.decode()
    assert "Put it back" in page
    assert "Look closer" in page
    assert "-by hand" in page
    assert "changed by hand" in admin_client.get("/").content.decode()
    assert admin_client.post(reverse("servers:roll_out", args=[server.pk, "motd"])).status_code == 302
    work_off()
    assert admin_client.get(url, **JSON).json()["state"] == "in_sync"
    assert machine.host.read("/etc/motd") == b"hello\n"


def test_paths_that_nobody_was_shown_are_not_adopted(admin_client, owned):
    server, _key = owned
    url = reverse("servers:adopt", args=[server.pk, "motd"])
    post_json(admin_client, url, {"paths": ["/etc/passwd"]}, 409)
    post_json(admin_client, url, {"paths": ["/etc/motd"]})
    assert Rollout.objects.get().adopt == ["/etc/motd"]
    assert AuditEntry.objects.get(verb="rollout.adopt").after == {"kind": "motd", "paths": ["/etc/motd"]}


def test_there_is_nothing_to_roll_out_where_all_is_in_sync(admin_client, make_server):
    server = make_server("a.example.org")
    post_json(admin_client, reverse("servers:roll_out_all", args=[server.pk]), {}, 409)


def test_the_panels_key_is_made_when_it_is_asked_for_and_shown_to_paste(admin_client):
    url = reverse("servers:identity")
    page = admin_client.get(url).content.decode()
    assert "ssh-ed25519 AAAA" in page
    assert "authorized_keys" in page
    assert "PRIVATE" not in page
    admin_client.get(url)
    admin_client.post(url)
    assert AuditEntry.objects.filter(verb="panel_identity.create").count() == 1


def test_a_program_gets_the_panels_key_by_get_as_json_or_as_a_line(admin_client, owner_client):
    url = reverse("servers:identity")
    assert owner_client.get(url, **JSON).status_code == 403
    assert not PanelIdentity.objects.exists()
    key = admin_client.get(url, **JSON).json()["public_key"]
    assert key == PanelIdentity.objects.get().public_key
    assert post_json(admin_client, url, {})["public_key"] == key
    line = admin_client.get(url, headers={"accept": "text/plain"})
    assert line.headers["Content-Type"].startswith("text/plain")
    assert line.content.decode() == f"{key}\n"


def test_a_token_that_may_read_gets_the_panels_key(admin):
    url = reverse("servers:identity")
    _row, token = create_token(Actor.system("test"), admin, name="backup server", days=7, scopes=["read"])
    headers = {"authorization": f"Bearer {token}"}
    key = Client().get(url, headers=headers).json()["public_key"]
    assert key.startswith("ssh-ed25519 AAAA")
    line = Client().get(url, headers={**headers, "accept": "text/plain"})
    assert line.content.decode() == f"{key}\n"


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
