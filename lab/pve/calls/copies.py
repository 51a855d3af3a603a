"""Copying containers, and making them templates for copies."""

import re
from dataclasses import replace
from typing import Any

from lab.pve.cluster import Request
from lab.pve.errors import BadParameters, TaskError, died
from lab.pve.guestconfig import check_lock, new_mac, new_volume, require_bridge, require_container_storage
from lab.pve.tasks import Task
from lab.pve.world import Guest

from .create import require_unused
from .lxc import container
from .registry import answers

Json = dict[str, Any]


@answers("POST /nodes/{node}/lxc/{vmid}/clone")
def clone(request: Request) -> str:
    """Copy a container, as it is or as it was at a snapshot."""
    params, source = request.params, container(request)
    new, snapname = params["newid"], params.get("snapname")
    if params.get("storage"):
        _require_enabled(request, params["storage"])
    check_lock(source)
    require_unused(request, new)
    volume = str(source.config["rootfs"]).partition(",")[0]
    storage = params.get("storage") or volume.partition(":")[0]
    if snapname and snapname not in source.snapshots:
        raise died(f"snapshot '{snapname}' does not exist")
    require_container_storage(request.world, request.cluster.rights, request.who.id, storage)
    template = bool(source.config.get("template"))
    if not params.get("full", not template) and not template:
        raise died(f"Linked clone feature for '{volume}' is not available")
    if request.cluster.hypervisor.running(source) and not snapname:
        raise died("Cannot do full clones on a running container without snapshots")
    kept = source.snapshots[snapname] if snapname else source.config
    config = _copied(request, kept, storage)
    for name, value in config.items():
        if re.fullmatch(r"net\d+", name):
            require_bridge(request.cluster.rights, request.who.id, value)
    target = Guest(new, params["node"], config={"lock": "create"})
    with request.world.lock:
        require_unused(request, new)
        request.world.guests[new] = target
    request.cluster.save()

    def undo() -> None:
        request.world.guests.pop(new, None)

    def work(task: Task) -> None:
        with request.cluster.hold(source.vmid), request.cluster.hold(new):
            made = replace(target, config=config)
            request.cluster.hypervisor.clone(source, made, snapname, task)
            target.config, target.host = config, made.host

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
        guest.config["template"] = 1


@answers("POST /nodes/{node}/lxc/{vmid}/migrate")
def migrate(request: Request) -> str:
    """Move a container to another node; the lab checks the target, and then cannot."""
    target = request.params["target"]
    if target == request.params["node"]:
        raise BadParameters({"target": "target is local node."})
    request.world.node(target)
    vmid = container(request).vmid

    def work(task: Task) -> None:
        raise TaskError("migration aborted")

    return request.task("vzmigrate", vmid, work)


def _require_enabled(request: Request, name: str) -> None:
    if request.world.storage(name).disabled:
        raise died(f"storage '{name}' is disabled")


def _copied(request: Request, kept: Json, storage: str) -> Json:
    params = request.params
    dropped = ("lock", "parent", "snaptime", "template", "digest", "description")
    config = {name: value for name, value in kept.items() if name not in dropped}
    for name, value in config.items():
        if re.fullmatch(r"net\d+", name):
            config[name] = re.sub(r"hwaddr=[^,]+", f"hwaddr={new_mac()}", str(value))
    size = re.search(r"size=([^,]+)", str(config["rootfs"]))
    volume = new_volume(request.world, storage, params["newid"], "1", {}).partition(",")[0]
    config["rootfs"] = f"{volume},size={size[1]}" if size else volume
    config["hostname"] = params.get("hostname") or f"CT{params['newid']}"
    return config | ({"description": params["description"] + "\n"} if "description" in params else {})
