"""A server backed up in one step, run, looked at, deleted and its copies deleted, in the browser, with real hosts."""

import re
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from lab import Fleet
from tests.backups.plans_lab_rows import let_in
from tests.lab_fixtures import LabKey
from tests.panel import Panel

pytestmark = [pytest.mark.lab, pytest.mark.browser]
PASSWORD = "correct horse battery"
ROWS = """
from accounts.models import User
from tests.forwarding.lab_rows import enlist
from tests.lab_fixtures import LabKey
from lab import Fleet
from pathlib import Path

User.objects.create_superuser("ada", {password!r}, email="ada@example.org")
rows = enlist(Fleet.find({lab!r}), LabKey(Path({key!r}), {public!r}))
"""


@pytest.fixture
def panel(fleet: Fleet, lab_key: LabKey, data_folder: Path) -> Iterator[Panel]:
    """A panel that knows the lab's hosts; backup1 is the backup server, and is let in at web1."""
    fleet["backup1"].exec(["rm", "-rf", "/var/lib/gestion", "/etc/gestion", "/backups"])
    let_in(fleet["backup1"], fleet["web1"])
    with Panel(data_folder, DEMO="true", BACKUP_SERVER="backup1", BACKUP_SCHEDULE="false") as panel:
        key = {"key": str(lab_key.path), "public": lab_key.public}
        panel.manage("shell", "-c", ROWS.format(password=PASSWORD, lab=fleet.name, **key))
        yield panel


def test_a_server_is_backed_up_in_one_step_and_its_copies_are_deleted(
    page: Page, panel: Panel, fleet: Fleet
) -> None:
    backup1 = fleet["backup1"]
    page.goto(panel.url)
    page.get_by_label("User name").fill("ada")
    page.get_by_label("Password").fill(PASSWORD)
    page.get_by_role("button", name="Sign in").click()
    page.get_by_role("link", name="Servers", exact=True).first.click()
    page.get_by_role("link", name="web1", exact=True).click()
    page.get_by_role("button", name="Back up this server").click()
    expect(page.get_by_role("heading", name="web1:/")).to_be_visible()
    # The whole of a container is more than this test wants to copy.
    page.get_by_role("link", name="Edit", exact=True).click()
    page.get_by_label("Folder").fill("/etc")
    page.get_by_label("Leave out", exact=True).fill("ssl, /alternatives")
    page.get_by_role("button", name="Save and roll out").click()
    expect(page.get_by_role("heading", name="web1:/etc")).to_be_visible()
    expect(page.locator(".facts", has_text="Folder")).to_contain_text(re.compile("in sync|waiting|applying"))

    def in_sync() -> bool:
        page.reload()
        return "in sync" in page.locator(".facts", has_text="Folder").inner_text()

    wait_for(page, in_sync)
    page.get_by_role("button", name="Try it").click()
    expect(page.get_by_text("The way is free.").first).to_be_visible()
    page.get_by_role("button", name="Run now").click()
    wait_for(page, lambda: b"hourly.0" in backup1.exec(["sh", "-c", "ls /backups/web1 || true"]).stdout)
    page.goto(f"{panel.url}/backups/")
    wait_for(page, lambda: bool(page.reload()) and page.locator("td .state-green").count() == 1)
    page.get_by_role("link", name="web1:/etc").click()
    expect(page.get_by_text("hourly.0")).to_be_visible()
    kept = backup1.exec(["ls", "/backups/web1/hourly.0/data"]).stdout.split()
    assert b"hostname" in kept
    assert not {b"ssl", b"alternatives"} & set(kept)

    page.get_by_role("link", name="Delete", exact=True).click()
    page.get_by_label("Type it again").fill("web1:/etc")
    page.get_by_role("button", name="Delete", exact=True).click()
    expect(page.get_by_text("Its copies stay in /backups/web1 on backup1.")).to_be_visible()
    assert backup1.exec(["ls", "/backups/web1/hourly.0/data"]).stdout.split() == kept
    page.get_by_label("Type it again").fill("backup1:/backups/web1")
    page.get_by_role("button", name="Delete the copies").click()
    wait_for(page, lambda: backup1.exec(["ls", "-A", "/backups"]).stdout == b"")


def wait_for(page: Page, true: Callable[[], bool], tries: int = 240) -> None:
    """Until it is true, looked at every half second."""
    for _try in range(tries):
        if true():
            return
        page.wait_for_timeout(500)
    raise AssertionError(f"It did not come about. The page says:\n{page.locator('main').inner_text()[:3000]}")
