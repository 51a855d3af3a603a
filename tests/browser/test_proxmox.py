"""Containers in the browser: listed, stopped and started by clicks, the state follows by itself; with real ones."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from lab import Fleet
from lab.pve import Slow
from lab.pve.real.api import LabApi
from tests.lab_fixtures import LabKey
from tests.panel import Panel

pytestmark = [pytest.mark.lab, pytest.mark.browser]
PASSWORD = "correct horse battery"

ROWS = """
from accounts.models import User
from lab import Fleet
from lab.pve.real.api import LabApi
from pathlib import Path
from proxmox.models import ProxmoxAccess
from servers.models import Server
from tests.forwarding.lab_rows import enlist
from tests.lab_fixtures import LabKey

User.objects.create_superuser("ada", {password!r}, email="ada@example.org")
fleet = Fleet.find({lab!r})
rows = enlist(fleet, LabKey(Path({key!r}), {public!r}))
for name in ("pve1", "pve2"):
    api = LabApi.of(fleet, name)
    who, secret = api.token
    ProxmoxAccess.objects.create(
        server=rows[name], user=who, secret=secret, address=api.address, certificate=api.certificate_pem,
        fingerprint=api.fingerprint,
    )
"""


@pytest.fixture
def panel(fleet: Fleet, lab_key: LabKey, data_folder: Path) -> Iterator[Panel]:
    """A panel that knows the lab's hosts, and has a token for their APIs."""
    if not fleet["web1"].running:
        fleet["web1"].start()
    with Panel(data_folder, DEMO="true") as panel:
        key = {"key": str(lab_key.path), "public": lab_key.public}
        panel.manage("shell", "-c", ROWS.format(password=PASSWORD, lab=fleet.name, **key))
        yield panel
    LabApi.of(fleet, "pve1").set_faults()


def sign_in(page: Page, panel: Panel) -> None:
    page.goto(panel.url)
    page.locator("[name=username]").fill("ada")
    page.locator("[name=password]").fill(PASSWORD)
    page.get_by_role("button", name="Sign in").click()
    expect(page.get_by_role("heading", name="Dashboard")).to_be_visible()


def test_a_container_is_listed_stopped_and_started_and_the_state_follows(
    page: Page, panel: Panel, fleet: Fleet
) -> None:
    sign_in(page, panel)
    page.goto(f"{panel.url}/proxmox/hosts/")
    expect(page.locator("#list tr", has_text="pve1")).to_contain_text("answers")  # by itself
    page.goto(f"{panel.url}/proxmox/guests/?q=web1")
    row = page.locator("#list tbody tr", has_text="web1")
    expect(row).to_contain_text("running")
    expect(row.get_by_role("img", name="Memory")).to_be_visible()
    row.get_by_role("link", name="web1").first.click()
    expect(page.get_by_text("Matched by its internal address.")).to_be_visible()

    page.get_by_role("button", name="Stop", exact=True).click()
    expect(page.locator("#guest-actions").get_by_role("button", name="Start")).to_be_visible()
    expect(page.locator("#guest .card-header").first).to_contain_text("stopped")
    assert not fleet["web1"].running

    page.get_by_role("button", name="Start").click()
    expect(page.locator("#guest-actions").get_by_role("button", name="Shut down")).to_be_visible()
    expect(page.locator("#guest .card-header").first).to_contain_text("running")
    assert fleet["web1"].running

    page.get_by_role("link", name="web1", exact=True).last.click()  # its server's page
    expect(page.locator("#guest")).to_contain_text("running")


def test_a_host_that_hangs_is_shown_as_that_and_its_pages_open_at_once(
    page: Page, panel: Panel, fleet: Fleet
) -> None:
    sign_in(page, panel)
    page.goto(f"{panel.url}/proxmox/guests/?q=web1")
    expect(page.locator("#list tbody tr", has_text="web1")).to_contain_text("running")
    LabApi.of(fleet, "pve1").set_faults([Slow(path="*", seconds=3600)])
    page.get_by_role("link", name="pve1").first.click()
    expect(page.locator("#host")).to_contain_text("slow")  # by itself, and what was seen before stays
    expect(page.locator("#host")).to_contain_text("web1")
    LabApi.of(fleet, "pve1").set_faults()
    page.get_by_role("button", name="Look now").click()
    expect(page.locator("#host")).to_contain_text("answers")
