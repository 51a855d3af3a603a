"""Real Chromium, driven by Playwright. Without it, these tests are skipped; under CI that is a failure."""

import os
import shlex
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, BrowserContext, Page, expect

from lab import LabUnavailable
from lab.screenshots import CHROMIUM, chromium
from lab.system import require_lab
from tests.browser import still_network
from tests.browser.demo import Demo
from tests.browser.walk import Walk
from tests.waiting import PATIENCE_SECONDS


@pytest.fixture(scope="session")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    """Chromium, as Debian packages it, on a network that stays as it is; what it waits for may take its time."""
    path = shutil.which(CHROMIUM)
    if path is None:
        missing = f"Chromium is missing: apt install {CHROMIUM}"
        if os.environ.get("CI") == "true":
            pytest.fail(missing)
        pytest.skip(missing)
    # Playwright runs an event loop in this thread; what the tests ask of the database is still synchronous.
    os.environ["DJANGO_ALLOW_ASYNC_UNSAFE"] = "true"
    expect.set_options(timeout=PATIENCE_SECONDS * 1000)
    with chromium(str(still(path, tmp_path_factory.mktemp("chromium")))) as browser:
        yield browser


def still(path: str, folder: Path) -> Path:
    """A program that starts the one at `path` without a word of the machine's networks."""
    made = folder / "chromium"
    made.write_text(f'#!/bin/sh\nexec {shlex.join([sys.executable, still_network.__file__, path])} "$@"\n')
    made.chmod(0o755)
    return made


@pytest.fixture
def context(browser: Browser) -> Iterator[BrowserContext]:
    """A browser window of its own, without cookies of other tests."""
    context = browser.new_context(viewport={"width": 1280, "height": 900})
    context.set_default_timeout(PATIENCE_SECONDS * 1000)
    yield context
    context.close()


@pytest.fixture
def page(context: BrowserContext) -> Page:
    """An empty tab."""
    return context.new_page()


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Demo]:
    """The demo as a newcomer starts it, for all tests of a file; skips where there can be no hosts."""
    try:
        require_lab()
    except LabUnavailable as unavailable:
        if os.environ.get("CI") == "true":
            pytest.fail(f"No lab in CI: {unavailable}")
        pytest.skip(str(unavailable))
    with Demo(tmp_path_factory.mktemp("demo")) as demo:
        yield demo


@pytest.fixture
def walk(page: Page, demo: Demo, tmp_path: Path) -> Walk:
    """Somebody who is signed in to the demo."""
    walk = Walk(page, demo, tmp_path)
    walk.sign_in()
    return walk
