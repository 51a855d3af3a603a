"""A port in the browser: added, live within two seconds of the click, tried, and deleted; with real hosts."""

import socket
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from lab import Fleet
from tests.browser.enlisted import Clock, enlisted_panel, sign_in
from tests.lab_fixtures import LabKey
from tests.panel import Panel

pytestmark = [pytest.mark.lab, pytest.mark.browser]


@pytest.fixture
def panel(fleet: Fleet, lab_key: LabKey, data_folder: Path) -> Iterator[Panel]:
    """A panel that knows the lab's hosts."""
    with enlisted_panel(fleet, lab_key, data_folder) as panel:
        yield panel


def talks(address: str, port: int) -> bool:
    """Whether a plain TCP client gets an answer of web1's nginx."""
    try:
        with socket.create_connection((address, port), timeout=1) as client:
            client.sendall(b"GET / HTTP/1.0\r\n\r\n")
            heard = b""
            while part := client.recv(4096):
                heard += part
            return b"web1" in heard
    except OSError:
        return False


def test_a_port_is_added_reached_tried_and_deleted(page: Page, panel: Panel, fleet: Fleet) -> None:
    address = fleet["pve1"].address
    sign_in(page, panel)

    page.goto(f"{panel.url}/servers/?q=web1")
    page.get_by_role("link", name="web1").first.click()
    page.get_by_role("link", name="Forward a port").click()
    page.get_by_label("Port of the host").fill("8080")
    page.get_by_label("Port of the destination").fill("80")
    page.get_by_role("button", name="Show what changes").click()
    expect(page.locator(".diff-add").filter(has_text="tcp 8080 10.0.0.102 80")).to_have_count(1)
    assert not talks(address, 8080)

    clock = Clock()
    page.get_by_role("button", name="Save and roll out").click(no_wait_after=True)
    assert clock.in_time(lambda: talks(address, 8080)), "not live in time"
    expect(page.get_by_role("heading", name="TCP 8080 → web1:80")).to_be_visible()
    expect(page.locator("#port")).to_contain_text("active")  # by itself: nobody reloads
    expect(page.locator("#port")).to_contain_text("What changed on the host")

    page.get_by_role("button", name="Try it").click()
    expect(page.locator("#port")).to_contain_text("It answers all the way.")

    page.get_by_role("link", name="Delete").click()
    clock = Clock()
    page.get_by_role("button", name="Delete").click(no_wait_after=True)
    assert clock.in_time(lambda: not talks(address, 8080)), "not gone in time"


def test_a_dangerous_port_wants_a_second_word(page: Page, panel: Panel, fleet: Fleet) -> None:
    sign_in(page, panel)
    page.goto(f"{panel.url}/forwarding/ports/new/")
    page.locator("[name=destination]").select_option(index=1)
    page.get_by_label("Port of the host").fill("8006")
    page.get_by_role("button", name="Save and roll out").click()
    notice = page.get_by_role("alert")
    expect(notice).to_contain_text("8006 is where pve1 itself is reached")
    expect(notice).to_be_focused()
    page.get_by_label("Yes, do it all the same").check()
    page.get_by_role("button", name="Save and roll out").click()
    expect(page.get_by_role("heading", name="TCP 8006")).to_be_visible()
