"""Making containers, and removing them."""

import re
from dataclasses import replace
from typing import Any

from lab.pve.cluster import Request
from lab.pve.errors import ApiError, Forbidden, TaskError, died
from lab.pve.faults import IdTaken
from lab.pve.guestconfig import (
    check_lock,
    check_protection,
    require_config_rights,
    written,
)
from lab.pve.hypervisor import Unpacked
from lab.pve.tasks import Task
from lab.pve.volumes import (
    DISKS,
    NEW,
    ONLY_ROOT,
    check_source,
    content_of,
    new_disk,
    parts_of,
    require_container_storage,
    storage_of,
    type_of,
    volume_in,
)
from lab.pve.world import Guest, World

from .lxc import container
from .power import begin_start
from .registry import answers

Json = dict[str, Any]
NO_OPTIONS = "node vmid ostemplate storage start force restore unique password ssh-public-keys pool bwlimit"
NO_OPTIONS += " ignore-unpack-errors unprivileged ha-managed"
IGNORED = r"unused\d+"
KEY = re.compile(r"(ssh-(rsa|dss|ed25519)|ecdsa-sha2-\S+|sk-\S+) [A-Za-z0-9+/]+={0,3}( .*)?")


@answers("POST /nodes/{node}/lxc")
def create(request: Request) -> str:
    """Make a container from a template."""
    params, vmid = request.params, request.params["vmid"]
    new = request.world.major() >= 9 and not params.get("restore")  # what is restored is as its backup says
    unprivileged = bool(params.get("unprivileged", int(new)))
    if not unprivileged and new:
        request.require("/", "Sys.Modify")
    _let_id_be_taken(request)
    require_unused(request, vmid)
    _check_keys(params.get("ssh-public-keys"))
    pool = params.get("pool")
    if pool and pool not in request.world.pools:
        raise Forbidden(f"pool '{pool}' does not exist")
    if not request.may(f"/vms/{vmid}", "VM.Allocate") and not (
        pool and request.may(f"/pool/{pool}", "VM.Allocate")
    ):
        raise Forbidden
    options = {
        name: value
        for name, value in params.items()
        if name not in NO_OPTIONS.split() and not re.fullmatch(IGNORED, name)
    }
    rights = request.cluster.rights
    require_config_rights(rights, request.who.id, vmid, options, unprivileged=unprivileged, pool=pool)
    content = "backup" if params.get("restore") else "vztmpl"
    check_source(request.world, rights, request.who.id, params["ostemplate"], content)
    disks = _disks(request, options)
    config = _config(request, options, unprivileged)
    guest = Guest(vmid, params["node"], config={"lock": "create"})
    with request.world.lock:
        require_unused(request, vmid)
        request.world.guests[vmid] = guest
        if pool:
            request.world.pools[pool].append(vmid)
    request.cluster.save()

    def undo() -> None:
        request.world.guests.pop(vmid, None)

    def work(task: Task) -> None:
        with request.cluster.hold(vmid):
            try:
                _unpack(request, guest, {**config, **disks}, task)
            except (TaskError, ApiError) as error:
                undo()
                act = "restore" if params.get("restore") else "create"
                raise TaskError(f"unable to {act} CT {vmid} - {str(error).strip()}") from error
        if params.get("start"):
            begin_start(request)

    return request.task("vzrestore" if params.get("restore") else "vzcreate", vmid, work, undo)


@answers("DELETE /nodes/{node}/lxc/{vmid}")
def destroy(request: Request) -> str:
    """Remove a container and its disk."""
    guest, force = container(request), request.params.get("force")
    _check_destroyable(guest)
    hypervisor = request.cluster.hypervisor
    if not force and hypervisor.running(guest):
        raise died(f"unable to destroy CT {guest.vmid} - container is running")

    def work(task: Task) -> None:
        with request.cluster.hold(guest.vmid):
            container(request)
            _check_destroyable(guest)
            if hypervisor.running(guest):
                if not force:
                    raise died(f"unable to destroy CT {guest.vmid} - container is running")
                hypervisor.stop(guest, task)
            guest.config = {"lock": "destroyed"}
            hypervisor.destroy(guest, task)
            if request.params.get("purge"):
                task.log(f"purging CT {guest.vmid} from related configurations..")
            with request.world.lock:
                # Whoever asked meanwhile may have missed its host, and forgotten it already.
                request.world.guests.pop(guest.vmid, None)
                for members in request.world.pools.values():
                    members[:] = [member for member in members if member != guest.vmid]

    return request.task("vzdestroy", guest.vmid, work)


