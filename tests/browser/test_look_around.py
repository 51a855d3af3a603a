"""“Look around” of docs/first-steps.md is tried as it stands, in the demo: each point by itself, in any order."""

import re
from pathlib import Path

import pytest
from playwright.sync_api import expect

from tests.browser.enlisted import contact
from tests.browser.walk import Block, Trials, Walk, blocks
from tests.waiting import wait_for

pytestmark = [pytest.mark.browser]
SAID = [block for block in blocks("docs/first-steps.md") if block.heading == "Look around"]
WEB1 = "This is web1."
TEMPLATE = "debian-12-lab"
trials = Trials()


def test_each_point_is_tried_and_nothing_else() -> None:
    trials.check(SAID)


@pytest.mark.lab
@pytest.mark.parametrize("block", SAID, ids=lambda block: "-".join(re.findall(r"\w+", block.text)[:4]))
def test_what_a_point_says_is_so(walk: Walk, block: Block) -> None:
    wait_for(lambda: has_begun(walk), 180, walk.demo.log, name="what the demo begins with")
    trials.walk(walk, block)


def has_begun(walk: Walk) -> bool:
    """Whether all that the demo begins with has been rolled out, and what pve1 offers has been read."""
    ask = walk.page.request.get
    rows = ask(f"{walk.demo.url}/servers/rollouts/", headers={"Accept": "application/json"}).json()["rows"]
    form = ask(f"{walk.demo.url}/proxmox/containers/new/").text()
    return not {"waiting", "applying"} & {row["state"] for row in rows} and TEMPLATE in form


@trials.of("Each of these stands alone.")
def alone(_walk: Walk, _block: Block) -> None:
    """As tests are: in any order."""


@trials.of("""
- Change a file of ours by hand, `.venv/bin/python -m lab run files1 -- sh -c 'echo "# mine" >>
/etc/cron.d/gestion-keys'`, then **Rollouts**, **Key fetching** of `files1.demo.example`, **What would happen?**:
the difference is shown, with a button that puts it back.
""")
def a_file_changed_by_hand(walk: Walk, block: Block) -> None:
    rollouts, keys, would = block.clicks
    assert walk.run(block.commands[0]).returncode == 0
    walk.click(rollouts)
    row = walk.page.get_by_role("row", name=re.compile(f"files1.demo.example {keys}"))
    walk.click(keys, where=row)
    walk.click(would)
    walk.says("-# mine")
    walk.click("Put it back")
    walk.says("None at the last look: the server holds what it should.")
    shown = walk.demo.fleet["files1"].exec(["cat", "/etc/cron.d/gestion-keys"]).stdout
    assert b"gestion-keys --cron" in shown
    assert b"# mine" not in shown


@trials.of("""
- Switch a host off, `.venv/bin/python -m lab stop backup1`, and **Check now** on its page: it is unreachable, and
the dashboard says so. `.venv/bin/python -m lab start backup1` and **Check now** bring it back.
""")
def a_host_switched_off(walk: Walk, block: Block) -> None:
    stop, start = block.commands
    check, check_again = block.clicks
    # The first copy is being made when the demo begins; in its middle it would be tried again only minutes later.
    copy = ["test", "-d", "/backups/files1/hourly.0"]
    wait_for(lambda: not walk.demo.fleet["backup1"].exec(copy).returncode, name="the first copy")
    walk.click("Backups", "files1.demo.example:/var/www")
    walk.says("hourly.0")
    assert walk.run(stop).returncode == 0
    walk.open_server("backup1.demo.example")
    walk.click(check)
    wait_for(lambda: contact(walk.page) == "unreachable", name="unreachable")
    walk.click("Dashboard")
    expect(
        walk.main.get_by_role("link", name=re.compile("backup1.demo.example cannot be reached"))
    ).to_be_visible()

    assert walk.run(start).returncode == 0
    walk.open_server("backup1.demo.example")
    walk.click(check_again)
    wait_for(lambda: contact(walk.page) == "reachable", name="reachable")


@trials.of("""
- **Ports → Forward a port**: 8080 of `pve1` to port 80 of `web1`. `curl http://198.51.100.2:8080/`, with `pve1`'s
address from its page, is answered by `web1`; so is **Try it** on the rule's page, step by step.
""")
def a_port(walk: Walk, block: Block) -> None:
    ports, forward, try_it = block.clicks
    walk.click(ports, forward)
    forward_port(walk, "web1.demo.example", "8080", "80")
    wait_for(lambda: WEB1 in walk.run(block.commands[0]).stdout, name="web1 by the port")
    walk.click(try_it)
    walk.says("It answers all the way.")
    walk.open_server("pve1.demo.example")
    expect(walk.page.locator("#contact")).to_contain_text(walk.demo.at_its_own_addresses("198.51.100.2"))


