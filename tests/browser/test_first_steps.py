"""docs/first-steps.md is walked as it stands, in the demo and in an empty panel: real hosts, Chromium, ssh."""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from tests.browser.demo import Demo, recipe
from tests.browser.enlisted import contact, send
from tests.browser.test_story import PASSWORD, fingerprint
from tests.browser.walk import Block, Trials, Walk, blocks
from tests.panel import Panel
from tests.waiting import wait_for

pytestmark = [pytest.mark.browser]
SAID = [block for block in blocks("docs/first-steps.md") if block.heading != "Look around"]
OWN = "With your own servers"
trials = Trials()


def test_each_block_is_tried_and_nothing_else() -> None:
    trials.check(SAID)


@pytest.mark.lab
def test_a_person_is_let_in_and_taken_out_as_the_steps_say(walk: Walk) -> None:
    for block in SAID:
        if block.heading != OWN:
            trials.walk(walk, block)


@trials.of("""
Ten minutes with the demo: let a person into a server, log in as that person, take the key away again. With your own
servers (`make run`) it is the same, with the steps at the end.
""")
def what_it_is(_walk: Walk, _block: Block) -> None:
    """The rest is what it says: the steps, and those of one's own servers below."""
    assert recipe("run")[-1] == ".venv/bin/python manage.py panel"
    assert SAID[-1].heading == OWN


@trials.of("""
`make demo`, as root. It prints an address and a password; sign in as `admin`. The dashboard says what needs
attention first. Under **Servers** are five real hosts of this machine: `pve1`, a Proxmox host; `proxy` and `web1`,
containers behind it; `backup1`; `files1`. Each has fetched its keys already, as **Who can log in** says.
""")
def start(walk: Walk, block: Block) -> None:
    """What `make demo` runs has begun: it has printed what was signed in with."""
    servers, who = block.clicks
    assert walk.demo.user == "admin"
    expect(walk.main.get_by_role("heading").nth(1)).to_have_text("Needs attention")
    walk.click(servers)
    walk.says("5 entries")
    for name in ("pve1", "proxy", "web1", "backup1", "files1"):
        assert name in block.text
        row = walk.main.get_by_role("row", name=re.compile(f"^{name}.demo.example"))
        expect(row).to_contain_text("Proxmox" if name == "pve1" else name)
        expect(row).to_contain_text("pve1.demo.example" if name in {"proxy", "web1"} else name)
        assert walk.demo.fleet[name].exec(["hostname"]).stdout.decode().strip() == name
    walk.click(who)
    current = walk.main.get_by_text("current", exact=True)
    wait_for(lambda: walk.page.reload() and current.count() == 5, 180, walk.demo.log, name="five fetches")


@trials.of("In another shell on the same machine, in the same folder:")
def another_shell(_walk: Walk, _block: Block) -> None:
    """Where the next block is run."""


@trials.of("""
ssh-keygen -t ed25519 -N '' -C linus@laptop -f /tmp/linus
cat /tmp/linus.pub
""")
def a_key(walk: Walk, block: Block) -> None:
    make, show = block.commands
    assert walk.run(make).returncode == 0
    assert walk.run(show).stdout == walk.folder.joinpath("linus.pub").read_text()


@trials.of("""
**People → New person**: a name, say `linus`, is enough; without a password he cannot sign in to the panel, but his
keys count. On his page, under **SSH keys**, choose **Add or delete**, paste the line of `/tmp/linus.pub`, and
**Add** it.
""")
def a_person(walk: Walk, block: Block) -> None:
    people, new, keys, add_or_delete, add = block.clicks
    walk.click(people, new)
    walk.page.get_by_label("User name").fill("linus")
    walk.click("Make the account")
    walk.says("none: cannot sign in")
    panel = walk.main.locator("section, .card", has=walk.page.get_by_role("heading", name=keys)).last
    walk.click(add_or_delete, where=panel)
    walk.main.locator("textarea").fill(walk.run("cat /tmp/linus.pub").stdout)
    walk.click(add)
    walk.says("linus@laptop")


