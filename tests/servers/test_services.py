"""What people do with the inventory: audited, told to the other rooms, safe when two do it at once."""

import threading

import pytest
from django.core.exceptions import ValidationError
from django.db import connection

from accounts.models import AuditEntry, User
from jobs.models import Job
from servers import registry, services
from servers.claims import claim
from servers.facts import facts_of
from servers.identity import panel_identity
from servers.models import PanelIdentity, Server, Tag, UnixUser

pytestmark = [pytest.mark.services, pytest.mark.django_db]


@pytest.fixture
def heard():
    """What a room that watches servers was told: (name, before, after)."""
    calls = []
    registry.register(
        registry.ServerPart(
            "test-watcher",
            changed=lambda actor, server, before, after: calls.append(
                (actor.name, server.name, before, after)
            ),
            holds=lambda server: (
                [registry.Held("2 keys", "/keys/")] if server.name != "free.example.org" else []
            ),
        )
    )
    yield calls
    registry.unregister("test-watcher")


def change(actor, server, *, owners=None, tags=None, version=None, **fields) -> Server:
    row = Server.objects.get(pk=server.pk)
    for name, value in fields.items():
        setattr(row, name, value)
    return services.change_server(actor, row, version=version or row.version, owners=owners, tags=tags)


def test_a_new_server_is_written_down_told_and_checked(actor, owner, heard):
    server = services.create_server(
        actor,
        Server(name="Web.example.org"),
        unix_users=["root", "www-data", "root"],
        owners=[owner],
        tags=["Big One"],
    )
    assert server.name == "web.example.org"
    assert [u.name for u in server.unix_users.all()] == ["root", "www-data"]
    entry = AuditEntry.objects.get(verb="server.create")
    assert entry.before is None
    after = entry.after or {}
    assert (after["name"], after["owners"], after["tags"]) == ("web.example.org", ["olga"], ["big-one"])
    assert heard == [("test", "web.example.org", None, facts_of(server))]
    assert Job.objects.get().work == "servers.check"


def test_root_is_there_unless_told_otherwise(actor):
    server = services.create_server(actor, Server(name="web.example.org"))
    assert [u.name for u in server.unix_users.all()] == ["root"]


@pytest.mark.parametrize("fields", [{"name": "a b"}, {"is_vm": True}, {"ssh_connection": "root@h;reboot"}])
def test_nothing_is_kept_of_a_server_that_breaks_a_rule(actor, fields):
    with pytest.raises(ValidationError):
        services.create_server(actor, Server(**{"name": "web.example.org", **fields}))
    assert not Server.objects.exists()
    assert not AuditEntry.objects.exists()


def test_a_bad_unix_user_takes_the_whole_server_back(actor):
    with pytest.raises(ValidationError):
        services.create_server(actor, Server(name="web.example.org"), unix_users=["root", "-rf"])
    assert not Server.objects.exists()


def test_a_change_is_written_down_field_by_field(actor, make_server, heard):
    server = make_server("web.example.org", notes="old", tags=["a"])
    heard.clear()
    change(actor, server, notes="new", tags=["a", "b"])
    entry = AuditEntry.objects.get(verb="server.change")
    assert (entry.before, entry.after) == (
        {"notes": "old", "tags": ["a"]},
        {"notes": "new", "tags": ["a", "b"]},
    )
    ((_actor, _name, before, after),) = heard
    assert (before.notes, after.notes) == ("old", "new")


def test_a_change_of_nothing_leaves_no_trace(actor, make_server, heard):
    server = make_server("web.example.org")
    heard.clear()
    change(actor, server)
    assert not heard
    assert not AuditEntry.objects.filter(verb="server.change").exists()


def test_owners_can_be_given_and_taken(actor, make_server, owner, heard):
    server = make_server("web.example.org")
    change(actor, server, owners=[owner])
    assert heard[-1][3].owner_ids == (owner.pk,)
    change(actor, server, owners=[])
    assert heard[-1][3].owner_ids == ()
    assert heard[-1][2].owner_ids == (owner.pk,)


def test_only_a_change_of_the_way_in_starts_a_check(actor, make_server):
    server = make_server("web.example.org")
    Job.objects.all().delete()
    change(actor, server, notes="x")
    assert not Job.objects.exists()
    change(actor, server, ssh_connection="root@web.example.org")
    assert Job.objects.get().work == "servers.check"


def test_the_second_of_two_editors_is_told_who_and_what(actor, make_server):
    server = make_server("web.example.org", notes="old")
    change(actor, server, notes="by the first")
    with pytest.raises(services.StaleEdit) as caught:
        change(actor, server, version=server.version, notes="by the second")
    assert "test" in str(caught.value)
    assert "old → by the first" in str(caught.value)
    assert Server.objects.get().notes == "by the first"


