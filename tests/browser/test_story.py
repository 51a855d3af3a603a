"""The whole of it, as a newcomer does it: in the browser, on a real panel, with real hosts and the real ssh."""

import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from lab import Fleet, LabHost
from tests.browser.enlisted import contact, send
from tests.panel import Panel
from tests.waiting import wait_for

pytestmark = [pytest.mark.lab, pytest.mark.browser]
PASSWORD = "a long enough password"


@pytest.fixture
def panel(fleet: Fleet, tmp_path: Path) -> Iterator[Panel]:
    """An empty panel that the hosts can reach."""
    with Panel(tmp_path, also_at=[fleet.panel_address], DEMO="true") as panel:
        yield panel


def test_a_newcomer_lets_a_person_into_a_real_server_and_out_again(
    page: Page, panel: Panel, fleet: Fleet, tmp_path: Path
) -> None:
    host = fleet["files1"]

    make_the_admin_account(page, panel)
    add_the_server(page, panel, host)
    set_up_key_fetching(page)
    key = make_key(tmp_path)
    add_a_person_with_a_key(page, panel, key.with_suffix(".pub").read_text())
    assert not lets_in(host, key)

    add_a_group_rule(page, panel)
    wait_for(lambda: lets_in(host, key), name="the person's key on the server")
    page.goto(f"{panel.url}/keymanager/")
    overview = page.locator("main")
    wait_for(lambda: bool(page.reload()) and "current" in overview.inner_text(), name="“current”")
    says_why(page)

    take_the_key_away(page, panel)
    wait_for(lambda: not lets_in(host, key), name="the end of the person's key")
    page.goto(f"{panel.url}/audit/")
    expect(page.locator("main")).to_contain_text("deleted: key")


def make_the_admin_account(page: Page, panel: Panel) -> None:
    page.goto(panel.url)
    expect(page).to_have_url(f"{panel.url}/setup/")
    page.get_by_label("Set-up code").fill(panel.manage("setup_code", "--plain").strip())
    page.get_by_label("User name").fill("ada")
    page.locator("[name=password]").fill(PASSWORD)
    page.locator("[name=password_again]").fill(PASSWORD)
    page.get_by_role("button", name="Make the account").click()
    expect(page.get_by_role("heading", name="Dashboard")).to_be_visible()


def add_the_server(page: Page, panel: Panel, host: LabHost) -> None:
    page.goto(f"{panel.url}/servers/new/")
    page.locator("[name=name]").fill("files1.example.org")
    page.locator("[name=external_ip]").fill(host.address)
    page.locator("[name=ssh_connection]").fill(host.connection)
    page.get_by_role("button", name="Add server").click()
    expect(page.get_by_role("heading", name="files1.example.org")).to_be_visible()
    # The admin's own step: the panel's key into the host's authorized_keys, as its page says.
    page.goto(f"{panel.url}/servers/key/")
    line = page.locator("main").get_by_text("ssh-ed25519").first
    host.trust([(line.input_value() if line.evaluate("e => 'value' in e") else line.inner_text()).strip()])
    page.goto(f"{panel.url}/servers/1/")
    accept = page.get_by_role("button", name="Accept")
    wait_for(lambda: bool(page.reload()) and accept.count() > 0, name="the fingerprint")
    shown = page.locator("main .notice code.fingerprint").first.inner_text()
    assert shown == fingerprint(host), "the page shows another host key than the host has"
    send(page, accept)
    wait_for(lambda: contact(page) == "reachable", name="the contact")


def set_up_key_fetching(page: Page) -> None:
    page.get_by_role("link", name="Who and why").click()
    send(page, page.get_by_role("button", name="Set it up"))
    fetching = page.locator("section", has=page.get_by_role("heading", name="Fetching"))
    wait_for(lambda: bool(page.reload()) and "current" in fetching.inner_text(), name="the first fetch")


def add_a_person_with_a_key(page: Page, panel: Panel, public_key: str) -> None:
    page.goto(f"{panel.url}/users/new/")
    page.locator("[name=username]").fill("grace")
    page.locator("[name=full_name]").fill("Grace Hopper")
    page.locator("main form .btn-primary").click()
    expect(page.get_by_role("heading", name="Grace Hopper")).to_be_visible()
    page.get_by_role("link", name="Add or delete").click()
    page.locator("main textarea").fill(public_key)
    page.get_by_role("button", name="Add").click()
    expect(page.locator("main")).to_contain_text("grace@laptop")


def add_a_group_rule(page: Page, panel: Panel) -> None:
    page.goto(f"{panel.url}/keymanager/groups/new/")
    page.locator("[name=name]").fill("Operators")
    page.locator("main form .btn-primary").click()
    expect(page.get_by_role("heading", name="Operators")).to_be_visible()
    page.locator("main").get_by_role("link", name="People").first.click()
    page.locator("#candidates").get_by_label("Grace Hopper").check()
    send(page, page.locator("#candidates").get_by_role("button", name="Add"))
    expect(page.locator("#list")).to_contain_text("Grace Hopper")
    page.get_by_role("link", name="Servers (every unix user)").click()
    page.locator("#candidates").get_by_label("files1.example.org").check()
    page.locator("#candidates").get_by_role("button", name="Add").click()
    expect(page.locator("#list")).to_contain_text("files1.example.org")


def says_why(page: Page) -> None:
    page.get_by_role("link", name="files1.example.org").click()
    expect(page.locator("main")).to_contain_text("Operators")
    expect(page.locator("main")).to_contain_text("Grace Hopper")


def take_the_key_away(page: Page, panel: Panel) -> None:
    page.goto(f"{panel.url}/users/2/")
    page.get_by_role("link", name="Add or delete").click()
    page.locator("main table").get_by_role("link", name="Delete").click()
    page.get_by_role("button", name="Delete").click()
    # Hers was the only key of root that the panel knows: it asks for a second word.
    page.locator("[name=confirm_lockout]").check()
    send(page, page.locator("main form .btn-danger, main form .btn-primary").first)
    expect(page.locator("main")).not_to_contain_text("grace@laptop")


def make_key(folder: Path) -> Path:
    """A person's key pair."""
    path = folder / "id_grace"
    argv = ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", "grace@laptop", "-f", str(path)]
    subprocess.run(argv, check=True)
    return path


def fingerprint(host: LabHost) -> str:
    """The host key's fingerprint, as ssh-keygen says it on the host's console."""
    said = host.exec(["ssh-keygen", "-lf", "/etc/ssh/ssh_host_ed25519_key.pub"])
    return said.stdout.decode().split()[1]


def lets_in(host: LabHost, key: Path) -> bool:
    """Whether OpenSSH's client gets in with this key alone."""
    address, port = host.ssh_endpoint
    options = ["BatchMode=yes", "IdentitiesOnly=yes", "StrictHostKeyChecking=no", "ConnectTimeout=20"]
    options.append(f"UserKnownHostsFile={key.with_name('known')}")
    argv = ["ssh", "-F", "none", "-i", str(key), "-p", str(port)]
    argv += [word for option in options for word in ("-o", option)]
    done = subprocess.run([*argv, f"root@{address}", "true"], capture_output=True, timeout=60, check=False)
    return done.returncode == 0
