"""A panel that knows the lab's hosts already, and what tests do in it before their own point."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from playwright.sync_api import Page, expect

from lab import Fleet
from tests.lab_fixtures import LabKey
from tests.panel import Panel

PASSWORD = "correct horse battery"
WITHIN = 2.0  # seconds, from the click

# Rows that a newcomer types in tests/browser/test_story.py; here they are not the point.
ROWS = """
from accounts.models import User
from servers.models import Server
from tests.forwarding.lab_rows import enlist
from tests.lab_fixtures import LabKey
from lab import Fleet
from pathlib import Path

User.objects.create_superuser("ada", {password!r}, email="ada@example.org")
rows = enlist(Fleet.find({lab!r}), LabKey(Path({key!r}), {public!r}))
rows["pve1"].nginx_server = rows["proxy"]
rows["pve1"].save()
"""


@contextmanager
def enlisted_panel(fleet: Fleet, lab_key: LabKey, folder: Path) -> Iterator[Panel]:
    """A panel with an admin and a row for each of the lab's hosts; pve1 as nobody has managed it yet."""
    clean = "/etc/init.d/nat-vz stop; rm -rf /var/lib/gestion /etc/init.d/nat-vz /etc/rc?.d/*nat-vz"
    fleet["pve1"].exec(["sh", "-c", clean])
    with Panel(folder, DEMO="true") as panel:
        key = {"key": str(lab_key.path), "public": lab_key.public}
        panel.manage("shell", "-c", ROWS.format(password=PASSWORD, lab=fleet.name, **key))
        yield panel


def sign_in(page: Page, panel: Panel) -> None:
    """Sign in as the admin."""
    expect.set_options(timeout=20_000)
    page.goto(panel.url)
    page.locator("[name=username]").fill("ada")
    page.locator("[name=password]").fill(PASSWORD)
    page.get_by_role("button", name="Sign in").click()


def until(true: Callable[[], bool], seconds: float) -> bool:
    """Whether it becomes true before the time is over."""
    end = time.monotonic() + seconds
    while not true():
        if time.monotonic() > end:
            return False
        time.sleep(0.01)
    return True
