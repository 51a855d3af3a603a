"""Who sees and operates which server, and that nothing changes by GET."""

import pytest
from django.urls import reverse

from accounts.models import AuditEntry
from jobs.models import Job
from servers import registry
from servers.models import HostKey, Rollout, Server
from tests.servers.asking import JSON

pytestmark = pytest.mark.django_db


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
