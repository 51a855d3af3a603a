"""A share in the browser: made, its password looked at and used, replaced, and deleted; on a real Samba server."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from lab import Fleet
from tests.browser.enlisted import enlisted_panel, sign_in
from tests.lab_fixtures import LabKey
from tests.panel import Panel
from tests.samba.lab_rows import BASE

pytestmark = [pytest.mark.lab, pytest.mark.browser]
MANAGED = (
    "from servers.models import Server; "
    f"Server.objects.filter(name='files1').update(samba_management=True, samba_base_folder={BASE!r})"
)


@pytest.fixture
def panel(fleet: Fleet, lab_key: LabKey, data_folder: Path) -> Iterator[Panel]:
    """A panel that manages Samba on files1, where no share is yet."""
    fleet["files1"].exec(["mkdir", "-p", BASE]).check_returncode()
    with enlisted_panel(fleet, lab_key, data_folder) as panel:
        panel.manage("shell", "-c", MANAGED)
        yield panel


def smb(fleet: Fleet, user: str, password: str, command: str) -> bool:
    """Whether another host of the lab gets that done on the share."""
    login = f"username = {user}\npassword = {password}\n".encode()
    argv = ["smbclient", f"//{fleet['files1'].address}/photos", "-A", "/dev/stdin", "-c", command]
    done = fleet["backup1"].exec(argv, stdin=login)
    return done.returncode == 0 and b"NT_STATUS" not in done.stdout + done.stderr


def shown_password(page: Page) -> str:
    """Ask for the password on the share's page, and go back there."""
    page.get_by_role("button", name="Show the password").click()
    expect(page.locator("#connect-password")).to_be_visible()
    password = page.locator("#connect-password").input_value()
    page.get_by_role("link", name="Back to the share").click()
    expect(page.get_by_role("heading", name="photos")).to_be_visible()
    return password


def test_a_share_is_made_used_and_deleted(page: Page, panel: Panel, fleet: Fleet) -> None:
    sign_in(page, panel)
    page.goto(f"{panel.url}/servers/?q=files1")
    page.get_by_role("link", name="files1").first.click()
    page.get_by_role("link", name="New share").click()
    page.get_by_label("Name").fill("photos")
    page.get_by_role("button", name="Show what changes").click()
    expect(page.locator("#rolls-out")).to_contain_text(f"path = {BASE}/photos")
    page.get_by_role("button", name="Save and roll out").click()
    expect(page.locator("#share .state").first).to_have_text("active")  # by itself: nobody reloads
    expect(page.locator("#share")).to_contain_text("What changed on the server")

    first = shown_password(page)
    assert smb(fleet, "smb-photos", first, "put /etc/hostname a; get a /tmp/a")
    assert not smb(fleet, "smb-photos", first[::-1], "ls")
    assert first not in page.content()

    page.get_by_role("button", name="Give it a new password").click()
    expect(page.locator("#share")).to_contain_text("gave a share a new password")
    expect(page.locator("#share .state").first).to_have_text("active")
    second = shown_password(page)
    assert smb(fleet, "smb-photos", second, "get a /tmp/a")
    assert not smb(fleet, "smb-photos", first, "ls")

    page.get_by_role("link", name="Delete").click()
    expect(page.get_by_text(f"What lies in {BASE}/photos stays there")).to_be_visible()
    page.get_by_role("button", name="Delete").click()
    expect(page.locator(".page-subtitle .state")).to_have_text("in sync")
    assert not smb(fleet, "smb-photos", second, "ls")
    assert fleet["files1"].exec(["cat", f"{BASE}/photos/a"]).stdout == b"backup1\n"
    assert first not in panel.log.read_text()
    assert second not in panel.log.read_text()


def test_a_folder_that_lies_there_is_taken_over_and_given_back(
    page: Page, panel: Panel, fleet: Fleet
) -> None:
    folder = f"{BASE}/Carols Pics"
    fleet["files1"].exec(["sh", "-c", 'mkdir -p "$0/a"; chown -R 1234:1234 "$0"', folder]).check_returncode()
    sign_in(page, panel)
    page.goto(f"{panel.url}/servers/?q=files1")
    page.get_by_role("link", name="files1").first.click()
    page.get_by_role("link", name="What lies there").click()
    page.get_by_role("button", name="Look").click()
    page.get_by_role("link", name="Take it over").click()
    expect(page.get_by_text("1 thing lies in it (1234 1)")).to_be_visible()
    expect(page.get_by_label("Name")).to_have_value("Carols Pics")
    page.get_by_role("button", name="Save and roll out").click()
    expect(page.locator("#share .state").first).to_have_text("active")
    expect(page.locator("#share")).to_contain_text("smb-carols-pics")
    expect(page.locator("#share")).to_contain_text("1 thing in it belonged to")
    page.get_by_role("link", name="Delete").click()
    page.get_by_label("Give all back to whom it belonged").check()
    page.get_by_role("button", name="Delete").click()
    expect(page.locator(".page-subtitle .state")).to_have_text("in sync")
    owners = fleet["files1"].exec(["stat", "-c", "%u", folder, f"{folder}/a"]).stdout
    assert owners == b"1234\n1234\n"
