"""Somebody leaves: in the browser, with real hosts; one of them is cut off, and confirms when it is back."""

from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect
from playwright.sync_api import TimeoutError as TooLate

from lab import Fleet
from tests.browser.enlisted import PASSWORD, sign_in
from tests.browser.test_story import lets_in, make_key
from tests.lab_fixtures import LabKey
from tests.panel import Panel
from tests.waiting import wait_for

pytestmark = [pytest.mark.lab, pytest.mark.browser]
CLEAN = "rm -rf /var/lib/gestion/keys /etc/gestion /etc/cron.d/gestion-keys /root/.ssh/authorized_keys2*"
HOSTS = ("backup1", "files1")
KEYS = "/root/.ssh/authorized_keys2"

# Rows that other tests make by clicks: an admin, the hosts, Dora who may log in to both as root.
ROWS = """
from pathlib import Path
from accounts.actors import Actor
from accounts.models import User
from keymanager.fetching import install
from keymanager.services.groups import add_to_group, create_group
from keymanager.services.keys import add_keys
from lab import Fleet
from servers.models import Server
from tests.forwarding.lab_rows import enlist
from tests.lab_fixtures import LabKey

ada = User.objects.create_superuser("ada", {password!r}, email="ada@example.org")
dora = User.objects.create_user("dora", {password!r}, full_name="Dora Kessler")
rows = enlist(Fleet.find({lab!r}), LabKey(Path({key!r}), {public!r}))
actor = Actor(ada, "ada")
add_keys(actor, dora, {doras!r})
group = create_group(actor, name="Operators", includes_panel=True)
add_to_group(actor, group, "member_users", [dora])
for name in {hosts!r}:
    rows[name].unix_users.get_or_create(name="root")
    add_to_group(actor, group, "allowed_servers", [rows[name]])
    install(actor, rows[name])
"""


@pytest.fixture
def doras_key(tmp_path: Path) -> Path:
    return make_key(tmp_path)


@pytest.fixture
def panel(fleet: Fleet, lab_key: LabKey, doras_key: Path, data_folder: Path) -> Iterator[Panel]:
    """A panel from which two hosts fetch their keys."""
    for name in HOSTS:
        fleet[name].exec(["sh", "-c", CLEAN])
    with Panel(data_folder, also_at=[fleet.panel_address], DEMO="true") as panel:
        given = {"key": str(lab_key.path), "public": lab_key.public, "lab": fleet.name, "hosts": HOSTS}
        doras = doras_key.with_suffix(".pub").read_text()
        panel.manage("shell", "-c", ROWS.format(password=PASSWORD, doras=doras, **given))
        yield panel
    for name in HOSTS:
        fleet[name].mend()
        fleet[name].exec(["sh", "-c", CLEAN])


def test_who_leaves_gets_in_nowhere_and_a_host_that_is_down_confirms_when_it_is_back(
    page: Page, panel: Panel, fleet: Fleet, doras_key: Path
) -> None:
    up, down = (fleet[name] for name in HOSTS)
    wait_for(lambda: lets_in(up, doras_key) and lets_in(down, doras_key), name="Dora's way in")
    sign_in(page, panel)
    expect(page.get_by_role("heading", name="Dashboard")).to_be_visible()
    down.cut()

    page.goto(f"{panel.url}/users/2/offboard/")
    expect(page.locator("main")).to_contain_text("2 servers hold, or may hold, keys")
    page.get_by_role("button", name="Take all access away").click()
    rows = page.locator("#leaving table tbody")
    expect(rows.locator("tr", has_text="backup1")).to_contain_text("Gone: the server says so.")
    expect(rows.locator("tr", has_text="files1")).to_contain_text("not yet confirmed")
    expect(page.locator(".page-subtitle")).to_contain_text("not gone everywhere yet")
    assert not lets_in(up, doras_key)
    with page.expect_download() as download:
        page.get_by_role("link", name="Not confirmed (CSV)").click()
    table = Path(download.value.path()).read_text()
    assert "files1" in table
    assert "backup1" not in table

    assert doras_key.with_suffix(".pub").read_bytes().split()[1] in down.exec(["cat", KEYS]).stdout
    down.mend()
    with suppress(TooLate):  # the panel asks by itself every quarter of a minute, and may have been faster
        page.get_by_role("button", name="Ask again now").click(timeout=3000)
    expect(page.locator(".page-subtitle")).to_contain_text("gone everywhere")
    expect(page.locator("#leaving")).to_contain_text("Gone from all 2 servers.")
    assert not lets_in(down, doras_key)
    page.goto(f"{panel.url}/audit/")
    expect(page.locator("main")).to_contain_text("took all access away")
