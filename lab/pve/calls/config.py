"""Changing containers: options, disks' sizes."""

import re
from typing import Any

from lab.pve.cluster import Request
from lab.pve.errors import BadFormat, BadParameters, TaskError, died
from lab.pve.formats import split_list
from lab.pve.guestconfig import (
    check_lock,
    check_protection,
    digest,
    is_live,
    let_go,
    require_config_rights,
    with_pending,
    written,
)
from lab.pve.schema import MISSING, is_known
from lab.pve.tasks import Task
from lab.pve.volumes import (
    DISKS,
    content_of,
    new_disk,
    parts_of,
    size_in_bytes,
    size_in_words,
    storage_of,
    type_of,
    volume_in,
)
from lab.pve.world import Guest

from .lxc import container
from .registry import answers

Json = dict[str, Any]
REQUIRED = ("memory", "rootfs", "ostype")
READ_ONLY = ("unprivileged",)
NO_OPTIONS = {"node", "vmid", "delete", "revert", "digest"}
OF_SNAPSHOTS = {"parent", "snaptime"}


@answers("PUT /nodes/{node}/lxc/{vmid}/config")
def change(request: Request) -> None:
    """Set and delete options: at once if the container is stopped or can take them live, else pending."""
    params = {name: value for name, value in request.params.items() if name not in ("node", "vmid", "digest")}
    delete, revert = split_list(params.pop("delete", "")), split_list(params.pop("revert", ""))
    if not params and not delete and not revert:
        raise died("no options specified")
    guest = container(request)
    with request.cluster.hold(guest.vmid):
        guest = container(request)
        check_lock(guest)
        _check_digest(request, guest)
        _require_rights(request, guest, dict.fromkeys([*delete, *revert]))
        _check_reverts(request, params, revert)
        _check_deletions(request, params, delete, revert)
        changes: Json = {**dict.fromkeys(delete), **params}
        _require_rights(request, guest, params)
        _check_kept(guest, delete)
        _check_options(request, guest, params)
        for name in revert:
            guest.pending.pop(name, None)
        _apply(
            request, guest, {name: _written(request, guest, name, value) for name, value in changes.items()}
        )


@answers("PUT /nodes/{node}/lxc/{vmid}/resize")
def resize(request: Request) -> str:
    """Make a disk larger. Whether it may be is seen at once, and again in the task."""
    vmid = container(request).vmid
    with request.cluster.hold(vmid):
        _larger(request)

    def work(task: Task) -> None:
        with request.cluster.hold(vmid):
            guest, disk = container(request), request.params["disk"]
            volid, new = _larger(request)
            words = size_in_words(new)
            guest.config[disk] = re.sub(r"size=[^,]+", f"size={words}", str(guest.config[disk]))
            task.log(f"resized {volid} to {words}")

    return request.task("resize", vmid, work)


def _larger(request: Request) -> tuple[str, int]:
    """The volume that is to be larger, and its new size in bytes."""
    params, guest = request.params, container(request)
    check_lock(guest)
    request.require(f"/vms/{guest.vmid}", "VM.Config.Options")
    _check_digest(request, guest)
    value = str(guest.config.get(params["disk"]) or "")
    if not value:
        raise BadFormat(dict.fromkeys(("mp", "volume"), MISSING))
    volid = volume_in(value)
    request.require(f"/storage/{storage_of(volid)}", "Datastore.AllocateSpace")
    if guest.lost_disk:
        raise died(f"Could not determine current size of volume '{volid}'")
    match = re.search(r"size=([^,]+)", value)
    old = size_in_bytes(match[1]) if match else 0
    new = size_in_bytes(params["size"].lstrip("+")) + (old if params["size"].startswith("+") else 0)
    if new < old:
        raise died("unable to shrink disk size")
    if new == old:
        raise died("disk is already at specified size")
    return volid, new


def _check_digest(request: Request, guest: Guest) -> None:
    if request.params.get("digest", digest(guest)) != digest(guest):
        raise died("detected modified configuration - file changed by other user? Try again.")


def _require_rights(request: Request, guest: Guest, changes: Json) -> None:
    rights, unprivileged = request.cluster.rights, bool(guest.config.get("unprivileged"))
    require_config_rights(rights, request.who.id, guest.vmid, changes, unprivileged=unprivileged)


def _check_reverts(request: Request, params: Json, revert: list[str]) -> None:
    for name in revert:
        _check_option(request, "revert", name)
        if name in params:
            words = f"you can't use '-{name}' and '-revert {name}' at the same time"
            raise BadParameters({"revert": words})


def _check_deletions(request: Request, params: Json, delete: list[str], revert: list[str]) -> None:
    for name in delete:
        _check_option(request, "delete", name)
        if name in params:  # the quotation mark that is missing is missing in Proxmox
            words = f"you can't use '-{name}' and -delete {name}' at the same time"
            raise BadParameters({"delete": words})
        if name in revert:
            words = f"you can't use '-delete {name}' and '-revert {name}' at the same time"
            raise BadParameters({"delete": words})


def _check_option(request: Request, parameter: str, name: str) -> None:
    known = request.cluster.schema.properties("PUT /nodes/{node}/lxc/{vmid}/config")
    if name not in OF_SNAPSHOTS and (name in NO_OPTIONS or not is_known(known, name)):
        raise BadParameters({parameter: f"unknown option '{name}'"})


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
    for name, value in sorted(params.items()):
        if name in READ_ONLY:
            raise died(f"unable to modify read-only option: '{name}'")
        if name == "hookscript":
            _check_script(request, str(value))
        if re.fullmatch(DISKS, name):
            check_protection(guest, f"can't update CT {guest.vmid} drive '{name}'")
            volume = parts_of(request.cluster.schema, name, value)["volume"]
            if type_of(volume) == "volume":
                _check_content(request, storage_of(volume))


def _check_script(request: Request, volume: str) -> None:
    storage = request.world.storage(storage_of(volume))
    if content_of(request.world, volume) != "snippets":
        raise died(f"'{volume}' is not in the snippets directory")
    if volume not in storage.volumes:
        raise died(f"script '{volume}' does not exist")


def _check_content(request: Request, storage: str) -> None:
    if "rootdir" not in request.world.storage(storage).content:
        raise died(f"storage '{storage}' does not allow content type 'rootdir' (Container)")


def _written(request: Request, guest: Guest, name: str, value: Any) -> Any:
    """Return the value as the configuration has it; a new mount point gets its volume here."""
    if value is None:
        return None
    if re.fullmatch(r"mp\d+", name):
        schema = request.cluster.schema
        return new_disk(schema, request.world, parts_of(schema, name, value), guest.vmid, guest.config)
    return written(request.cluster.schema, name, value, str(guest.config.get(name) or ""))


def _apply(request: Request, guest: Guest, changes: Json) -> None:
    hypervisor = request.cluster.hypervisor
    live = changes
    if hypervisor.running(guest):
        live = {name: value for name, value in changes.items() if is_live(guest, name, value)}
        try:
            hypervisor.change(guest, live)
        except TaskError as error:
            raise BadParameters({name: f"unable to hotplug {name}: {error}\n" for name in live}) from error
        guest.pending |= {name: value for name, value in changes.items() if name not in live}
    for name in [name for name, value in live.items() if value is None]:
        let_go(guest, name)
    pending = guest.pending
    guest.pending = {}
    guest.config |= live
    guest.config = with_pending(guest)
    guest.pending = {
        name: value for name, value in pending.items() if name not in live and guest.config.get(name) != value
    }
