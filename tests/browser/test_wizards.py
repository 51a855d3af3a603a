"""A wizard of one's own in a real panel: asked, looked over, done and undone in the browser."""

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from tests.browser.test_story import make_the_admin_account
from tests.panel import Panel
from tests.wizards.conftest import SAMPLES

pytestmark = [pytest.mark.browser]


@pytest.fixture
def panel(data_folder: Path) -> Iterator[Panel]:
    """A panel with the wizards of the tests in a folder of its own."""
    folder = data_folder / "own"
    folder.mkdir()
    for name in ("walk.py", "greeting.py"):
        shutil.copy(SAMPLES / name, folder / name)
    with Panel(data_folder, WIZARDS_FOLDER=str(folder)) as panel:
        yield panel


def test_wizards_of_ones_own(page: Page, panel: Panel, tmp_path: Path) -> None:
    make_the_admin_account(page, panel)

    by_number(page, panel, tmp_path)
    declared(page, panel, tmp_path)
    broken(page, panel, tmp_path)


def by_number(page: Page, panel: Panel, folder: Path) -> None:
    page.goto(f"{panel.url}/wizards/")
    page.get_by_role("link", name="Begin: Greeting").click()
    expect(page.locator("main")).to_contain_text("Who shall be <greeted>?")
    expect(page).to_have_title("from the wizard")  # by its script, under the panel's content security policy
    page.get_by_label("Name").fill("Ann")
    page.get_by_label("Folder").fill(str(folder))
    page.get_by_label("Secret").fill("pass-phrase")
    page.get_by_role("button", name="Next").click()
    expect(page.get_by_label("Words")).to_have_value("Hello Ann")
    page.get_by_role("link", name="Back", exact=True).click()
    expect(page.get_by_label("Name")).to_have_value("Ann")
    expect(page.get_by_label("Secret")).to_have_value("")
    page.get_by_role("button", name="Next").click()
    page.get_by_role("button", name="Look over").click()
    expect(page.locator("main")).to_contain_text("kept secret")
    page.get_by_role("button", name="Do it").click()
    expect(page.locator(".page-subtitle .state")).to_have_text("done")
    assert (folder / "greeting").read_text() == "Hello Ann"


def declared(page: Page, panel: Panel, folder: Path) -> None:
    (folder / "fail-two").touch()
    (folder / "job-one").touch()
    page.goto(f"{panel.url}/wizards/new/walk/")
    page.get_by_label("Folder").fill(str(folder))
    page.get_by_role("button", name="Take the defaults for the rest").click()
    expect(page.get_by_role("heading", name="This will be done")).to_be_visible()
    page.get_by_role("button", name="Do it").click()
    expect(page.get_by_role("button", name="Resume")).to_be_visible()
    expect(page.locator("main")).to_contain_text("two was told to fail")
    page.get_by_role("button", name="Resume").click()
    expect(page.get_by_role("heading", name="What you have now")).to_be_visible()
    page.get_by_role("link", name="Undo").click()
    page.get_by_label("I know what will be gone.").check()
    page.get_by_role("button", name="Undo it").click()
    expect(page.locator(".page-subtitle .state")).to_have_text("undone")
    assert not list(folder.glob("made-*"))


def broken(page: Page, panel: Panel, folder: Path) -> None:
    path = folder / "own" / "greeting.py"
    path.write_text(path.read_text().replace("_nb_step = 2", "_nb_step = "))
    page.goto(f"{panel.url}/wizards/")
    expect(page.locator("main")).to_contain_text("greeting.py, line")
    expect(page.locator("main")).to_contain_text("SyntaxError")
    expect(page.get_by_role("link", name="Begin: Walk")).to_be_visible()
