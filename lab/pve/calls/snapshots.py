"""Snapshots of containers."""

import re
import time
from typing import Any

from lab.pve.cluster import Request
from lab.pve.errors import died
from lab.pve.guestconfig import check_lock, check_protection, digest
from lab.pve.tasks import Task
from lab.pve.world import Guest

from .lxc import can_snapshot, container
from .registry import answers

Json = dict[str, Any]
PATH = "/nodes/{node}/lxc/{vmid}/snapshot"
NOT_KEPT = ("lock", "parent", "snaptime", "digest")


@answers("GET " + PATH)
def snapshots(request: Request) -> list[Json]:
    """List a container's snapshots, and where it is now."""
    guest = container(request)
    found = [
        {name: kept[name] for name in ("description", "parent", "snaptime") if name in kept}
        | {"name": snapname}
        for snapname, kept in guest.snapshots.items()
    ]
    here: Json = {"name": "current", "description": "You are here!", "digest": digest(guest)}
    here["running"] = int(request.cluster.hypervisor.running(guest))
    if "parent" in guest.config:
        here["parent"] = guest.config["parent"]
    return [*found, here]


@answers("GET " + PATH + "/{snapname}/config")
def config(request: Request) -> Json:
    """Tell how a container was configured when a snapshot was made."""
    return _kept(container(request), request.params["snapname"])


@answers("PUT " + PATH + "/{snapname}/config")
def describe(request: Request) -> None:
    """Change a snapshot's description."""
    if "description" not in request.params:
        return
    with request.cluster.hold(request.params["vmid"]):
        guest = container(request)
        check_lock(guest)
        kept = _kept(guest, request.params["snapname"])
        kept["description"] = request.params["description"].rstrip("\n") + "\n"


@answers("GET " + PATH + "/{snapname}")
def index(request: Request) -> list[Json]:
    """List what there is below a snapshot, whether or not it is there."""
    return [{"cmd": "rollback"}, {"cmd": "config"}]


@answers("POST " + PATH)
def snapshot(request: Request) -> str:
    """Make a snapshot. Whether the name is free and the storage can is seen in the task only."""
    name, vmid = request.params["snapname"], request.params["vmid"]
    if name in ("current", "pending", "vzdump"):
        raise died(f"unable to use snapshot name '{name}' (reserved name)")

    def work(task: Task) -> None:
        with request.cluster.hold(vmid):
            guest = container(request)
            if guest.config.get("template"):
                raise died("you can't take a snapshot if it's a template")
            check_lock(guest)
            if name in guest.snapshots:
                raise died(f"snapshot name '{name}' already used")
            if not can_snapshot(request, guest):
                raise died("snapshot feature is not available")
            kept = {
                key: value for key, value in guest.config.items() if not _is_own(key) and key not in NOT_KEPT
            }
            kept |= {key: guest.config[key] for key in ("parent",) if key in guest.config}
            with locked(guest, "snapshot"):
                request.cluster.hypervisor.snapshot(guest, name, task)
            if text := request.params.get("description"):
                kept["description"] = text.rstrip("\n") + "\n"
            guest.snapshots[name] = {**kept, "snaptime": int(time.time())}
            guest.config["parent"] = name

    return request.task("vzsnapshot", vmid, work)


@answers("DELETE " + PATH + "/{snapname}")
def delete(request: Request) -> str:
    """Give a snapshot up."""
    name, vmid = request.params["snapname"], request.params["vmid"]

    def work(task: Task) -> None:
        with request.cluster.hold(vmid):
            guest = container(request)
            check_lock(guest)
            parent = _kept(guest, name).get("parent")
            with locked(guest, "snapshot-delete"):
                request.cluster.hypervisor.forget_snapshot(guest, name, task)
            del guest.snapshots[name]
            for config in (guest.config, *guest.snapshots.values()):
                if config.get("parent") == name:
                    config.update(parent=parent) if parent else config.pop("parent")

    return request.task("vzdelsnapshot", vmid, work)


@answers("POST " + PATH + "/{snapname}/rollback")
def rollback(request: Request) -> str:
    """Go back to a snapshot; a running container is stopped first."""
    name, vmid = request.params["snapname"], request.params["vmid"]

    def work(task: Task) -> None:
        with request.cluster.hold(vmid):
            guest = container(request)
            if guest.config.get("template"):
                raise died("you can't rollback if vm is a template")
            kept = _kept(guest, name)
            check_protection(guest, f"can't rollback CT {vmid}")
            check_lock(guest)
            hypervisor = request.cluster.hypervisor
            if hypervisor.running(guest):
                hypervisor.stop(guest, task)
            with locked(guest, "rollback"):
                hypervisor.rollback(guest, name, task)
            own = {key: value for key, value in guest.config.items() if _is_own(key)}
            then = {key: value for key, value in kept.items() if not _is_own(key) and key != "snaptime"}
            guest.config = {**then, **own, "parent": name}
            guest.pending = {}
            if request.params.get("start"):
                hypervisor.start(guest, task)

    return request.task("vzrollback", vmid, work)


class locked:  # noqa: N801 (reads as a verb where it is used)
    """Write into a guest's configuration that something is going on, for as long as it is."""

    def __init__(self, guest: Guest, word: str) -> None:
        self.guest = guest
        self.word = word

    def __enter__(self) -> None:
        self.guest.config["lock"] = self.word

    def __exit__(self, *failure: object) -> None:
        self.guest.config.pop("lock", None)


def _is_own(option: str) -> bool:
    """Whether an option is the container's alone: a snapshot has its own or none, and a rollback leaves it as it is."""
    return option == "description" or re.fullmatch(r"unused\d+", option) is not None


def _kept(guest: Guest, name: str) -> Json:
    if name not in guest.snapshots:
        raise died(f"snapshot '{name}' does not exist")
    return guest.snapshots[name]