def _check_destroyable(guest: Guest) -> None:
    """Raise ApiError for one that is protected or locked; `force` is for one that runs."""
    check_protection(guest, f"can't remove CT {guest.vmid}")
    check_lock(guest)


def _let_id_be_taken(request: Request) -> None:
    vmid, node = request.params["vmid"], request.params["node"]
    fault = request.cluster.faults.take(IdTaken, "POST", f"/nodes/{node}/lxc")
    if fault and vmid not in request.world.guests:
        config = {
            "hostname": fault.name,
            "memory": 512,
            "rootfs": f"local:{vmid}/vm-{vmid}-disk-0.raw,size=4G",
        }
        request.world.guests[vmid] = Guest(vmid, node, config=config, lost_disk=True)


def require_unused(request: Request, vmid: int) -> None:
    """Raise ApiError if there is a guest with this id, on whichever node."""
    if found := request.world.guests.get(vmid):
        word = "CT" if found.kind == "lxc" else "VM"
        raise died(f"{word} {vmid} already exists on node '{found.node}'")


def _check_keys(text: str | None) -> None:
    if text is not None:
        lines = [line.strip() for line in text.splitlines()]
        if not all(KEY.fullmatch(line) for line in lines if line and not line.startswith("#")):
            raise died("SSH public key validation error")


def _disks(request: Request, options: Json) -> Json:
    """Take the disks out of the options, and return them as volumes."""
    params, storage = request.params, request.params.get("storage", "local")
    wanted = {name: options.pop(name) for name in [*options] if re.fullmatch(DISKS, name)}
    if wanted and "rootfs" not in wanted:
        raise died("mount points configured, but 'rootfs' not set - aborting")
    schema, found = request.cluster.schema, Json()
    for name, value in (wanted or {"rootfs": "4"}).items():
        text = f"{storage}:{value}" if re.fullmatch(r"\d+(\.\d+)?", str(value)) else str(value)
        parts = parts_of(schema, name, text)
        volume = parts["volume"]
        if type_of(volume) == "volume":
            place = storage_of(volume)
            require_container_storage(request.world, request.cluster.rights, request.who.id, place)
            if not NEW.fullmatch(volume):
                found[name] = text
                continue
        elif request.who.id != "root@pam":
            raise died(ONLY_ROOT)
        found[name] = new_disk(schema, request.world, parts, params["vmid"], found)
    return found


def _require_volumes(world: World, config: Json, vmid: int) -> None:
    """Raise ApiError for a disk that is not new; the lab has none that a container could take over."""
    for name in [name for name in config if re.fullmatch(DISKS, name)]:
        volume = volume_in(str(config[name]))
        if type_of(volume) == "volume" and f"vm-{vmid}-disk-" not in volume:
            content_of(world, volume)
            raise died(f"volume '{volume}' does not exist")


def _config(request: Request, options: Json, unprivileged: bool) -> Json:
    schema = request.cluster.schema
    config = {name: written(schema, name, value) for name, value in options.items()}
    config.setdefault("hostname", f"CT{request.params['vmid']}")
    return {"arch": "amd64", "ostype": "debian", **config, **({"unprivileged": 1} if unprivileged else {})}


def _unpack(request: Request, guest: Guest, config: Json, task: Task) -> None:
    params, name = request.params, request.params["ostemplate"]
    _require_volumes(request.world, config, request.params["vmid"])
    storage = request.world.storages.get(name.partition(":")[0])
    if not storage or name not in storage.volumes:
        task.log(f"can't find file '{name}'")
        raise TaskError(f"can't find file '{name}'")
    task.log(f"extracting archive '/var/lib/vz/template/cache/{name.rpartition('/')[2]}'")
    keys = params.get("ssh-public-keys", "")
    # Until it is made, others see nothing of its configuration but the lock.
    made = replace(guest, config=config)
    request.cluster.hypervisor.create(made, Unpacked(name, params.get("password"), keys), task)
    guest.config, guest.host = config, made.host