def forward_port(walk: Walk, server: str, port: str, inside: str) -> None:
    """Fill in and send the form of a port."""
    choice = walk.page.get_by_label("Destination", exact=False).first
    value = choice.locator("option", has_text=server).get_attribute("value")
    choice.select_option(value)
    walk.page.get_by_label("Port of the host").fill(port)
    walk.page.get_by_label("Port of the destination").fill(inside)
    walk.click("Save and roll out")
    expect(walk.page.locator("#port .state").first).to_have_text("active")


@trials.of("""
- **Hostnames**: `shop.demo.example` leads to `web1`, through the nginx of `proxy`; from this machine, with
`pve1`'s address from its page: `curl -H 'Host: shop.demo.example' http://198.51.100.2/`. **Add a hostname** of
your own, then **Try it**: each step of the way answers but DNS, where nobody knows such a name.
""")
def a_hostname(walk: Walk, block: Block) -> None:
    hostnames, add, try_it = block.clicks
    (curl,) = block.commands
    wait_for(lambda: WEB1 in walk.run(curl).stdout, name="the shop, which is rolled out when the demo begins")
    walk.click(hostnames)
    walk.click("shop.demo.example", where=walk.main)
    walk.says("web1.demo.example", "nginx on proxy.demo.example")
    walk.click(hostnames, add)
    walk.page.get_by_label("Domain").fill("own.demo.example")
    choice = walk.page.locator("[name=destinations]").first
    choice.select_option(choice.locator("option", has_text="web1.demo.example").get_attribute("value"))
    walk.click("Save and roll out")
    expect(walk.page.locator("#hostname .state").first).to_have_text("active")
    assert WEB1 in walk.run(curl.replace("shop.", "own.")).stdout
    walk.click(try_it)
    walk.says("own.demo.example does not resolve: DNS has no address for it.")
    for step in (
        "Something listens",
        "The nginx server reaches",
        "nginx serves",
        "The host reaches",
        "answers from outside",
    ):
        walk.says(step)
    assert walk.main.inner_text().count("answers: 200 OK") == 3


@trials.of("""
- **Guests**: `pve1` has a Proxmox API with real containers behind it. **Create a container**, with the line of
`/tmp/linus.pub` under “More SSH keys for root”; forward port 2222 of `pve1` to its port 22, and log in: `ssh -p
2222 -i /tmp/linus root@198.51.100.2`. **Change** its memory, **Destroy** it.
""")
def a_guest(walk: Walk, block: Block) -> None:
    guests, create, change, destroy = block.clicks
    walk.click(guests, create)
    walk.page.get_by_label("Name", exact=False).first.fill("web9.demo.example")
    walk.page.get_by_label("More SSH keys for root").fill(new_key(walk))
    walk.click("Create")
    expect(walk.page.locator("#creation")).to_contain_text("It runs, and the panel's key opens it.")
    walk.click("Ports", "Forward a port")
    forward_port(walk, "web9.demo.example", "2222", "22")
    assert walk.run(block.commands[0]).stdout.strip() == "web9.demo.example"

    walk.click(guests, "web9")
    walk.click(change)
    walk.page.get_by_label("Memory", exact=False).first.fill("384")
    walk.click("Change it")
    walk.says("384")
    walk.click(guests, "web9", destroy)
    walk.page.get_by_label("name", exact=False).first.fill("web9.demo.example")
    walk.click("Destroy it")
    wait_for(
        lambda: not [host for host in walk.demo.fleet if host.name.startswith("pve1-ct")],
        name="the end of it",
    )


def new_key(walk: Walk) -> str:
    """Make the key pair of the first steps; its public line."""
    assert walk.run("ssh-keygen -q -t ed25519 -N '' -C linus@laptop -f /tmp/linus").returncode == 0
    return walk.folder.joinpath("linus.pub").read_text()


