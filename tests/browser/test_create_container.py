"""A container in the browser: created, booted, reached by SSH, its memory changed live, stopped, destroyed."""

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Page, expect
from proxmoxer import ProxmoxAPI
from proxmoxer.tools import Tasks

from lab import Fleet
from lab.pve.real import limits
from lab.pve.real.api import LabApi
from tests.lab_fixtures import LabKey
from tests.panel import Panel
from tests.process_lists import processes_meanwhile
from tests.waiting import wait_for

pytestmark = [pytest.mark.lab, pytest.mark.browser]
PASSWORD = "correct horse battery"
NAME = "web9.example.org"

# Rows that a newcomer types in tests/browser/test_story.py; here they are not the point.
ROWS = """
from accounts.models import User
from tests.forwarding.lab_rows import enlist
from tests.lab_fixtures import LabKey
from lab import Fleet
from lab.pve.real.api import LabApi
from pathlib import Path
from proxmox.models import ProxmoxAccess

User.objects.create_superuser("ada", {password!r}, email="ada@example.org")
fleet = Fleet.find({lab!r})
host = enlist(fleet, LabKey(Path({key!r}), {public!r}))["pve1"]
api = LabApi.of(fleet, "pve1")
who, secret = api.token
ProxmoxAccess.objects.create(
    server=host, user=who, secret=secret, certificate=api.certificate_pem, fingerprint=api.fingerprint
)
"""
RUN_THERE = """
from servers.connect import connect
from servers.models import Server

with connect(Server.objects.get(name={name!r})) as host:
    print(host.run(["hostname"]).out.decode(), host.run(["cat", "/proc/1/comm"]).out.decode())
"""


@pytest.fixture
def lab_api(fleet: Fleet) -> Iterator[LabApi]:
    """The API in front of the lab's pve1, without faults, and without what this test made."""
    api = LabApi.of(fleet, "pve1")
    api.set_faults()
    yield api
    api.set_faults()
    name, secret = api.token
    user, _, token = name.partition("!")
    client = ProxmoxAPI(
        api.address, user=user, token_name=token, token_value=secret, verify_ssl=str(api.certificate_file)
    )
    for guest in client.nodes("pve1").lxc.get():
        if guest["name"].endswith(".example.org"):
            one = client.nodes("pve1").lxc(guest["vmid"])
            Tasks.blocking_status(client, one.delete(force=1), timeout=60, polling_interval=0.1)


@pytest.fixture
def panel(fleet: Fleet, lab_key: LabKey, lab_api: LabApi, data_folder: Path) -> Iterator[Panel]:
    """A panel that knows the lab's hosts, and the API of one of them."""
    with Panel(data_folder, DEMO="true") as panel:
        key = {"key": str(lab_key.path), "public": lab_key.public}
        panel.manage("shell", "-c", ROWS.format(password=PASSWORD, lab=fleet.name, **key))
        yield panel


def sign_in(page: Page, panel: Panel) -> None:
    page.goto(panel.url)
    page.locator("[name=username]").fill("ada")
    page.locator("[name=password]").fill(PASSWORD)
    page.get_by_role("button", name="Sign in").click()


def current(panel: Panel, vmid: int) -> dict[str, Any]:
    """How Proxmox says that the container is; {} where there is none."""
    return json.loads(
        panel.manage(
            "shell", "-c",
            "import json; from proxmox.client import open_api; from servers.models import Server\n"
            "from proxmox.client.errors import Gone\n"
            "with open_api(Server.objects.get(name='pve1')) as api:\n"
            "    try:\n"
            f"        now = api.get('nodes', 'pve1', 'lxc', '{vmid}', 'status', 'current')\n"
            "    except Gone:\n"
            "        now = {}\n"
            "    print(json.dumps(now))",
        ).strip().splitlines()[-1]
    )  # fmt: skip


def memory_limit(pid: int) -> int:
    """The control group's own word."""
    name = "memory.max" if limits.UNIFIED else "memory.limit_in_bytes"
    return int((limits.folder(pid, "memory") / name).read_text())


