"""Parts of a page that come anew while somebody presses a button of the mouse: the click is theirs all the same."""

from typing import Any

import pytest
from django.conf import settings
from django.test import Client
from playwright.sync_api import Locator, Page, expect

from accounts.models import User
from forwarding.models import PortForward
from servers.models import Server
from tests.forwarding.lab_rows import rule

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]


@pytest.fixture
def port(page: Page, live_server: Any) -> PortForward:
    """The page of a forwarded port, opened by an admin."""
    host = Server.objects.create(name="pve1", is_proxmox=True, proxmox_node="n", external_interface="eth0")
    web1 = Server.objects.create(name="web1", is_vm=True, vm_host=host, internal_ip="10.0.0.102")
    port = rule(host, web1, "8080", "80", note="before")
    port.save()
    client = Client()
    client.force_login(User.objects.create_superuser("ada", "correct horse battery"))
    cookie = client.cookies[settings.SESSION_COOKIE_NAME]
    page.context.add_cookies([{"name": cookie.key, "value": cookie.value, "url": live_server.url}])
    page.goto(live_server.url + port.get_absolute_url())
    return port


def press(page: Page, where: Locator) -> None:
    """Press the mouse's button there, and keep it."""
    box = where.bounding_box()
    assert box
    page.mouse.move(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
    page.mouse.down()


def bring_anew(page: Page) -> None:
    """Let the part of the page be asked for and put in, as at the end of a job."""
    come = "new Promise(done => document.addEventListener('htmx:afterRequest', done, {once: true}))"
    page.evaluate(f"{{ const come = {come}; htmx.trigger('#port', 'job:end'); come.then(() => true) }}")


def test_a_link_that_is_pressed_while_its_part_comes_anew_is_followed(page: Page, port: PortForward) -> None:
    link = page.locator("#port").get_by_role("link", name="web1")
    press(page, link)
    bring_anew(page)
    page.mouse.up()
    expect(page.get_by_role("heading", name="web1", exact=True)).to_be_visible()


def test_what_came_meanwhile_is_shown_at_the_release(page: Page, port: PortForward) -> None:
    press(page, page.locator("#port").get_by_text("before"))
    PortForward.objects.update(note="after")
    bring_anew(page)
    expect(page.locator("#port")).to_contain_text("before")
    page.mouse.up()
    expect(page.locator("#port")).to_contain_text("after")
