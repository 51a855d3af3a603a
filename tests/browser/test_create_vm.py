"""create_vm in the browser: from two fields to the plan; then changed, done without a container, undone."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from tests.browser.test_story import make_the_admin_account
from tests.panel import Panel

pytestmark = [pytest.mark.browser]
NAME = "shop.example.org"
ROWS = """
from keymanager.services.groups import create_group
from tests.wizards.create_vm_ground import *
host = proxmox_host()
with_nginx(host)
with_backup_server()
create_group(SYSTEM, name="Servers")
"""
PLAN = (
    f"Add {NAME} to the inventory",
    "A member of the group Servers",
    "The group Gestion is allowed on it",
    "10.0.0.3, 1 CPU, 1024 MiB of memory, 8 GiB of local-lvm",
    "Port 103 of pve1.example.org leads to its SSH",
    "-p 103 root@198.51.100.9",
    "Run the script server.setup on it",
    f"{NAME} leads to its port 80",
    f"Back it up to backup1.example.org, into /backups/{NAME}",
    "Run the first backup",
)


@pytest.fixture
def panel(data_folder: Path) -> Iterator[Panel]:
    with Panel(data_folder) as panel:
        panel.manage("shell", "-c", ROWS)
        yield panel


def test_two_fields_and_the_plan_is_there_and_open_to_change(page: Page, panel: Panel) -> None:
    make_the_admin_account(page, panel)
    main = page.locator("main")

    page.goto(f"{panel.url}/wizards/")
    page.get_by_role("link", name="Begin: New server").click()
    page.get_by_label("Name").fill(NAME)
    page.get_by_label("Proxmox host").select_option("pve1.example.org")
    page.get_by_role("button", name="Take the defaults for the rest").click()
    expect(page.get_by_role("heading", name="This will be done")).to_be_visible()
    for line in PLAN:
        expect(main).to_contain_text(line)

    page.get_by_role("link", name="Change Container").click()
    expect(page.get_by_label("Address", exact=True)).to_have_value("10.0.0.3")
    page.get_by_label("Create the container").uncheck()
    page.get_by_role("button", name="Next").click()
    expect(page.get_by_label("Run a script on it")).not_to_be_checked()  # nothing to log in to
    page.get_by_label("Run a script on it").check()
    page.get_by_role("button", name="Next").click()
    expect(main).to_contain_text("There is nothing to log in to: no container is created.")
    page.get_by_label("Run a script on it").uncheck()
    page.get_by_label("Forward a port of the host to its SSH").uncheck()
    page.get_by_role("button", name="Next").click()
    expect(main).to_contain_text("does not lead to it: forward that port, or leave this empty.")
    page.get_by_label("SSH connection from Gestion").fill("")
    page.get_by_label("SSH connection from the backup server").fill("")
    page.get_by_role("button", name="Next").click()
    expect(page.get_by_label("Back it up")).not_to_be_checked()
    page.get_by_label("Lead a domain to it").uncheck()
    page.get_by_role("button", name="Look over").click()

    page.get_by_role("button", name="Do it").click()
    expect(page.get_by_role("heading", name="What you have now")).to_be_visible()
    page.get_by_role("link", name=NAME).first.click()
    expect(main).to_contain_text("10.0.0.3")
    page.go_back()
    page.get_by_role("link", name="Undo").click()
    page.get_by_label("I know what will be gone.").check()
    page.get_by_role("button", name="Undo it").click()
    expect(page.locator(".page-subtitle .state")).to_have_text("undone")
    page.goto(f"{panel.url}/servers/?q={NAME}")
    expect(page.get_by_role("link", name=NAME)).to_have_count(0)