def test_a_container_is_created_boots_is_reached_changed_stopped_and_destroyed(
    page: Page, panel: Panel, fleet: Fleet, lab_api: LabApi
) -> None:
    sign_in(page, panel)
    page.goto(f"{panel.url}/proxmox/hosts/")
    page.get_by_role("link", name="pve1").first.click()
    page.get_by_role("link", name="Create a container").click()
    page.get_by_role("button", name=re.compile("Read it now|Read again")).click()
    expect(page.locator("#id_template option").first).to_contain_text("debian-12-lab")  # by itself
    page.get_by_label("Name", exact=False).first.fill(NAME)
    page.get_by_label("Memory (MiB)").fill("256")
    page.get_by_role("button", name="Show what will be done").click()
    expect(page.locator("#plan")).to_contain_text("name=eth0,bridge=vmbr0,ip=10.0.0.2/24,gw=10.0.0.1")
    with processes_meanwhile() as sampled:
        page.get_by_role("button", name="Create", exact=True).click()
        expect(page.locator("#creation")).to_contain_text(
            "It runs, and the panel's key opens it."
        )  # by itself
    told = re.search(r"container (\d+)", page.locator("#creation").inner_text())
    assert told
    vmid = int(told[1])

    now = current(panel, vmid)
    pid = int(now["pid"])
    wait_for(lambda: Path(f"/proc/{pid}/root/run/systemd/units").exists())  # systemd, really
    said = panel.manage("shell", "-c", RUN_THERE.format(name=NAME)).split()
    assert said[-2:] == [NAME, "systemd"]
    assert memory_limit(pid) == 256 << 20

    password = panel.manage("vm_password", NAME).strip()
    assert password not in panel.log.read_text()
    assert password not in page.content()
    _who, token = lab_api.token
    assert sampled.ran(f"{fleet.name}.pve1-ct{vmid}")  # LXC's, which stays as long as the container
    assert not sampled.telling(password, token)

    page.get_by_role("link", name="The server").click()
    expect(page.locator("body")).to_contain_text("10.0.0.2")
    page.goto(f"{panel.url}/proxmox/guests/?q={NAME}")
    page.get_by_role("link", name=NAME).first.click()
    expect(page.get_by_role("button", name="Shut down")).to_be_visible()
    page.get_by_role("button", name=re.compile("^(Edit|Change)$")).click()
    page.get_by_label("Memory", exact=False).first.fill("384")
    page.get_by_role("button", name="Change it").click()
    wait_for(lambda: memory_limit(pid) == 384 << 20)  # of the running one: the same process
    assert int(current(panel, vmid)["pid"]) == pid

    page.goto(f"{panel.url}/proxmox/guests/?q={NAME}")
    page.get_by_role("link", name=NAME).first.click()
    page.get_by_role("button", name="Stop", exact=True).first.click()
    expect(page.get_by_role("button", name="Start")).to_be_visible()  # by itself
    wait_for(lambda: not Path(f"/proc/{pid}").exists())

    page.locator("button, a").get_by_text("Destroy", exact=True).first.click()
    page.get_by_label("name", exact=False).first.fill(NAME)
    page.get_by_role("button", name="Destroy it").click()
    wait_for(lambda: current(panel, vmid) == {})
    assert not [one for one in fleet if one.name == f"pve1-ct{vmid}"]


def test_a_create_that_fails_says_why_leaves_nothing_and_works_the_second_time(
    page: Page, panel: Panel, lab_api: LabApi
) -> None:
    from lab.pve import TaskFails

    sign_in(page, panel)
    lab_api.set_faults([TaskFails(type="vzcreate", message="thin pool is full", done=True, times=1)])
    page.goto(f"{panel.url}/proxmox/containers/new/?host=1")
    panel.manage(
        "shell", "-c",
        "from proxmox.services.create import read_offer; from accounts.actors import Actor; "
        "from servers.models import Server; read_offer(Actor.system('t'), Server.objects.get(name='pve1'))",
    )  # fmt: skip
    wait_for(lambda: (page.reload(), page.locator("#id_template option").count())[1])
    page.get_by_label("Name", exact=False).first.fill("late.example.org")
    page.get_by_role("button", name="Create", exact=True).click()
    expect(page.locator("#creation")).to_contain_text("thin pool is full")
    page.get_by_role("button", name="Try again").click()
    expect(page.locator("#creation")).to_contain_text("It runs, and the panel's key opens it.")
