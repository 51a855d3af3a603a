"""Disks and templates by what configurations and calls say of them, as Proxmox reads that."""

import re
from typing import Any

from .errors import BadParameters, died
from .privileges import Rights
from .schema import Schema, parse_properties, print_properties
from .world import World

Json = dict[str, Any]
CREATE = "POST /nodes/{node}/lxc"
DISKS = r"rootfs|mp\d+"
SIZES = {"": 1, "K": 1 << 10, "M": 1 << 20, "G": 1 << 30, "T": 1 << 40}
NEW = re.compile(r"([^:\s]+):(\d+(?:\.\d+)?)")
"""A disk that is to be made: a storage, and so many GiB on it."""
_ID = re.compile(r"([a-zA-Z][a-zA-Z0-9._-]*[a-zA-Z0-9]):(.+)")
_CONTENT = (
    (r"\d+/[^/\s]+\.(raw|qcow2|vmdk|subvol)", "images"),
    (r"iso/[^/]+\.(iso|img)", "iso"),
    (r"vztmpl/[^/]+\.tar(\.(gz|xz|zst|bz2))?", "vztmpl"),
    (r"rootdir/\d+", "rootdir"),
    (r"backup/[^/]+\.(tgz|tar(\.(gz|lzo|zst))?|vma(\.(gz|lzo|zst))?)", "backup"),
    (r"snippets/[^/]+", "snippets"),
)
ONLY_ROOT = "Only root can pass arbitrary filesystem paths."


def size_in_bytes(text: str) -> int:
    """Return what "8G" is in bytes."""
    match = re.fullmatch(r"(\d+(?:\.\d+)?)([KMGT]?)", text)
    return int(float(match[1]) * SIZES[match[2]]) if match else 0


def size_in_words(size: int) -> str:
    """Return "8G" for 8 GiB: the largest unit without a remainder."""
    for unit in "TGMK":
        if size and size % SIZES[unit] == 0:
            return f"{size // SIZES[unit]}{unit}"
    return str(size)


def volume_in(value: str) -> str:
    """Return the volume that a disk's property string names, whose key may be left out."""
    parts = [part.strip().removeprefix("volume=") for part in value.split(",")]
    return next((part for part in parts if "=" not in part), "")


def parts_of(schema: Schema, name: str, value: Any) -> Json:
    """Return the parts of rootfs or a mount point. Raises ValueError with Proxmox's words."""
    kind = "rootfs" if name == "rootfs" else "mp[n]"
    return parse_properties(schema.properties(CREATE)[kind]["format"], str(value))


def printed(schema: Schema, parts: Json) -> str:
    """Return the property string of a disk as Proxmox writes it."""
    return print_properties(schema.properties(CREATE)["mp[n]"]["format"], parts)


def type_of(volume: str) -> str:
    """Return what a disk is: a volume of a storage, a device, or a folder of the node."""
    if volume.startswith("/dev/"):
        return "device"
    return "bind" if volume.startswith("/") else "volume"


def storage_of(volume: str) -> str:
    """Return the storage that a volume lies on. Raises ApiError for what is no volume's name."""
    match = _ID.fullmatch(volume)
    if not match:
        raise died(f"unable to parse volume ID '{volume}'")
    return match[1]


def content_of(world: World, volume: str) -> str:
    """Return what a volume holds, by its name alone. Raises ApiError."""
    storage, name = world.storage(storage_of(volume)), volume.partition(":")[2]
    if storage.type != "dir":
        if not re.fullmatch(r"(vm|base)-\d+-\S+", name):
            raise died(f"unable to parse lvm volume name '{name}'")
        return "images"
    for pattern, content in _CONTENT:
        if re.fullmatch(pattern, name):
            return content
    raise died(f"unable to parse directory volume name '{name}'")


def check_source(world: World, rights: Rights, who: str, volume: str, content: str) -> None:
    """Raise ApiError unless this names a template or backup that `who` may read; the task sees whether it is there."""
    if volume == "-":
        raise died("pipe requires cli environment")
    if not _ID.fullmatch(volume):
        if who != "root@pam":
            raise died(f"{ONLY_ROOT} at /usr/share/perl5/PVE/Storage.pm line 651.")
        return
    if content_of(world, volume) != content:
        raise died(f"unable to use volume {volume} - content type needs to be '{content}'")
    path = f"/storage/{storage_of(volume)}"
    rights.require(who, path, ["Datastore.AllocateSpace", "Datastore.Audit"], any_of=True)


def new_disk(schema: Schema, world: World, parts: Json, vmid: int, taken: Json) -> str:
    """Return the property string of a disk: with a volume of its own where a new one is asked for."""
    if match := NEW.fullmatch(parts["volume"]):
        volume, size = _new_volume(world, match[1], vmid, match[2], taken)
        parts = {**parts, "volume": volume, "size": size}
    return printed(schema, parts)


def _new_volume(world: World, storage: str, vmid: int, size: str, taken: Json) -> tuple[str, str]:
    number = 0
    used = " ".join(str(value) for value in taken.values())
    while f"vm-{vmid}-disk-{number}" in used:
        number += 1
    folder, end = (f"{vmid}/", ".raw") if world.storage(storage).type == "dir" else ("", "")
    return f"{storage}:{folder}vm-{vmid}-disk-{number}{end}", size_in_words(int(float(size) * SIZES["G"]))


def require_container_storage(world: World, rights: Rights, who: str, name: str) -> None:
    """Raise ApiError unless the storage is there, holds containers' disks, and `who` may have space on it."""
    storage = world.storage(name)
    if storage.disabled:
        raise died(f"storage '{name}' is disabled")
    if "rootdir" not in storage.content:
        raise BadParameters({"storage": f"storage '{name}' does not support container directories"})
    rights.require(who, f"/storage/{name}", ["Datastore.AllocateSpace"])
