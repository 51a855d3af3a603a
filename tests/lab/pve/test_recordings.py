"""A server with the recordings' world answers every recorded request as Proxmox did."""

import json
from collections.abc import Callable
from typing import Any

import pytest

from lab.pve import PveServer, World
from tests.lab.pve.recordings import CHECKOUT, PATHS, ROOT, Player, differences, recorded

CREATE = "/nodes/pve/lxc"
TEMPLATE = "ostemplate=local%3Avztmpl%2Fdebian-12-standard_12.7-1_amd64.tar.zst"
OPTIONS = (
    "rootfs=data%3A8&memory=512&swap=512&cores=1&unprivileged=1&features=nesting%3D1&onboot=1&description=hi"
)
OPTIONS += (
    "&net0=name%3Deth0%2Cbridge%3Dvmbr0%2Cip%3D10.0.0.5%2F24%2Cgw%3D10.0.0.1&tags=b%3Ba&password=secret1"
)
CONTAINER = f"{TEMPLATE}&hostname={{}}&{OPTIONS}&vmid={{}}"
EXCEPTIONS = {
    # What ran there was pretended, on the recording machine's own disk; ours have the size they were given.
    "status-created": frozenset({"maxdisk"}),
    "status-running": frozenset({"maxdisk"}),
    "list-running": frozenset({"maxdisk"}),
    # The backups there failed for want of a mail program; ours fail for the reason that was asked for.
    "tasks-errors": frozenset({"status"}),
}
"""Values, by the label of their entry, that are other than recorded, and why."""


class Story:
    """What the recordings leave out between two of their requests, by the label of the second."""

    def __init__(self, player: Player) -> None:
        self.player = player
        self.second = ""
        self.race = ""

    def before(self, label: str, request: dict[str, Any]) -> None:
        """Do what must have happened by now."""
        step: Callable[[dict[str, Any]], None] | None = getattr(
            self, "before_" + label.replace("-", "_"), None
        )
        if step:
            step(request)

    def begin(
        self, request: dict[str, Any], method: str, path: str, body: str | None, who: str = ROOT
    ) -> None:
        """Start the task whose recorded UPID the request names."""
        theirs = request["url"].split("/tasks/")[1].rpartition("/")[0]
        self.player.ours[theirs] = self.player.call(method, path, body, who)

    def done(self) -> None:
        self.player.server.cluster.tasks.wait_all()

    def before_create_missing_template2_status(self, request: dict[str, Any]) -> None:
        self.begin(request, "POST", CREATE, f"ostemplate=local%3Avztmpl%2Fnone.tar.zst&{OPTIONS}&vmid=322")
        self.done()

    def before_task_status_0(self, request: dict[str, Any]) -> None:
        self.begin(request, "POST", CREATE, CONTAINER.format("new120", 120))

    def before_status_creating(self, request: dict[str, Any]) -> None:
        self.done()

    def before_config_created(self, request: dict[str, Any]) -> None:
        self.done()
        self.player.call("PUT", f"{CREATE}/120/config", "memory=1024")

    def before_race_1(self, request: dict[str, Any]) -> None:
        self.race = self.player.call("POST", CREATE, CONTAINER.format("r0", 130))

    def before_race_status_0(self, request: dict[str, Any]) -> None:
        self.player.ours[request["url"].split("/tasks/")[1].rpartition("/")[0]] = self.race
        self.done()

    def before_put_ok(self, request: dict[str, Any]) -> None:
        theirs = request["body"].rpartition("digest=")[2]
        self.player.ours[theirs] = self.player.call("GET", f"{CREATE}/101/config")["digest"]

    def before_config_after(self, request: dict[str, Any]) -> None:
        self.player.call("PUT", f"{CREATE}/101/config", "delete=nameserver,tags")

    def before_start_status_running(self, request: dict[str, Any]) -> None:
        self.begin(request, "POST", f"{CREATE}/101/status/start", "", "app@pve!full")

    def before_start_status_done(self, request: dict[str, Any]) -> None:
        self.second = self.player.call("POST", f"{CREATE}/101/status/start", "")
        self.done()

    def before_start2_status(self, request: dict[str, Any]) -> None:
        self.player.ours[request["url"].split("/tasks/")[1].rpartition("/")[0]] = self.second

    def before_start_locked(self, request: dict[str, Any]) -> None:
        self.player.call("POST", f"{CREATE}/102/status/start", "")
        self.done()

    def before_start_locked_log(self, request: dict[str, Any]) -> None:
        self.done()

    def before_shutdown_task(self, request: dict[str, Any]) -> None:
        self.done()

    before_snap_exists_status = before_shutdown_task
    before_rollback_missing_status = before_shutdown_task
    before_delete_status = before_shutdown_task
    before_tasks_errors = before_shutdown_task

    def before_snap_ok_status(self, request: dict[str, Any]) -> None:
        self.begin(request, "POST", f"{CREATE}/101/snapshot", "snapname=fresh")
        self.done()

    def before_snap_del_missing_status(self, request: dict[str, Any]) -> None:
        self.begin(request, "DELETE", f"{CREATE}/101/snapshot/nope", None)
        self.done()

    def before_vzdump_compress_bad(self, request: dict[str, Any]) -> None:
        self.player.call("POST", "/nodes/pve/vzdump", "vmid=101&storage=local")


@pytest.fixture
def server() -> Any:
    world = World.load(CHECKOUT / "lab/worlds/recorded.json")
    world.auth_delay = 0.01
    world.durations = {"vzcreate": 0.4, "vzstart": 0.4}
    with PveServer(world) as running:
        yield running


@pytest.mark.parametrize("name", ["recorded-read-9.2.json", "recorded-write-9.2.json"])
def test_every_recorded_request_gets_its_recorded_answer(server: PveServer, name: str) -> None:
    entries = recorded(name)
    player = Player(server)
    story = Story(player)
    wrong: list[str] = []
    for entry in entries:
        story.before(entry["label"], entry["request"])
        status, reason, body = player.send(entry["request"])
        theirs = entry["response"]
        expected = json_or_text(theirs["body"])
        for recorded_path, real_path in PATHS:
            theirs["reason"] = theirs["reason"].replace(recorded_path, real_path)
        found = (
            []
            if (status, reason) == (theirs["status"], theirs["reason"])
            else [f"{theirs['status']} {theirs['reason']} became {status} {reason}"]
        )
        found += differences(expected, body, volatile=EXCEPTIONS.get(entry["label"], frozenset()))
        player.learn(expected, body)
        wrong += [f"{entry['label']}: {line}" for line in found]
    assert not wrong, "\n".join(wrong)


def json_or_text(text: str) -> Any:
    return json.loads(text) if text.startswith("{") else text
