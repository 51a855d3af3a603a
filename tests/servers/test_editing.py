"""Servers are added, changed and deleted by people and programs, and so are their unix users."""

import pytest
from django.urls import reverse

from servers.connect import suggested_connection
from servers.models import Server
from tests.servers.asking import post_json

pytestmark = pytest.mark.django_db


def form_of(**changed) -> dict:
    return {"name": "web.example.org", "unix_users": "root, www-data", "tags": "shop", **changed}


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


@pytest.mark.parametrize("number", [2**63, -(2**63) - 1, "9" * 30])
def test_a_number_that_no_row_can_have_is_a_row_that_is_not_there(admin_client, owner, number):
    answer = post_json(admin_client, reverse("servers:new"), form_of(owners=[owner.pk, number]), 422)
    assert str(number) in answer["errors"]["owners"][0]


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
    assert "takes the authorized_keys2 of this unix user away" in admin_client.get(remove).content.decode()
    assert admin_client.post(remove).status_code == 302
    assert [u.name for u in server.unix_users.all()] == ["root"]


def test_what_must_go_before_a_unix_user_is_not_said_to_go_with_it(admin_client, make_server):
    """The button was there, and its answer “First change this”."""
    server = make_server("web.example.org", ssh_connection="deploy@198.51.100.7")
    url = reverse("servers:remove_unix_user", args=[server.pk, server.unix_users.create(name="deploy").pk])
    page = admin_client.get(url).content.decode()
    assert ("cannot be deleted while these need it" in page, "Gestion logs in as it" in page) == (True, True)
    assert "goes with it" not in page
    told = admin_client.get(url, headers={"Accept": "application/json"}).json()
    assert (told["blocked"], told["holds"]) == (["Gestion logs in as it"], [])


def test_keys_that_stay_because_another_server_shares_them_are_told(admin_client, make_server):
    server = make_server("web1.example.org", keymanager_name="web")
    twin = make_server("web2.example.org", keymanager_name="web")
    mine, _theirs = (one.unix_users.create(name="deploy") for one in (server, twin))
    remove = reverse("servers:remove_unix_user", args=[server.pk, mine.pk])
    html = admin_client.get(remove).content.decode()
    assert "with web2.example.org" in html
    assert "takes the authorized_keys2" not in html


def test_a_unix_user_of_another_server_is_not_found_here(admin_client, make_server):
    server, other = make_server("a.example.org"), make_server("b.example.org")
    url = reverse("servers:remove_unix_user", args=[server.pk, other.unix_users.get().pk])
    assert admin_client.post(url).status_code == 404


def test_what_an_empty_field_means_is_what_the_code_makes_of_it(admin_client, make_server):
    host = make_server("pve1.example.org", external_ip="203.0.113.7", is_proxmox=True)
    html = admin_client.get(reverse("servers:edit", args=[host.pk])).content.decode()
    assert "Empty: the external IP, or without one the server" in html
    assert "beside the backup server on one Proxmox host, its internal IP" in html
    guest = {"host": host, "internal_ip": "10.0.0.7", "external_ip": "", "name": "web1", "panel_host": ""}
    assert suggested_connection(**guest) == "-p <port> root@203.0.113.7"
    host.external_ip = None
    assert suggested_connection(**guest) == "-p <port> root@pve1.example.org"
