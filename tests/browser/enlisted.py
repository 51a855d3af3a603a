"""A panel that knows the lab's hosts already, and what tests do in it before their own point."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from playwright.sync_api import Locator, Page, Request, expect

from lab import Fleet
from tests.lab_fixtures import LabKey
from tests.panel import Panel
from tests.waiting import PATIENCE_SECONDS

PASSWORD = "correct horse battery"
WITHIN = 2.0  # seconds from the click, on a machine that has the time for it
BUSY = 0.3  # of the time in which somebody waits for the machine, from which on it has none; alone a test makes 0.25

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
    """A panel with an admin and a row for each of the lab's hosts, which nobody has managed yet."""
    with Panel(folder, DEMO="true") as panel:
        key = {"key": str(lab_key.path), "public": lab_key.public}
        panel.manage("shell", "-c", ROWS.format(password=PASSWORD, lab=fleet.name, **key))
        yield panel


def sign_in(page: Page, panel: Panel) -> None:
    """Sign in as the admin."""
    page.goto(panel.url)
    page.locator("[name=username]").fill("ada")
    page.locator("[name=password]").fill(PASSWORD)
    page.get_by_role("button", name="Sign in").click()
    expect(page.get_by_role("heading", name="Dashboard")).to_be_visible()


def send(page: Page, button: Locator) -> None:
    """Click a button that sends a form, and wait until the panel has taken it and the page that follows is there.

    Before that a reload would call the form back, or meet a page that is just going.
    """
    page.evaluate("document.documentElement.dataset.old = ''")
    with page.expect_response(lambda answer: _is_sent(answer.request)) as taken:
        button.click()
    if taken.value.request.is_navigation_request():
        expect(page.locator("html:not([data-old])")).to_be_attached()
        page.wait_for_load_state()


def _is_sent(request: Request) -> bool:
    """Whether a form is sent by it: a page also asks by itself, a moment after one has typed, what would change."""
    by = request.headers.get("hx-trigger") or ""
    return request.method == "POST" and not by.startswith("rolls-out")


def contact(page: Page) -> str:
    """How the server whose page this is was reached last: the word alone, since one may be found in another."""
    page.reload()
    return page.locator("#contact .state").inner_text()


def seconds_waited() -> float:
    """Seconds since the start of the kernel in which some process could not go on, by its pressure stall figures."""
    figures = [Path("/proc/pressure") / name for name in ("cpu", "io")]
    some = [path.read_text().splitlines()[0] for path in figures if path.exists()]
    return sum(int(line.rpartition("total=")[2]) / 1e6 for line in some)


class Clock:
    """Runs from the click on, but not while a process of this machine waits for a processor or for a disk.

    So what takes too long is the panel's fault or the host's, and never that of others at work beside them. Where
    these leave it no free moment, each step takes several times as long, and no clock tells whose fault that is.
    """

    def __init__(
        self, waited: Callable[[], float] = seconds_waited, now: Callable[[], float] = time.monotonic
    ) -> None:
        self._waited, self._now = waited, now
        self._began, self._waited_before = now(), waited()

    def in_time(self, true: Callable[[], bool]) -> bool:
        """Whether it becomes true, and within WITHIN seconds of this clock on a machine that is not BUSY."""
        while not true():
            if self._now() - self._began > PATIENCE_SECONDS:
                return False
            time.sleep(0.01)
        elapsed, waited = self._now() - self._began, self._waited() - self._waited_before
        return elapsed - waited < WITHIN or waited > BUSY * elapsed
