"""A server's page: host keys, rollouts, the panels of other rooms; and the panel's own key."""

import pytest
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from accounts.actors import Actor
from accounts.models import AuditEntry
from accounts.services import create_user, set_up_panel
from accounts.tokens import create_token
from jobs.models import Job
from servers import registry, rollouts, services
from servers.models import Contact, HostKey, PanelIdentity, Rollout, Server
from tests.servers.asking import JSON, post_json
from tests.servers.conftest import work_off
from tests.servers.fleet import host_key

pytestmark = pytest.mark.django_db


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
def test_what_was_asked_for_since_the_last_look_is_not_called_held(admin_client, make_reached, motd, actor):
    server, _machine = make_reached("a.example.org", notes="hello")
    url = reverse("servers:rollout", args=[server.pk, "motd"])
    held = "None at the last look: the server holds what it should."
    rollouts.ask(actor, server, ["motd"], "on")
    work_off()
    assert held in admin_client.get(url).content.decode()
    rollouts.ask(actor, server, ["motd"], "another greeting")
    Job.objects.filter(ended_at=None).update(state="failed", ended_at=timezone.now())  # the server is off
    page = admin_client.get(url).content.decode()
    assert held not in page
    assert "Nobody has looked since the last change was asked for." in page


@pytest.mark.django_db(transaction=True)
def test_a_look_that_failed_is_not_passed_off_by_the_one_before_it(admin_client, make_reached, motd, actor):
    server, machine = make_reached("a.example.org", notes="hello")
    url = reverse("servers:rollout", args=[server.pk, "motd"])
    rollouts.ask(actor, server, ["motd"], "on")
    work_off()
    machine.down = True
    services.look_closer(actor, server, ["motd"])
    work_off()
    assert "cannot be reached" in admin_client.get(url, **JSON).json()["look_failed"]
    page = admin_client.get(url).content.decode()
    assert "The last look failed: a.example.org cannot be reached" in page
    assert "None at the last look" not in page
    services.look_closer(actor, server, ["other"])
    work_off()
    machine.down = False
    assert admin_client.get(url, **JSON).json()["look_failed"]  # that one was at something else
    services.look_closer(actor, server)
    work_off()
    assert admin_client.get(url, **JSON).json()["look_failed"] == ""
    assert "None at the last look" in admin_client.get(url).content.decode()


@pytest.mark.django_db(transaction=True)
def test_a_look_that_failed_at_another_kind_has_looked_at_this_one(admin_client, make_reached, motd, actor):
    server, machine = make_reached("a.example.org", notes="hello")
    rollouts.ask(actor, server, ["motd"], "on")
    work_off()
    machine.down = True
    services.look_closer(actor, server)
    work_off()
    url = reverse("servers:rollout", args=[server.pk, "motd"])
    failed = Job.objects.get(work="servers.look")
    assert admin_client.get(url, **JSON).json()["look_failed"]
    Rollout.objects.update(checked_at=failed.ended_at)  # this kind was looked at before the one that failed
    assert admin_client.get(url, **JSON).json()["look_failed"] == ""
    assert "None at the last look" in admin_client.get(url).content.decode()


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


def test_the_panels_key_is_made_with_the_first_account_so_that_reading_it_changes_nothing(db, client):
    actor = Actor.system("test")
    ada = set_up_panel(actor, username="ada", password="correct horse battery")
    create_user(actor, username="grace", is_admin=True)
    made = PanelIdentity.objects.get()
    trail = list(AuditEntry.objects.order_by("pk").values_list("verb", flat=True))
    assert trail == ["panel.set_up", "panel_identity.create", "user.create"]
    client.force_login(ada)
    assert client.get(reverse("servers:identity"), **JSON).json() == {"public_key": made.public_key}
    assert AuditEntry.objects.count() == len(trail)


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