@pytest.mark.django_db(transaction=True)
def test_of_two_editors_at_the_same_moment_one_is_told(actor, make_server):
    server = make_server("web.example.org")
    outcomes, ready = [], threading.Barrier(2)

    def edit(text):
        row = Server.objects.get(pk=server.pk)
        row.notes = text
        ready.wait(10)
        try:
            services.change_server(actor, row, version=1)
            outcomes.append("saved")
        except services.StaleEdit:
            outcomes.append("told")
        finally:
            connection.close()

    threads = [threading.Thread(target=edit, args=[text]) for text in ("one", "two")]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert sorted(outcomes) == ["saved", "told"]


def test_a_check_that_ends_meanwhile_is_not_undone_by_a_change(actor, make_server):
    server = make_server("web.example.org")
    row = Server.objects.get(pk=server.pk)
    Server.objects.update(contact="ok")
    row.notes = "x"
    services.change_server(actor, row, version=row.version)
    assert Server.objects.get().contact == "ok"


def test_tags_that_nobody_has_go(actor, make_server):
    server = make_server("web.example.org", tags=["a", "b"])
    change(actor, server, tags=["b"])
    assert [tag.name for tag in Tag.objects.all()] == ["b"]


def test_unix_users_come_and_go_with_their_audit_and_watchers(actor, make_server, heard):
    server = make_server("web.example.org")
    made = services.add_unix_user(actor, server, "deploy")
    assert heard[-1][3].unix_users == ("deploy", "root")
    with pytest.raises(ValidationError):
        services.add_unix_user(actor, server, "deploy")
    with pytest.raises(ValidationError):
        services.add_unix_user(actor, server, "-x")
    services.remove_unix_user(actor, made)
    assert heard[-1][2].unix_users == ("deploy", "root")
    assert [u.name for u in UnixUser.objects.all()] == ["root"]
    assert AuditEntry.objects.filter(verb="server.change").count() == 2


def test_deleting_says_what_hangs_on_it(make_server, heard):
    host = make_server("pve1.example.org", is_proxmox=True)
    make_server("web.example.org", is_vm=True, vm_host=host)
    texts = [str(held.text) for held in services.holds_of(host)]
    assert texts[0] == "web.example.org runs on it"
    assert "2 keys" in texts
    assert "1 unix user" in texts


def test_a_host_with_guests_and_an_nginx_server_in_use_are_not_deleted(actor, make_server):
    host = make_server("pve1.example.org", is_proxmox=True)
    guest = make_server("web.example.org", is_vm=True, vm_host=host)
    change(actor, host, nginx_server=guest)
    for server in (host, guest):
        with pytest.raises(services.DeleteRefused):
            services.delete_server(actor, server, server.name)
    change(actor, host, nginx_server=None)
    services.delete_server(actor, guest, "WEB.example.org ")
    services.delete_server(actor, host, host.name)
    assert not Server.objects.exists()


def test_a_delete_needs_the_name_and_is_told_before_the_rows_go(actor, make_server, heard):
    server = make_server("web.example.org", notes="secretless")
    with pytest.raises(ValidationError):
        services.delete_server(actor, server, "web")
    heard.clear()
    services.delete_server(actor, server, "web.example.org")
    ((_actor, _name, before, after),) = heard
    assert before.notes == "secretless"
    assert after is None
    entry = AuditEntry.objects.get(verb="server.delete")
    assert (entry.before or {})["notes"] == "secretless"
    assert entry.object_name == "web.example.org"


def test_a_server_is_not_deleted_under_a_running_rollout(actor, make_server):
    server = make_server("web.example.org")
    claim(server, Job.objects.create(work="servers.roll_out", title="x", state="running"))
    with pytest.raises(services.DeleteRefused):
        services.delete_server(actor, server, server.name)


def test_the_panels_key_is_made_once_and_is_not_readable_in_the_database(db):
    identity = panel_identity()
    assert panel_identity() == identity
    assert identity.private_key.startswith("-----BEGIN OPENSSH PRIVATE KEY-----")
    assert identity.public_key.startswith("ssh-ed25519 AAAA")
    with connection.cursor() as cursor:
        cursor.execute("SELECT private_key FROM servers_panelidentity")
        assert "OPENSSH" not in cursor.fetchone()[0]


@pytest.mark.django_db(transaction=True)
def test_of_many_who_ask_for_the_key_first_all_get_the_same(db):
    found, ready = [], threading.Barrier(4)

    def ask():
        try:
            ready.wait(10)
            found.append(panel_identity().public_key)
        finally:
            connection.close()

    threads = [threading.Thread(target=ask) for _number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert len(found) == 4
    assert len(set(found)) == 1
    assert PanelIdentity.objects.count() == 1


def test_visible_are_all_servers_to_admins_and_their_own_to_owners(make_server, admin, member, owner):
    make_server("a.example.org")
    own = make_server("b.example.org", owners=[owner])
    assert Server.objects.visible_to(admin).count() == 2
    assert list(Server.objects.visible_to(owner)) == [own]
    assert not Server.objects.visible_to(member).exists()
    assert User.objects.count() == 3
