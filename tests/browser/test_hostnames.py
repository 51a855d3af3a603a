"""A hostname in the browser: a port and a name, live within two seconds, after a reboot, deleted; on real hosts."""

import http.client
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from lab import Fleet
from tests.browser.enlisted import Clock, enlisted_panel, sign_in
from tests.lab_fixtures import LabKey
from tests.panel import Panel
from tests.waiting import wait_for

pytestmark = [pytest.mark.lab, pytest.mark.browser]
CLEAN = (
    "rm -rf /etc/nginx/sites-*/ngnix.conf /etc/nginx/gestion /var/lib/gestion* /usr/local/sbin/gestion-nginx"
    " /etc/systemd/system/gestion-nginx* /etc/systemd/system/*.wants/gestion-nginx*;"
    " systemctl daemon-reload; systemctl restart nginx"
)


@pytest.fixture
def panel(fleet: Fleet, lab_key: LabKey, data_folder: Path) -> Iterator[Panel]:
    """A panel that knows the lab's hosts; pve1 has proxy as its nginx server, which nobody has managed yet."""
    fleet["proxy"].exec(["sh", "-c", CLEAN])
    with enlisted_panel(fleet, lab_key, data_folder) as panel:
        yield panel
    fleet["proxy"].exec(["sh", "-c", CLEAN])


def get(address: str, port: int, host: str) -> str:
    """What a plain HTTP client outside gets at this address when it asks for this host."""
    client = http.client.HTTPConnection(address, port, timeout=1)
    try:
        client.request("GET", "/", headers={"Host": host})
        return client.getresponse().read().decode()
    except (OSError, http.client.HTTPException):
        return ""
    finally:
        client.close()


def talks(address: str, port: int) -> bool:
    """Whether a plain TCP client gets an answer of web1's nginx."""
    try:
        with socket.create_connection((address, port), timeout=1) as client:
            client.sendall(b"GET / HTTP/1.0\r\n\r\n")
            heard = b""
            while part := client.recv(4096):
                heard += part
            return b"This is web1" in heard
    except OSError:
        return False


def forward(page: Page, ports: str, inside: str = "") -> Clock:
    """Fill in and send the form of a port; gives a clock that runs from the click on."""
    page.get_by_label("Port of the host").fill(ports)
    page.get_by_label("Port of the destination").fill(inside)
    clock = Clock()
    page.get_by_role("button", name="Save and roll out").click(no_wait_after=True)
    return clock


def test_a_port_and_a_hostname_reach_the_right_container(page: Page, panel: Panel, fleet: Fleet) -> None:
    address = fleet["pve1"].address
    sign_in(page, panel)

    page.goto(f"{panel.url}/servers/?q=web1")
    page.get_by_role("link", name="web1").first.click()
    page.get_by_role("link", name="Forward a port").click()
    clock = forward(page, "8080", "80")
    assert clock.in_time(lambda: talks(address, 8080)), "port not live in time"
    expect(page.locator("#port")).to_contain_text("active")

    # The hostname says itself what is missing: a port of the host that leads to its nginx server.
    page.goto(f"{panel.url}/servers/?q=web1")
    page.get_by_role("link", name="web1").first.click()
    page.get_by_role("link", name="Add a hostname").click()
    page.get_by_label("Domain").fill("first.example.org")
    page.get_by_role("button", name="Save and roll out").click()
    page.get_by_role("link", name="Forward port 80").click()
    forward(page, "80")
    expect(page.locator("#port")).to_contain_text("active")
    wait_for(lambda: "This is web1" in get(address, 80, "first.example.org"))

    page.goto(f"{panel.url}/servers/?q=web1")
    page.get_by_role("link", name="web1").first.click()
    page.get_by_role("link", name="Add a hostname").click()
    page.get_by_label("Domain").fill("bücher.example.org")
    page.get_by_role("button", name="Show what changes").click()
    expect(page.locator("#rolls-out")).to_contain_text("xn--bcher-kva.example.org")
    name = "xn--bcher-kva.example.org"
    assert "web1" not in get(address, 80, name)
    clock = Clock()
    page.get_by_role("button", name="Save and roll out").click(no_wait_after=True)
    assert clock.in_time(lambda: "This is web1" in get(address, 80, name)), "hostname not live in time"
    expect(page.get_by_role("heading", name="bücher.example.org")).to_be_visible()
    expect(page.locator("#hostname")).to_contain_text("active")  # by itself: nobody reloads
    expect(page.locator("#hostname")).to_contain_text("What changed on the host")
    assert "web1" not in get(address, 80, "nobody.example.org")

    fleet["pve1"].reboot()  # and with it, every container on it
    wait_for(lambda: talks(address, 8080), name="the port after a reboot")
    wait_for(lambda: "This is web1" in get(address, 80, name), name="the hostname after a reboot")

    page.get_by_role("link", name="Delete").click()
    clock = Clock()
    page.get_by_role("button", name="Delete").click(no_wait_after=True)
    assert clock.in_time(lambda: "proxy" in get(address, 80, name)), "hostname not gone in time"
    wait_for(lambda: "This is web1" in get(address, 80, "first.example.org"))
