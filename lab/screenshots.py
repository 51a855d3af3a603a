"""`make screenshots`: pictures of the running demo for docs/screenshots. Start `make demo` first, in another shell."""

import os
import sys
from collections.abc import Container, Iterator
from contextlib import contextmanager
from typing import Any

from playwright.sync_api import Browser, Page, sync_playwright

from .demo import DATA, PORT, ROOT, password, port_taken

FOLDER = ROOT / "docs" / "screenshots"
# Chromium without windows, as Playwright itself has it: two thirds of the processor time of the one with windows.
CHROMIUM = "chromium-headless-shell"
# The machine's network may end at loopback and the lab, so Chromium is kept from calling home.
ARGUMENTS = [
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
# A picture's name, the page it begins on, and what is clicked there.
PICTURES = (
    ("dashboard", "/", ()),
    ("servers", "/servers/", ()),
    ("server", "/servers/", ("files1.demo.example",)),
    ("who-can-log-in", "/keymanager/", ("files1.demo.example",)),
    ("ports", "/forwarding/ports/", ()),
    ("hostname", "/forwarding/hostnames/", ("shop.demo.example",)),
    ("guests", "/proxmox/guests/", ()),
    ("backups", "/backups/", ()),
    ("wizards", "/wizards/", ()),
    ("new-server", "/wizards/runs/", ("New server",)),
    ("shares", "/samba/shares/", ()),
    ("jobs", "/jobs/", ()),
)
ON_A_PHONE_IN_THE_DARK = ("dashboard", "server")


def main() -> int:
    """Take every picture; the exit code is 1 when no demo runs."""
    if not (port_taken(PORT) and (DATA / "admin-password").exists()):
        print("No demo runs here. Start it in another shell: make demo", file=sys.stderr)
        return 1
    FOLDER.mkdir(exist_ok=True)
    with chromium() as browser:
        take(
            browser,
            "",
            [name for name, *_ in PICTURES],
            viewport={"width": 1280, "height": 800},
            color_scheme="light",
        )
        take(
            browser,
            "-phone",
            ON_A_PHONE_IN_THE_DARK,
            viewport={"width": 390, "height": 800},
            color_scheme="dark",
        )
    return 0


@contextmanager
def chromium(path: str = f"/usr/bin/{CHROMIUM}") -> Iterator[Browser]:
    """Debian's Chromium without a screen; as root it must do without its sandbox."""
    arguments = [*ARGUMENTS, "--no-sandbox"] if os.geteuid() == 0 else ARGUMENTS
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=arguments)
        yield browser
        browser.close()


def take(browser: Browser, suffix: str, names: Container[str], **look: Any) -> None:
    """Sign in with a window of this look, and save the pictures of these names."""
    page = browser.new_context(reduced_motion="reduce", **look).new_page()
    sign_in(page)
    for name, url, clicks in PICTURES:
        if name in names:
            page.goto(f"http://127.0.0.1:{PORT}{url}")
            for words in clicks:
                page.locator("main").get_by_role("link", name=words).first.click()
            page.wait_for_load_state("load")
            page.wait_for_timeout(1500)  # live parts fetch what they show
            page.screenshot(path=str(FOLDER / f"{name}{suffix}.png"))


def sign_in(page: Page) -> None:
    """As the demo's admin."""
    page.goto(f"http://127.0.0.1:{PORT}/sign-in/")
    page.locator("[name=username]").fill("admin")
    page.locator("[name=password]").fill(password())
    page.locator("form .btn-primary").click()
    page.wait_for_url(f"http://127.0.0.1:{PORT}/")


if __name__ == "__main__":
    sys.exit(main())
