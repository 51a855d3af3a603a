"""A copy looked into, a file of it downloaded and restored, all of it verified, in the browser, with real hosts."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from lab import Fleet
from tests.backups.plans_lab_rows import let_in
from tests.browser.test_backups import PASSWORD, ROWS
from tests.lab_fixtures import LabKey
from tests.panel import Panel
from tests.waiting import wait_for

pytestmark = [pytest.mark.lab, pytest.mark.browser]
TREE = r"""
rm -rf /srv/site && mkdir -p /srv/site/pages/deep && cd /srv/site
echo hello >pages/index.html; echo '<script>alert(1)</script>' >"$(printf 'odd\n<b>name')"; ln -s /etc outside
chmod 640 pages/index.html; head -c 9000000 /dev/urandom >big
"""
BACKUP = """
from accounts.actors import Actor
from backups.models import Backup
from backups.services.plans import create_backup
from backups.services.runs import run_now
from servers.models import Server

web1, backup1 = (Server.objects.get(name=name) for name in ("web1", "backup1"))
there = {"destination": backup1, "destination_folder": "/backups/site"}
backup = create_backup(Actor.system("test"), Backup(source=web1, source_folder="/srv/site", **there))
run_now(Actor.system("test"), backup)
"""


@pytest.fixture
def panel(fleet: Fleet, lab_key: LabKey, data_folder: Path) -> Iterator[Panel]:
    """A panel that has backed up /srv/site of web1."""
    there, here = fleet["backup1"], fleet["web1"]
    there.exec(["rm", "-rf", "/var/lib/gestion", "/etc/gestion", "/backups"])
    let_in(there, here)
    assert here.exec(["sh", "-c", TREE]).returncode == 0
    with Panel(data_folder, DEMO="true", BACKUP_SCHEDULE="false") as panel:
        key = {"key": str(lab_key.path), "public": lab_key.public}
        panel.manage("shell", "-c", ROWS.format(password=PASSWORD, lab=fleet.name, **key))
        panel.manage("shell", "-c", BACKUP)
        asked = "from backups.models import BackupRun; print(BackupRun.objects.filter(state='done').count())"
        wait_for(lambda: panel.manage("shell", "-c", asked).strip().endswith("1"), 120, panel.log)
        yield panel


def test_a_copy_is_looked_into_a_file_downloaded_and_restored(page: Page, panel: Panel, fleet: Fleet) -> None:
    web1 = fleet["web1"]
    page.goto(f"{panel.url}/backups/")
    page.get_by_label("User name").fill("ada")
    page.get_by_label("Password").fill(PASSWORD)
    page.get_by_role("button", name="Sign in").click()
    page.get_by_role("link", name="web1:/srv/site").click()
    page.get_by_role("link", name="hourly.0").click()
    expect(page.get_by_text("odd\\x0a<b>name")).to_be_visible()
    expect(page.get_by_text("→ /etc")).to_be_visible()
    with page.expect_download() as downloading:
        page.get_by_role("button", name="Download big").click()
    original = web1.exec(["cat", "/srv/site/big"]).stdout
    assert downloading.value.suggested_filename == "big"
    assert Path(downloading.value.path()).read_bytes() == original

    page.get_by_role("link", name="pages", exact=True).click()
    expect(page.get_by_role("link", name="deep", exact=True)).to_be_visible()
    web1.exec(["sh", "-c", "echo spoilt >/srv/site/pages/index.html; chmod 600 /srv/site/pages/index.html"])
    page.get_by_role("link", name="Restore index.html").click()
    page.get_by_role("button", name="Show what it would change").click()
    expect(page.get_by_text("1 file is written over.")).to_be_visible()
    expect(page.get_by_role("cell", name="index.html")).to_be_visible()
    assert web1.exec(["cat", "/srv/site/pages/index.html"]).stdout == b"spoilt\n"
    page.get_by_label("What is there may be written over.").check()
    page.get_by_role("button", name="Restore now").click()
    expect(page.get_by_text("done", exact=True).first).to_be_visible()
    show = ["sh", "-c", "cd /srv/site/pages; cat index.html; stat -c %a index.html"]
    assert web1.exec(show).stdout == b"hello\n640\n"

    page.goto(f"{panel.url}/backups/1/")
    page.get_by_role("button", name="Verify now").click()
    expect(page.get_by_text("What was restored is the same as the copy")).to_be_visible()