@trials.of("""
- **Wizards → New server**: type a name such as `shop2.demo.example`, choose `pve1`, **Take the defaults for the
rest**, and look at the plan. **Do it**: about half a minute later it can be reached under its domain and, with the
keys that you have under **My SSH keys**, by the `ssh` that its page shows, and is backed up. **Undo** takes all of
it away again.
""")
def a_new_server(walk: Walk, block: Block) -> None:
    wizards, new, rest, do_it, my_keys, undo = block.clicks
    name = "shop2.demo.example"
    walk.click(my_keys)
    walk.main.locator("textarea").fill(new_key(walk))
    walk.click("Add")
    walk.click(wizards, f"Begin: {new}")
    walk.page.get_by_label("Name").fill(name)
    walk.page.get_by_label("Proxmox host").select_option("pve1.demo.example")
    walk.click(rest)
    walk.says(
        "This will be done",
        f"Add {name} to the inventory",
        f"Back it up to backup1.demo.example, into /backups/{name}",
    )
    walk.click(do_it)
    expect(walk.page.get_by_role("heading", name="What you have now")).to_be_visible(timeout=180_000)
    shown = re.search(r"ssh (-p \d+ root@\S+)", walk.main.inner_text())
    assert shown
    assert walk.run(f"ssh -i /tmp/linus {shown[1]}").stdout.strip() == name
    assert "nginx" in walk.run(f"curl -H 'Host: {name}' http://198.51.100.2/").stdout
    walk.click("Backups", f"{name}:/")
    walk.says("hourly.0")

    walk.click(wizards, "Runs", f"New server: {name}", undo)
    walk.page.get_by_label("I know what will be gone.").check()
    walk.click("Undo it")
    expect(walk.page.locator(".page-subtitle .state")).to_have_text("undone", timeout=180_000)
    for room in ("Servers", "Ports", "Hostnames", "Backups", "Guests"):
        walk.click(room)
        expect(walk.page.locator("#list")).not_to_contain_text(name)
    assert walk.demo.fleet["backup1"].exec(["test", "-e", f"/backups/{name}"]).returncode


@trials.of("""
- **Shares**: `photos` on `files1`. **Show the password** on its page, and try it from another host:
`.venv/bin/python -m lab run backup1 -- smbclient //198.51.100.4/photos -U smb-photos`.
""")
def a_share(walk: Walk, block: Block) -> None:
    shares, show = block.clicks
    walk.click(shares)
    walk.click("photos", where=walk.main)
    walk.click(show)
    password = walk.page.locator("#connect-password").input_value()
    said = walk.run(block.commands[0], stdin=f"{password}\nls\n")
    assert "blocks available" in said.stdout, said
    assert "NT_STATUS_LOGON_FAILURE" in walk.run(block.commands[0], stdin=f"{password[::-1]}\nls\n").stdout


@trials.of("""
- **Backups**: `/var/www` of `files1` is copied to `backup1`. **Run now**, look into a copy, download a file,
restore a folder, **Verify now**.
""")
def a_backup(walk: Walk, block: Block) -> None:
    backups, run_now, verify = block.clicks
    files1 = walk.demo.fleet["files1"]
    walk.click(backups, "files1.demo.example:/var/www")
    walk.says("hourly.0")  # by itself: it is due when the demo begins
    walk.click(run_now)  # which leads to the page of the run
    expect(walk.main.locator(".state").first).to_have_text("done", timeout=180_000)
    walk.click(backups, "files1.demo.example:/var/www")
    walk.says("hourly.1")
    walk.click("hourly.0", "html")
    with walk.page.expect_download() as downloading:
        walk.page.get_by_role("button", name="Download index.html").click()
    page = files1.exec(["cat", "/var/www/html/index.html"]).stdout
    assert Path(downloading.value.path()).read_bytes() == page
    files1.exec(["rm", "/var/www/html/index.html"])
    walk.click("Restore this folder", "Show what it would change")
    walk.says("Nothing was changed yet", "index.html")
    walk.page.get_by_label(
        "What is there may be written over."
    ).check()  # the folder's date is another one now
    walk.click("Restore now")
    wait_for(lambda: files1.exec(["cat", "/var/www/html/index.html"]).stdout == page, name="the file again")
    walk.click(backups, "files1.demo.example:/var/www", verify)
    walk.says("What was restored is the same as the copy")


@trials.of("- **Scripts**: **Run** `server.setup` on `web1`.")
def a_script(walk: Walk, block: Block) -> None:
    scripts, run = block.clicks
    walk.click(scripts)
    walk.click(run, where=walk.page.get_by_role("row", name=re.compile("^server.setup")))
    walk.page.get_by_label("web1.demo.example").check()
    walk.click("Run it")
    expect(walk.main.locator(".state").first).to_have_text("done")
