"""A certificate is uploaded in a real browser, and its last day is where people look."""

from pathlib import Path

import pytest
from django.conf import settings
from django.test import Client
from django.urls import reverse
from playwright.sync_api import BrowserContext, expect

from accounts.actors import Actor
from forwarding.models import HostnameDestination, HostnameForward, StoredCertificate
from forwarding.services.hostnames import create_hostname
from servers.models import Server
from tests.forwarding.made_certificates import pair

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]
NAME = "www.example.org"


@pytest.fixture
def hostname(admin) -> HostnameForward:
    """A hostname that is served by plain HTTP."""
    pve1 = Server.objects.create(
        name="pve1", is_proxmox=True, proxmox_node="pve1", external_interface="vmbr0", keymanager_name="pve1"
    )
    guests = [
        Server.objects.create(name=name, is_vm=True, vm_host=pve1, internal_ip=ip, keymanager_name=name)
        for name, ip in (("proxy", "10.0.0.101"), ("web1", "10.0.0.102"))
    ]
    Server.objects.filter(pk=pve1.pk).update(nginx_server=guests[0])
    made = HostnameForward(host=Server.objects.get(pk=pve1.pk), domain=NAME)
    return create_hostname(Actor.system("test"), made, [HostnameDestination(server=guests[1])])


def test_a_pair_is_uploaded_as_files_after_a_wrong_key_was_pasted(
    context: BrowserContext, live_server, admin, hostname, tmp_path: Path
):
    client = Client()
    client.force_login(admin)
    cookie = client.cookies[settings.SESSION_COOKIE_NAME]
    context.add_cookies([{"name": cookie.key, "value": cookie.value, "url": live_server.url}])
    page = context.new_page()
    chain, key = pair(NAME)
    wrong = key[:-60] + "-----END PRIVATE KEY-----\n"
    page.goto(live_server.url + reverse("forwarding:hostname", args=[hostname.pk]))
    page.get_by_role("link", name="Certificate", exact=True).click()
    page.get_by_role("link", name="Upload a certificate").click()
    page.get_by_label("Certificate and chain").fill(chain)
    page.get_by_label("Private key").fill(wrong)
    page.get_by_role("button", name="Upload and roll out").click()
    expect(page.get_by_text("The key is damaged.")).to_be_visible()
    expect(page.get_by_label("Private key")).to_have_value("")
    (tmp_path / "key.pem").write_text(key)
    page.locator("input[name=key_file]").set_input_files(tmp_path / "key.pem")
    page.get_by_role("button", name="Upload and roll out").click()
    expect(page.get_by_text("The certificate is kept")).to_be_visible()
    expect(page.get_by_text("89 days left")).to_be_visible()
    assert StoredCertificate.objects.get().key == key
    assert key.splitlines()[1] not in page.content()
    page.goto(f"{live_server.url}/")
    expect(page.get_by_role("link", name=NAME)).to_be_visible()
    page.goto(f"{live_server.url}/forwarding/hostnames/")
    expect(page.get_by_text("89 days left")).to_be_visible()
