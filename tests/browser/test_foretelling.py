"""What saving rolls out is told while one types, asked where it is dangerous, and said once it is saved."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from tests.browser.enlisted import PASSWORD, sign_in
from tests.panel import Panel

pytestmark = pytest.mark.browser

ROWS = f"""
from accounts.actors import Actor
from accounts.models import User
from forwarding.models import PortForward
from forwarding.services.ports import create_port_forward
from proxmox.models import GuestSeen
from servers.models import Server
from django.utils import timezone

User.objects.create_superuser("ada", {PASSWORD!r}, email="ada@example.org")
pve1 = Server.objects.create(
    name="pve1", keymanager_name="pve1", is_proxmox=True, proxmox_node="pve1", external_interface="eth0",
    external_ip="198.51.100.10", internal_ip="10.0.0.1",
)
web1 = Server.objects.create(name="web1", keymanager_name="web1", is_vm=True, vm_host=pve1, internal_ip="10.0.0.102")
ports = dict(first_port=8080, last_port=8080, destination_first=80, destination_last=80)
rule = PortForward(host=pve1, destination=web1, **ports)
create_port_forward(Actor.system("test"), rule)
GuestSeen.objects.create(
    host=pve1, vmid=105, name="mail", status="running", addresses=["10.0.0.57"], live=["10.0.0.57"],
    live_at=timezone.now(), config_at=timezone.now(), config={{"net0": "name=eth0,ip=dhcp"}},
)
"""


@pytest.fixture
def panel(data_folder: Path) -> Iterator[Panel]:
    with Panel(data_folder, DEMO="true") as running:
        running.manage("shell", "-c", ROWS)
        yield running


def test_what_an_address_begins_is_told_asked_and_said(panel: Panel, page: Page) -> None:
    sign_in(page, panel)
    page.goto(f"{panel.url}/servers/2/edit/")
    told = page.locator("#rolls-out")
    expect(told).to_be_empty()
    page.get_by_label("Internal IP").fill("10.5.0.4")
    expect(told).to_contain_text("masquerading of 10.5.0.0/24 behind eth0 begins")
    expect(told).to_contain_text("TCP 8080 to 10.0.0.102:80 ends")
    told.get_by_text("Show the files").click()
    expect(told).to_contain_text("10.5.0.4 80")
    page.get_by_label("Internal IP").fill("no address")
    expect(told).to_be_empty()
    page.get_by_role("button", name="Show what changes").click()
    expect(told).to_contain_text("It cannot be saved as it is:")
    expect(told).to_contain_text("Internal IP: Enter a valid")
    page.get_by_label("Internal IP").fill("10.5.0.4")
    page.get_by_role("button", name="Show what changes").click()
    expect(told).to_contain_text("masquerading of 10.5.0.0/24 behind eth0 begins")
    page.get_by_role("button", name="Save", exact=True).click()
    expect(page.get_by_text("begins to translate addresses of 10.5.0.0/24")).to_be_visible()
    page.get_by_label("I have read this").check()
    page.get_by_role("button", name="Do it anyway").click()
    expect(page.get_by_text("Saved.")).to_be_visible()
    expect(page.get_by_role("link", name="Forwarded ports of pve1")).to_be_visible()
    page.goto(f"{panel.url}/servers/2/delete/")
    expect(page.get_by_text("TCP 8080 to 10.5.0.4:80 ends")).to_be_visible()


def test_the_form_to_adopt_says_where_an_address_comes_from(panel: Panel, page: Page) -> None:
    sign_in(page, panel)
    page.goto(f"{panel.url}/proxmox/guests/1/adopt/")
    expect(page.get_by_label("Internal IP")).to_have_value("10.0.0.57")
    expect(page.get_by_text("Such an address may change")).to_be_visible()
    page.get_by_label("Name").fill("mail.example.org")
    expect(page.locator("#rolls-out")).to_contain_text("Nothing is rolled out.")
    page.goto(f"{panel.url}/proxmox/guests/1/")
    expect(page.get_by_text("may change (DHCP)")).to_be_visible()