@trials.of("""
**Groups → New group**: call it `Operators`. On its page choose **People**, tick `linus`, **Add**; then **Servers
(every unix user)**, tick `files1.demo.example`, **Add**. The page says that one server is concerned; it is told to
fetch at once, and does within seconds. **Who can log in → files1.demo.example** now shows `linus`, and why:
Operators, allowed on files1.
""")
def a_rule(walk: Walk, block: Block) -> None:
    groups, new, people, add, servers, add_too, who, server = block.clicks
    walk.click(groups, new)
    walk.page.get_by_label("Name").fill("Operators")
    walk.click("Make the group")
    walk.click(people, where=walk.main)
    walk.page.locator("#candidates").get_by_label("linus").check()
    walk.click(add, servers)
    walk.page.locator("#candidates").get_by_label(server).check()
    walk.click(add_too)
    walk.says("1 server concerned in all")
    wait_for(lambda: b"linus@laptop" in keys_on(walk, "files1"), name="the key on files1")
    walk.click(who, server)
    walk.says("Operators allowed on files1.demo.example")
    walk.says("linus@laptop")


@trials.of("The address of `files1` is on its page, under **Contact**:")
def the_address(walk: Walk, block: Block) -> None:
    walk.open_server("files1.demo.example")
    contact = walk.page.locator("#contact")
    expect(contact).to_contain_text(block.clicks[0])
    expect(contact).to_contain_text(f"root@{walk.demo.at_its_own_addresses('198.51.100.4')}")


@trials.of("ssh -i /tmp/linus root@198.51.100.4   # the address that the page shows")
def log_in(walk: Walk, block: Block) -> None:
    assert ssh(walk, block) == (0, "files1")


def ssh(walk: Walk, block: Block) -> tuple[int, str]:
    """How the ssh of that block ends, and where it was."""
    command = block.commands[0].partition("#")[0]
    done = walk.run(command)
    return done.returncode, done.stdout.strip() or done.stderr.strip()


@trials.of("""
Delete the key on the person's page (**Add or delete**, **Delete**), or take him out of the group. The page says
what it opens before it is deleted. A few seconds later the same `ssh` is refused. The **Audit trail** has it all:
who, when, from where, before and after.
""")
def take_it_away(walk: Walk, block: Block) -> None:
    """Out of the group and in again first, then the key."""
    add_or_delete, delete, trail = block.clicks
    login = next(one for one in SAID if one.is_code and "ssh -i" in one.text)
    walk.click("Groups", "Operators")
    walk.click("People", where=walk.main)
    walk.page.get_by_role("row", name=re.compile("linus")).get_by_role("button").click()
    wait_for(lambda: ssh(walk, login)[0] == 255, name="the end of the key")
    walk.page.locator("#candidates").get_by_label("linus").check()
    walk.click("Add")
    wait_for(lambda: ssh(walk, login)[0] == 0, name="the key again")

    walk.click("People", "linus", add_or_delete, delete)
    walk.says("files1.demo.example")
    walk.click(delete, where=walk.main)
    walk.click(trail)  # before the server is waited for: "just now" is a minute
    row = walk.main.get_by_role("row", name=re.compile("deleted: key")).first
    for words in ("just now", "admin", "127.0.0.1", "linus@laptop"):
        expect(row).to_contain_text(words)
    walk.says("put into a group", "allowed a group somewhere", "added: key")
    wait_for(lambda: ssh(walk, login)[0] == 255, name="the end of the key")
    assert "Permission denied" in ssh(walk, login)[1]


@trials.of(
    "Should a key be the last one that the panel knows for a server's root, it asks for a second word first."
)
def the_last_key(walk: Walk, _block: Block) -> None:
    """Of files1, all keys: those of its owner, and of the two groups that are allowed there."""
    walk.open_server("files1.demo.example")
    walk.click("Edit")
    walk.page.get_by_label("Grace Hopper").uncheck()
    walk.click("Save")
    for group in ("Backup", "Gestion"):
        walk.click("Groups")
        walk.click(group, "Servers (every unix user)", where=walk.main)
        taken = walk.page.get_by_role("row", name=re.compile("files1")).get_by_role("button")
        send(walk.page, taken)
    walk.says("files1.demo.example")
    expect(walk.page.locator("[name=confirm_lockout]")).to_be_visible()


def keys_on(walk: Walk, host: str) -> bytes:
    """What the panel has root of a host let in."""
    return walk.demo.fleet[host].exec(["cat", "/root/.ssh/authorized_keys2"]).stdout


