"""Copying containers, and making them templates for copies."""

import re
from collections.abc import Callable
from dataclasses import replace
from typing import Any

from lab.pve.cluster import Request
from lab.pve.errors import BadParameters, Forbidden, TaskError, died
from lab.pve.guestconfig import check_lock, new_mac, require_bridge
from lab.pve.tasks import Task
from lab.pve.volumes import DISKS, new_disk, parts_of, printed, storage_of, type_of, volume_in
from lab.pve.world import Guest

from .create import require_unused
from .lxc import container
from .registry import answers

Json = dict[str, Any]


@answers("POST /nodes/{node}/lxc/{vmid}/clone")
def clone(request: Request) -> str:
    """Copy a container, as it is or as it was at a snapshot."""
    params = request.params
    new, snapname = params["newid"], params.get("snapname")
    _check_places(request)
    source = container(request)
    check_lock(source)
    require_unused(request, new)
    template = bool(source.config.get("template"))
    full = bool(params.get("full", not template))
    if params.get("storage") and not full:
        raise died("parameter 'storage' not allowed for linked clones")
    if snapname and snapname not in source.snapshots:
        raise died(f"snapshot '{snapname}' does not exist")
    kept = source.snapshots[snapname] if snapname else source.config
    _check_disks(request, source, kept, full=full)
    if params.get("target", params["node"]) not in (params["node"], "localhost"):
        raise died(f"can't clone CT to node '{params['target']}' (CT uses local storage)")
    config = _copied(request, kept)
    for name, value in config.items():
        if re.fullmatch(r"net\d+", name):
            require_bridge(request.cluster.rights, request.who.id, value)
    target = Guest(new, params["node"], config={"lock": "create"})
    with request.world.lock:
        require_unused(request, new)
        check_lock(source)
        request.world.guests[new] = target
        source.config["lock"] = "disk"
        if pool := params.get("pool"):
            request.world.pools[pool].append(new)
    request.cluster.save()

    def undo() -> None:
        request.world.guests.pop(new, None)
        source.config.pop("lock", None)

    def work(task: Task) -> None:
        try:
            with request.cluster.hold(new):
                _check_content(request, config, undo)
                made = replace(target, config=config)
                request.cluster.hypervisor.clone(source, made, snapname, task)
                target.config, target.host = config, made.host
        finally:
            source.config.pop("lock", None)
            request.cluster.save()

    return request.task("vzclone", source.vmid, work, undo)


@answers("POST /nodes/{node}/lxc/{vmid}/template")
def template(request: Request) -> None:
    """Make a container a template, for clones alone."""
    guest = container(request)
    with request.cluster.hold(guest.vmid):
        check_lock(guest)
        if guest.snapshots:
            raise died("unable to create template, because CT contains snapshots")
        if guest.config.get("template"):
            raise died("you can't convert a template to a template")
        if request.cluster.hypervisor.running(guest):
            raise died("you can't convert a CT to template if the CT is running")

    def work(task: Task) -> None:
        with request.cluster.hold(guest.vmid):
            guest.config["template"] = 1

    request.task("vztemplate", guest.vmid, work)


@answers("POST /nodes/{node}/lxc/{vmid}/migrate")
def migrate(request: Request) -> str:
    """Move a container to another node; the lab checks the target, and then cannot."""
    target = request.params["target"]
    if target == request.params["node"]:
        raise BadParameters({"target": "target is local node."})
    _require_member(request, target)
    guest = container(request)
    vmid, at_once = guest.vmid, request.params.get("online") or request.params.get("restart")
    if request.cluster.hypervisor.running(guest) and not at_once:
        raise died("can't migrate running container without --online or --restart")

    def work(task: Task) -> None:
        raise TaskError("migration aborted")

    return request.task("vzmigrate", vmid, work)


def _require_member(request: Request, node: str) -> None:
    if node not in request.world.nodes:
        raise died(f"no such cluster node '{node}'")


def _check_places(request: Request) -> None:
    """Raise ApiError unless pool, node and storage of a clone are there; no storage of the lab is shared."""
    params = request.params
    pool, target, storage = (params.get(name) for name in ("pool", "target", "storage"))
    if pool and pool not in request.world.pools:
        raise Forbidden(f"pool '{pool}' does not exist")
    elsewhere = target not in {None, params["node"], "localhost"}
    if elsewhere:
        _require_member(request, str(target))
    if storage and request.world.storage(storage).disabled:
        raise died(f"storage '{storage}' is disabled")
    if storage and elsewhere:
        raise died(f"can't clone to non-shared storage '{storage}'")


def _check_disks(request: Request, source: Guest, kept: Json, *, full: bool) -> None:
    running = request.cluster.hypervisor.running(source) and not request.params.get("snapname")
    for name in sorted(name for name in kept if re.fullmatch(DISKS, name)):
        volume = volume_in(str(kept[name]))
        if (kind := type_of(volume)) != "volume":
            raise died(f"unable to clone mountpoint '{name}' (type {kind})")
        storage = request.params.get("storage") or storage_of(volume)
        request.world.storage(storage)
        request.require(f"/storage/{storage}", "Datastore.AllocateSpace")
        if full and running:
            raise died("Cannot do full clones on a running container without snapshots")
        if not full and not source.config.get("template"):
            raise died(f"Linked clone feature for '{volume}' is not available")


def _check_content(request: Request, config: Json, undo: Callable[[], None]) -> None:
    storage = storage_of(volume_in(str(config["rootfs"])))
    if "rootdir" not in request.world.storage(storage).content:
        undo()
        words = f"content type 'rootdir' is not available or configured on storage '{storage}'"
        raise TaskError(f"clone failed: {words}")


def _copied(request: Request, kept: Json) -> Json:
    params = request.params
    dropped = ("lock", "parent", "snaptime", "template", "digest")
    config = {
        name: value
        for name, value in kept.items()
        if name not in dropped and not re.fullmatch(r"unused\d+", name)
    }
    disks: Json = {}
    for name, value in config.items():
        if re.fullmatch(r"net\d+", name):
            config[name] = re.sub(r"hwaddr=[^,]+", f"hwaddr={new_mac()}", str(value))
        if re.fullmatch(DISKS, name):
            disks[name] = _copied_disk(request, name, value, disks)
    given = {name: params[name] for name in ("hostname",) if params.get(name)}
    if params.get("description"):
        given["description"] = params["description"] + "\n"
    return config | disks | given


def _copied_disk(request: Request, name: str, value: Any, taken: Json) -> str:
    schema, params = request.cluster.schema, request.params
    parts = parts_of(schema, name, value)
    storage = params.get("storage") or storage_of(parts["volume"])
    made = new_disk(schema, request.world, {**parts, "volume": f"{storage}:1"}, params["newid"], taken)
    return printed(schema, {**parts, "volume": volume_in(made)})
