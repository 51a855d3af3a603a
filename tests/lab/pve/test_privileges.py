"""Each call asks for the privileges that Proxmox asks for, and names the one that is missing."""

import json
import re
from collections.abc import Iterator
from typing import Any
from urllib.parse import urlencode

import pytest

from lab.pve import Grant, PveServer, World
from tests.lab.pve.recordings import CHECKOUT, Player, recorded

CT = "/nodes/pve/lxc/"
STORAGE = "/nodes/pve/storage/local"
NEW = {"ostemplate": "local:vztmpl/debian-12-standard_12.7-1_amd64.tar.zst", "memory": 512, "cores": 1}
NEW |= {"rootfs": "data:8", "net0": "name=eth0,bridge=vmbr0"}
BACKUP = f"{STORAGE}/content/local:backup/vzdump-lxc-999-2024_01_02-03_04_05.tar.zst"
CALLS: dict[str, tuple[str, str, dict[str, Any]]] = {
    "GET lxc list": ("GET", "/nodes/pve/lxc", {}),
    "GET status/current": ("GET", CT + "101/status/current", {}),
    "GET config": ("GET", CT + "101/config", {}),
    "GET pending": ("GET", CT + "101/pending", {}),
    "GET interfaces": ("GET", CT + "101/interfaces", {}),
    "GET snapshots": ("GET", CT + "101/snapshot", {}),
    "POST create privileged": ("POST", "/nodes/pve/lxc", {**NEW, "unprivileged": 0}),
    "POST start (already running)": ("POST", CT + "101/status/start", {}),
    "POST stop (not running)": ("POST", CT + "104/status/stop", {}),
    "POST shutdown": ("POST", CT + "104/status/shutdown", {}),
    "POST reboot": ("POST", CT + "104/status/reboot", {}),
    "PUT memory": ("PUT", CT + "103/config", {"memory": 600}),
    "PUT cores": ("PUT", CT + "104/config", {"cores": 2}),
    "PUT memory104": ("PUT", CT + "104/config", {"memory": 600}),
    "PUT hostname": ("PUT", CT + "104/config", {"hostname": "other"}),
    "PUT net0": ("PUT", CT + "104/config", {"net0": "name=eth0,bridge=vmbr0"}),
    "PUT description": ("PUT", CT + "104/config", {"description": "x"}),
    "PUT onboot": ("PUT", CT + "104/config", {"onboot": 1}),
    "PUT features nesting (unpriv 102)": ("PUT", CT + "102/config", {"features": "nesting=1"}),
    "PUT features nesting (priv 104)": ("PUT", CT + "104/config", {"features": "nesting=1"}),
    "PUT tags": ("PUT", CT + "104/config", {"tags": "a"}),
    "PUT nameserver": ("PUT", CT + "104/config", {"nameserver": "1.1.1.1"}),
    "PUT mp0 new volume": ("PUT", CT + "104/config", {"mp0": "data:1,mp=/x"}),
    "PUT protection": ("PUT", CT + "104/config", {"protection": 1}),
    "PUT resize": ("PUT", CT + "104/resize", {"disk": "rootfs", "size": "+1G"}),
    "POST snapshot (reserved name)": ("POST", CT + "104/snapshot", {"snapname": "current"}),
    "DELETE snapshot": ("DELETE", CT + "104/snapshot/nope", {}),
    "POST rollback": ("POST", CT + "104/snapshot/nope/rollback", {}),
    "POST clone full (nosnap)": ("POST", CT + "104/clone", {"newid": 800, "full": 1, "snapname": "nope"}),
    "POST template": ("POST", CT + "101/template", {}),
    "DELETE (protected)": ("DELETE", CT + "104", {}),
    "POST vzdump": ("POST", "/nodes/pve/vzdump", {"vmid": 101, "storage": "local"}),
    "GET storage list": ("GET", "/nodes/pve/storage", {}),
    "GET storage content": ("GET", STORAGE + "/content", {}),
    "GET storage status": ("GET", STORAGE + "/status", {}),
    "DELETE backup": ("DELETE", BACKUP, {}),
    "GET nextid": ("GET", "/cluster/nextid", {}),
    "GET cluster/resources": ("GET", "/cluster/resources", {}),
    "GET nodes": ("GET", "/nodes", {}),
    "GET version": ("GET", "/version", {}),
    "GET node network": ("GET", "/nodes/pve/network", {}),
    "GET node tasks": ("GET", "/nodes/pve/tasks", {}),
    "GET qemu list": ("GET", "/nodes/pve/qemu", {}),
    "POST migrate": ("POST", CT + "101/migrate", {"target": "pve"}),
}


@pytest.fixture(scope="module")
def server() -> Iterator[PveServer]:
    world = World.load(CHECKOUT / "lab/worlds/recorded.json")
    world.auth_delay, world.durations = 0.0, {}
    with PveServer(world) as running:
        Player(running).call("POST", CT + "101/status/start", "")
        running.cluster.tasks.wait_all()
        yield running


class Asker:
    """Asks as app@pve!full, which has exactly the privileges it is given."""

    def __init__(self, server: PveServer) -> None:
        self.world = server.world
        self.player = Player(server)
        self.vmid = 700

    def ask(self, name: str, privileges: list[str]) -> tuple[int, str, str]:
        """Return status, reason and body."""
        self.world.roles["Asked"] = set(privileges)
        self.world.acl = [Grant("/", "app@pve", "Asked")]
        method, path, params = CALLS[name]
        if path == "/nodes/pve/lxc" and method == "POST":
            self.vmid += 1
            params = {**params, "vmid": self.vmid}
        headers = {"Authorization": "PVEAPIToken=app@pve!full=33333333-3333-3333-3333-333333333333"}
        body = urlencode(params) if method in ("POST", "PUT") else None
        headers |= {"Content-Type": "application/x-www-form-urlencoded"} if body is not None else {}
        request = {"method": method, "url": f"/api2/json{path}", "headers": headers, "body": body}
        status, reason, answer = self.player.send(request)
        return status, reason, json.dumps(answer)


@pytest.mark.parametrize("name", CALLS)
def test_a_call_asks_for_the_privileges_that_proxmox_asks_for(server: PveServer, name: str) -> None:
    facts = recorded("privileges-9.2.json")[name]
    asker = Asker(server)
    needed = [privilege for privilege, _ in facts["needed"]]
    assert asker.ask(name, needed or ["VM.Config.Options"])[:2] == tuple(facts["all"])
    assert asker.ask(name, [])[:2] == tuple(facts["none"][:2])
    for missing, words in facts["needed"]:
        # The recording took the privileges away one after another, VM.Config.Options last.
        others = [privilege for privilege in {*needed, "VM.Config.Options"} if privilege != missing]
        status, reason, _ = asker.ask(name, others)
        assert (status, numberless(reason)) == (403, numberless(words)), missing


def numberless(words: str) -> str:
    """Return the words with the id of a container that was made for the question made the same."""
    return re.sub(r"/vms/7\d\d", "/vms/NEW", words)


def test_every_recorded_call_is_asked() -> None:
    assert set(recorded("privileges-9.2.json")) - set(CALLS) == {
        "POST create (unpriv, mp-without-existing storage)"
    }
