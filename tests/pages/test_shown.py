"""Two people at the same row: a form that was opened before the other's change does not take it back unseen."""

import re

import pytest

from accounts.models import User
from keymanager.models import Group
from notifications.models import Webhook
from proxmox.models import InternalNetwork
from servers.models import Server

JSON = {"Accept": "application/json"}


def person():
    return User.objects.create_user("bob", None, full_name="Bob")


def group():
    return Group.objects.create(name="g", description="d")


def webhook():
    return Webhook.objects.create(name="w", url="https://203.0.113.7/x", topics=[], active=True)


def network():
    return Server.objects.create(
        name="pve",
        external_ip="203.0.113.1",
        internal_ip="10.0.0.1",
        is_proxmox=True,
        proxmox_node="pve",
        external_interface="eth0",
    )


NETWORK = {"prefix_length": "24", "gateway": "", "bridge": "vmbr0", "name_servers": "", "reserved": ""}
# What makes the row, its page, the form as it is sent, what the first one changes of it, the second one, and what is
# said of the first one's change.
ROWS = {
    "person switched off": (
        person, "/users/{}/edit/",
        {"username": "bob", "full_name": "Bob", "email": "", "time_zone": "", "is_active": "on"},
        {"is_active": None}, {"full_name": "Robert"}, "Active: no",
    ),
    "person made an admin": (
        person, "/users/{}/edit/",
        {"username": "bob", "full_name": "Bob", "email": "", "time_zone": "", "is_active": "on"},
        {"is_admin": "on"}, {"full_name": "Robert"}, "Admin: yes",
    ),
    "panel's key in a group": (
        group, "/keymanager/groups/{}/edit/", {"name": "g", "description": "d"},
        {"includes_panel": "on"}, {"description": "e"}, ": yes",
    ),
    "web hook switched off": (
        webhook, "/notifications/webhooks/{}/edit/", {"name": "w", "url": "", "active": "on"},
        {"active": None}, {"name": "x"}, ": no",
    ),
    "addresses never handed out": (
        network, "/proxmox/hosts/{}/network/", NETWORK,
        {"reserved": "10.0.0.100-10.0.0.199"}, {"bridge": "vmbr1"}, "handed out: 10.0.0.100-10.0.0.199",
    ),
}  # fmt: skip


def shown_in(page) -> str:
    found = re.search(r'<input type="hidden" name="shown" value="([^"]+)"', page.content.decode())
    assert found
    return found[1]


def changed(form, change):
    return {name: value for name, value in {**form, **change}.items() if value is not None}


@pytest.mark.parametrize("row", ROWS.values(), ids=ROWS)
def test_who_opened_the_form_before_anothers_change_is_told_of_it(admin_client, row):
    make, page, form, first, second, said = row
    url = page.format(make().pk)
    form = {**form, "shown": shown_in(admin_client.get(url))}
    assert admin_client.post(url, changed(form, first)).status_code == 302
    refused = admin_client.post(url, changed(form, second))
    assert refused.status_code == 422
    text = refused.content.decode()
    assert "Somebody else has changed this" in text
    assert said in text
    assert next(iter(second.values())) in text  # what was typed
    again = changed({**form, **first, "shown": shown_in(refused)}, second)
    assert admin_client.post(url, again).status_code == 302  # having read it


def test_a_program_that_says_what_it_means_alone_is_not_held_up(admin_client):
    row = person()
    url = f"/users/{row.pk}/edit/"
    User.objects.filter(pk=row.pk).update(is_active=False)
    answer = admin_client.post(url, {"full_name": "Robert"}, content_type="application/json", headers=JSON)
    assert answer.status_code == 200
    row.refresh_from_db()
    assert (row.full_name, row.is_active) == ("Robert", False)


def test_what_a_web_hook_calls_is_told_by_no_digits(admin_client):
    row = webhook()
    url = f"/notifications/webhooks/{row.pk}/edit/"
    before = shown_in(admin_client.get(url))
    Webhook.objects.filter(pk=row.pk).update(url="https://203.0.113.8/y")
    assert shown_in(admin_client.get(url)) == before


def test_of_a_network_without_a_row_the_second_one_is_told_too(admin_client):
    host = network()
    url = f"/proxmox/hosts/{host.pk}/network/"
    form = {**NETWORK, "shown": shown_in(admin_client.get(url))}
    assert admin_client.post(url, {**form, "gateway": "10.0.0.254"}).status_code == 302
    assert admin_client.post(url, {**form, "reserved": "10.0.0.9-10.0.0.9"}).status_code == 422
    assert InternalNetwork.objects.get().gateway == "10.0.0.254"