# With your own servers


@pytest.fixture
def empty_panel(demo: Demo, tmp_path: Path) -> Iterator[Panel]:
    """What `make run` starts, where the demo's hosts reach it; pve2 is a server that nobody manages yet."""
    with Panel(tmp_path, also_at=[demo.fleet.panel_address], DEMO="true") as panel:
        yield panel


@pytest.mark.lab
def test_an_own_server_is_taken_in_as_the_steps_say(
    page: Page, demo: Demo, empty_panel: Panel, tmp_path: Path
) -> None:
    walk = Walk(page, demo, tmp_path)
    walk.panel = empty_panel
    for block in SAID:
        if block.heading == OWN:
            trials.walk(walk, block)


@trials.of("""
`make run`; the first page asks for the set-up code that the terminal shows, and makes the admin account. Then, for
each server:
""")
def the_first_page(walk: Walk, _block: Block) -> None:
    assert walk.panel
    terminal = walk.panel.log
    # The panel answers others a moment before it has asked itself, and says so.
    code = wait_for(
        lambda: re.search(r"[Ss]et-up code:?\s+(\S+)\n", terminal.read_text()), log=terminal, name="the code"
    )
    walk.page.goto(walk.panel.url)
    walk.page.get_by_label("Set-up code").fill(code[1])
    walk.page.get_by_label("User name").fill("ada")
    for name in ("password", "password_again"):
        walk.page.locator(f"[name={name}]").fill(PASSWORD)
    walk.click("Make the account")
    expect(walk.page.get_by_role("heading", name="Dashboard")).to_be_visible()


@trials.of("""
1. **Servers → New server**: its name and how SSH reaches it, as `root@host` or `-p 222 root@host`.
""")
def a_server(walk: Walk, block: Block) -> None:
    walk.click(*block.clicks)
    walk.page.locator("[name=name]").fill("pve2.example.org")
    walk.page.locator("[name=ssh_connection]").fill(walk.demo.fleet["pve2"].connection)
    walk.click("Add server")
    expect(walk.page.get_by_role("heading", name="pve2.example.org")).to_be_visible()


@trials.of("""
2. Put the panel's key into its `/root/.ssh/authorized_keys`; the page **The panel's key** has the line to paste.
That file stays yours: Gestion never touches it.
""")
def the_panels_key(walk: Walk, block: Block) -> None:
    walk.click("Servers", *block.clicks)
    line = walk.page.get_by_label("Public key").input_value()
    walk.demo.fleet["pve2"].trust([line])


@trials.of("""
3. Compare the fingerprint on the server's page with the one on its console, and accept it.
""")
def the_fingerprint(walk: Walk, _block: Block) -> None:
    walk.open_server("pve2.example.org")
    shown = walk.main.locator(".notice code.fingerprint").first
    wait_for(lambda: walk.page.reload() and shown.count(), name="the fingerprint")
    assert shown.inner_text() == fingerprint(walk.demo.fleet["pve2"])
    walk.click("Accept")
    wait_for(lambda: contact(walk.page) == "reachable", name="the contact")


@trials.of("""
4. **Who can log in → the server → Set it up**: it fetches its keys from now on, every hour and after each change.
Servers fetch over HTTPS only: put a proxy with a certificate in front, and set `GESTION_URL` and `TRUST_PROXY`
([configuration](configuration.md)).
""")
def the_keys(walk: Walk, block: Block) -> None:
    """That servers fetch over HTTPS only is tests/keymanager's; this panel has DEMO set for that reason."""
    who, _the_server, set_it_up = block.clicks
    before = walk.demo.fleet["pve2"].exec(["cat", "/root/.ssh/authorized_keys"]).stdout
    walk.click(who, "pve2.example.org", set_it_up)
    wait_for(lambda: walk.page.reload() and "current" in walk.main.inner_text(), name="the first fetch")
    assert b"* * * * root /usr/local/sbin/gestion-keys" in cron(walk)
    assert walk.demo.fleet["pve2"].exec(["cat", "/root/.ssh/authorized_keys"]).stdout == before


def cron(walk: Walk) -> bytes:
    """When pve2 fetches."""
    return walk.demo.fleet["pve2"].exec(["cat", "/etc/cron.d/gestion-keys"]).stdout
