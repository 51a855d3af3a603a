"""Changing containers: options, disks' sizes."""

import re
from typing import Any

from lab.pve.cluster import Request
from lab.pve.errors import BadParameters, TaskError, died
from lab.pve.formats import split_list
from lab.pve.guestconfig import (
    LIVE,
    check_lock,
    check_protection,
    digest,
    new_volume,
    require_config_rights,
    require_container_storage,
    size_in_bytes,
    size_in_words,
    with_pending,
    written,
)
from lab.pve.tasks import Task
from lab.pve.world import Guest

from .lxc import container
from .registry import answers

Json = dict[str, Any]
REQUIRED = ("memory", "rootfs", "ostype")
READ_ONLY = ("unprivileged",)


@answers("PUT /nodes/{node}/lxc/{vmid}/config")
def change(request: Request) -> None:
    """Set and delete options: at once if the container is stopped or can take them live, else pending."""
    params = {name: value for name, value in request.params.items() if name not in ("node", "vmid", "digest")}
    delete, revert = split_list(params.pop("delete", "")), split_list(params.pop("revert", ""))
    if not params and not delete and not revert:
        raise died("no options specified")
    _check_deletions(request, params, delete)
    guest = container(request)
    with request.cluster.hold(guest.vmid):
        guest = container(request)
        check_lock(guest)
        if request.params.get("digest", digest(guest)) != digest(guest):
            raise died("detected modified configuration - file changed by other user? Try again.")
        changes: Json = {**dict.fromkeys(delete), **params}
        unprivileged = bool(guest.config.get("unprivileged"))
        who = request.who.id
        require_config_rights(request.cluster.rights, who, guest.vmid, changes, unprivileged=unprivileged)
        _check_kept(guest, delete)
        _check_options(request, guest, params)
        for name in revert:
            guest.pending.pop(name, None)
        _apply(
            request, guest, {name: _written(request, guest, name, value) for name, value in changes.items()}
        )


@answers("PUT /nodes/{node}/lxc/{vmid}/resize")
def resize(request: Request) -> str:
    """Make a disk larger."""
    params, guest = request.params, container(request)
    disk = params["disk"]
    request.require(f"/vms/{guest.vmid}", "VM.Config.Options")
    with request.cluster.hold(guest.vmid):
        check_lock(guest)
        value = str(guest.config.get(disk) or "")
        if not value:
            raise died("format error\nvolume: property is missing and it is not optional")
        volid = value.partition(",")[0]
        request.require(f"/storage/{volid.partition(':')[0]}", "Datastore.AllocateSpace")
        if guest.lost_disk:
            raise died(f"Could not determine current size of volume '{volid}'")
        match = re.search(r"size=([^,]+)", value)
        old = size_in_bytes(match[1]) if match else 0
        new = size_in_bytes(params["size"].lstrip("+")) + (old if params["size"].startswith("+") else 0)
        if new < old:
            raise died("unable to shrink disk size")

    def work(task: Task) -> None:
        with request.cluster.hold(guest.vmid):
            words = size_in_words(new)
            guest.config[disk] = re.sub(r"size=[^,]+", f"size={words}", str(guest.config[disk]))
            task.log(f"resized {volid} to {words}")

    return request.task("resize", guest.vmid, work)


def _check_deletions(request: Request, params: Json, delete: list[str]) -> None:
    known = request.cluster.schema.properties("PUT /nodes/{node}/lxc/{vmid}/config")
    for name in delete:
        if name in params:
            words = f"you can't use '-{name}' and -delete {name} at the same time"
            raise BadParameters({"delete": words})
        if name not in known and re.sub(r"\d+$", "[n]", name) not in known:
            raise BadParameters({"delete": f"unknown option '{name}'"})


def _check_kept(guest: Guest, delete: list[str]) -> None:
    for name in delete:
        if name not in guest.config and name not in guest.pending:
            continue
        if name in REQUIRED:
            raise died(f"unable to delete required option '{name}'")
        if name in READ_ONLY:
            raise died(f"unable to delete read-only option: '{name}'")
        if re.fullmatch(r"mp\d+|unused\d+", name):
            check_protection(guest, f"can't remove CT {guest.vmid} drive '{name}'")


def _check_options(request: Request, guest: Guest, params: Json) -> None:
    for name, value in params.items():
        if name in READ_ONLY:
            raise died(f"unable to modify read-only option: '{name}'")
        if re.fullmatch(r"mp\d+|rootfs", name):
            if storage := re.match(r"([^/:,]+):", str(value)):
                require_container_storage(request.world, request.cluster.rights, request.who.id, storage[1])
            check_protection(guest, f"can't update CT {guest.vmid} drive '{name}'")


def _written(request: Request, guest: Guest, name: str, value: Any) -> Any:
    """Return the value as the configuration has it; a new mount point gets its volume here."""
    if value is None:
        return None
    if re.fullmatch(r"mp\d+", name) and (wanted := re.match(r"([^/:,]+):(\d+(?:\.\d+)?)(?=,|$)", str(value))):
        volume = new_volume(request.world, wanted[1], guest.vmid, wanted[2], guest.config)
        return f"{volume.partition(',')[0]}{str(value)[wanted.end() :]},{volume.partition(',')[2]}"
    return written(request.cluster.schema, name, value, str(guest.config.get(name) or ""))


def _apply(request: Request, guest: Guest, changes: Json) -> None:
    hypervisor = request.cluster.hypervisor
    live = changes
    if hypervisor.running(guest):
        live = {name: value for name, value in changes.items() if LIVE.fullmatch(name)}
        try:
            hypervisor.change(guest, live)
        except TaskError as error:
            raise BadParameters(dict.fromkeys(live, f"hotplug problem - {error}\n")) from error
        guest.pending |= {name: value for name, value in changes.items() if name not in live}
    pending = guest.pending
    guest.pending = {}
    guest.config |= live
    guest.config = with_pending(guest)
    guest.pending = {
        name: value for name, value in pending.items() if name not in live and guest.config.get(name) != value
    }
