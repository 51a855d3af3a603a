"""The form of a hostname in the browser: what it shows when, and rows for as many servers as one likes."""

from typing import Any

import pytest
from django.conf import settings
from django.test import Client
from playwright.sync_api import Page, expect

from accounts.models import User
from forwarding.models import HostnameForward
from servers.models import Server

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]


@pytest.fixture
def servers() -> list[Server]:
    """pve1 with its nginx server and five web servers."""
    host = Server.objects.create(name="pve1", is_proxmox=True, proxmox_node="n", external_interface="eth0")
    guests = [
        Server.objects.create(name=name, is_vm=True, vm_host=host, internal_ip=f"10.0.0.{number}")
        for number, name in enumerate(["proxy", "web1", "web2", "web3", "web4", "web5"], 100)
    ]
    Server.objects.filter(pk=host.pk).update(nginx_server=guests[0])
    return guests[1:]


def sign_in(page: Page, base: str) -> None:
    client = Client()
    client.force_login(User.objects.create_superuser("ada", "correct horse battery"))
    cookie = client.cookies[settings.SESSION_COOKIE_NAME]
    page.context.add_cookies([{"name": cookie.key, "value": cookie.value, "url": base}])


def test_five_servers_answer_for_one_name(page: Page, live_server: Any, servers: list[Server]) -> None:
    sign_in(page, live_server.url)
    page.goto(f"{live_server.url}/forwarding/hostnames/new/?destination={servers[0].pk}")
    page.get_by_label("Domain").fill("www.example.org")
    expect(page.get_by_label("Weight").first).to_be_hidden()  # of one server it says nothing
    page.get_by_text("Several servers, balanced").click()
    page.get_by_label("Weight").first.fill("5")
    for number in (4, 5):
        page.get_by_role("button", name="Another server").click()
        expect(page.locator(f"#id_destination_{number}")).to_be_focused()
    for number, server in enumerate(servers[1:], 2):
        row = page.get_by_role("group", name=f"Destination {number}", exact=True)
        row.locator("[name=destinations]").select_option(str(server.pk))
    row.locator("[name=destinations_spare]").select_option("yes")
    page.get_by_role("button", name="Save and roll out").click()
    expect(page.get_by_role("heading", name="www.example.org")).to_be_visible()
    kept = HostnameForward.objects.get().destinations.all()
    assert [(one.server, one.weight, one.backup) for one in kept] == [
        (servers[0], 5, False),
        *((server, 1, False) for server in servers[1:4]),
        (servers[4], 1, True),
    ]


def test_what_belongs_to_a_certificate_is_shown_with_it(
    page: Page, live_server: Any, servers: list[Server]
) -> None:
    sign_in(page, live_server.url)
    page.goto(f"{live_server.url}/forwarding/hostnames/new/")
    path, force = page.get_by_label("Certificate file"), page.get_by_label("Send HTTP visitors on to HTTPS")
    expect(path).to_be_hidden()
    expect(force).to_be_hidden()
    page.get_by_label("Certificate", exact=True).select_option("paths")
    expect(path).to_be_visible()
    expect(force).to_be_visible()
    page.get_by_label("Certificate", exact=True).select_option("acme")
    expect(path).to_be_hidden()
    expect(page.get_by_text("port 80 must be reachable")).to_be_visible()
