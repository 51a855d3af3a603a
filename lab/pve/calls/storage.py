"""Storages, what is on them, and backups."""

import re
import time
from typing import Any

from lab.pve.cluster import Request
from lab.pve.errors import BadParameters, died
from lab.pve.formats import split_list
from lab.pve.guestconfig import check_lock, disk_size
from lab.pve.tasks import Task
from lab.pve.world import Storage, Volume

from .registry import answers
from .snapshots import locked

Json = dict[str, Any]
SPACE = ("Datastore.Audit", "Datastore.AllocateSpace")
FORMATS = {
    ".tar.zst": "tzst",
    ".tar.gz": "tgz",
    ".tar.xz": "txz",
    ".tar.lzo": "tlzo",
    ".tar": "tar",
    ".iso": "iso",
}


@answers("GET /storage")
def configured(request: Request) -> list[Json]:
    """List the storages of the cluster as configured."""
    found = []
    for storage in request.world.storages.values():
        if request.may(f"/storage/{storage.name}", *SPACE, any_of=True):
            item: Json = {"storage": storage.name, "type": storage.type, "content": ",".join(storage.content)}
            found.append({**item, **({"disable": 1} if storage.disabled else {})})
    return found


@answers("GET /nodes/{node}/storage")
def storages(request: Request) -> list[Json]:
    """List a node's storages with their space."""
    params = request.params
    if "storage" in params:
        _there(request)
    found = []
    for storage in request.world.storages.values():
        if params.get("storage", storage.name) != storage.name:
            continue
        if "content" in params and not set(split_list(params["content"])) & set(storage.content):
            continue
        if params.get("enabled") and storage.disabled:
            continue
        if request.may(f"/storage/{storage.name}", *SPACE, any_of=True):
            found.append({"storage": storage.name, **_space(storage, fraction=True)})
    return found


@answers("GET /nodes/{node}/storage/{storage}/status")
def status(request: Request) -> Json:
    """Tell how much room a storage has."""
    return _space(_there(request), fraction=False)


@answers("GET /nodes/{node}/storage/{storage}/content")
def content(request: Request) -> list[Json]:
    """List what is on a storage: templates, backups, disks."""
    storage, params = _enabled(request), request.params
    volumes = [*storage.volumes.values(), *_disks(request, storage)]
    return [
        _describe(volume)
        for volume in volumes
        if params.get("content", volume.content) == volume.content
        and params.get("vmid", volume.vmid) == volume.vmid
        and _may_see(request, volume)
    ]


@answers("DELETE /nodes/{node}/storage/{storage}/content/{volume}")
def delete(request: Request) -> str:
    """Delete a file of a storage. One that is not there is deleted, too."""
    storage = _enabled(request)
    name = request.params["volume"]
    volid = name if name.startswith(f"{storage.name}:") else f"{storage.name}:{name}"
    owner = re.search(r"(?:vzdump-(?:lxc|qemu)|vm|subvol)-(\d+)-", volid)
    request.require(f"/storage/{storage.name}", "Datastore.AllocateSpace")
    if owner and ":backup/" in volid:
        request.require(f"/vms/{owner[1]}", "VM.Backup")
    elif ":vztmpl/" in volid or ":iso/" in volid:
        request.require(f"/storage/{storage.name}", "Datastore.AllocateTemplate")

    def work(task: Task) -> None:
        storage.volumes.pop(volid, None)
        task.log(f"Removed volume '{volid}'")
        request.cluster.save()

    return request.task("imgdel", f"{owner[1]}@{storage.name}" if owner else storage.name, work)


@answers("POST /nodes/{node}/vzdump")
def vzdump(request: Request) -> str:
    """Back guests up. That the storage or a guest is bad is seen in the task only."""
    params = request.params
    vmids = [int(word) for word in split_list(params.get("vmid", ""))]
    if not vmids and not params.get("all") and "pool" not in params:
        raise BadParameters({"vmid": "property is missing"})
    name = params.get("storage", "local")
    if name in request.world.storages or not request.may("/storage", "Datastore.AllocateSpace"):
        request.require(f"/storage/{name}", "Datastore.AllocateSpace")

    def work(task: Task) -> None:
        if name not in request.world.storages:
            raise died(f"could not get storage information for '{name}': storage '{name}' does not exist")
        for vmid in vmids:
            request.require(f"/vms/{vmid}", "VM.Backup")
            _back_up(request, vmid, request.world.storages[name], task)

    return request.task("vzdump", str(vmids[0]) if len(vmids) == 1 else "", work)


def _back_up(request: Request, vmid: int, storage: Storage, task: Task) -> None:
    guest = request.world.guest(request.params["node"], vmid)
    with request.cluster.hold(vmid):
        check_lock(guest)
        task.log(f"INFO: Starting Backup of VM {vmid} (lxc)")
        if guest.lost_disk:
            raise died(f"job errors: volume '{str(guest.config['rootfs']).partition(',')[0]}' does not exist")
        with locked(guest, "backup"):
            size = request.cluster.hypervisor.backup(guest, task)
        stamp = time.strftime("%Y_%m_%d-%H_%M_%S")
        volid = f"{storage.name}:backup/vzdump-lxc-{vmid}-{stamp}.tar.zst"
        storage.volumes[volid] = Volume(volid, "backup", size, int(time.time()), vmid)
        task.log(f"INFO: Finished Backup of VM {vmid}")


def _there(request: Request) -> Storage:
    """The storage of a call that says of none in words of its own."""
    if request.params["storage"] not in request.world.storages:
        raise BadParameters({"storage": "No such storage."})
    return request.world.storage(request.params["storage"])


def _enabled(request: Request) -> Storage:
    storage = request.world.storage(request.params["storage"])
    if storage.disabled:
        raise died(f"storage '{storage.name}' is disabled")
    return storage


def _space(storage: Storage, *, fraction: bool) -> Json:
    on = not storage.disabled
    found: Json = {"type": storage.type, "content": ",".join(storage.content), "shared": 0}
    found |= {"enabled": int(on), "active": int(on)}
    free = storage.total - storage.used
    found |= {"total": storage.total * on, "used": storage.used * on, "avail": free * on}
    if on and fraction:
        found["used_fraction"] = storage.used / storage.total
    return found


def _disks(request: Request, storage: Storage) -> list[Volume]:
    found = []
    for guest in request.world.guests_of(request.params["node"], "lxc"):
        volid = str(guest.config.get("rootfs", "")).partition(",")[0]
        if volid.startswith(f"{storage.name}:") and not guest.lost_disk:
            found.append(Volume(volid, "rootdir", disk_size(guest), vmid=guest.vmid))
    return found


def _describe(volume: Volume) -> Json:
    kind = next((word for end, word in FORMATS.items() if volume.volid.endswith(end)), "raw")
    found: Json = {
        "volid": volume.volid,
        "content": volume.content,
        "size": volume.size,
        "ctime": volume.ctime,
    }
    found["format"] = kind.removeprefix("t") if volume.content == "backup" and kind != "tar" else kind
    if volume.content == "backup":
        found["format"], found["subtype"] = f"tar.{found['format'][-3:].lstrip('.')}", "lxc"
    return {**found, **({"vmid": volume.vmid} if volume.vmid else {})}


def _may_see(request: Request, volume: Volume) -> bool:
    if volume.vmid is None:
        return True
    return request.may(f"/vms/{volume.vmid}", "VM.Backup" if volume.content == "backup" else "VM.Audit")
