"""A container's configuration: how Proxmox writes down what it is given, and what it answers about it."""

import hashlib
import json
import random
import re
from typing import Any

from .errors import Forbidden, died
from .formats import split_list
from .privileges import Rights
from .schema import Schema, parse_properties, print_properties
from .volumes import NEW, size_in_bytes, type_of, volume_in
from .world import Guest

Json = dict[str, Any]
CREATE = "POST /nodes/{node}/lxc"
LIVE = re.compile(
    r"description|onboot|startup|protection|hostname|hookscript|cores|cpulimit|cpuunits|tags|lock|memory|swap|net\d+"
    r"|mp\d+|unused\d+"
)
"""What a running container takes at once; the rest is pending until its next start."""
RIGHTS = (
    (r"cores|cpuunits|cpulimit", "VM.Config.CPU"),
    (r"rootfs|mp\d+|unused\d+", "VM.Config.Disk"),
    (r"memory|swap", "VM.Config.Memory"),
    (r"net\d+|nameserver|searchdomain|hostname", "VM.Config.Network"),
)


def disk_size(guest: Guest) -> int:
    """Return the size of a guest's root disk in bytes, as configured."""
    match = re.search(r"size=(\d+(?:\.\d+)?[KMGT]?)", str(guest.config.get("rootfs", "")))
    return size_in_bytes(match[1]) if match else 0


def new_mac() -> str:
    """Return a MAC address as Proxmox makes them up, with its own prefix."""
    return "BC:24:11:" + ":".join(f"{random.randrange(256):02X}" for _ in range(3))  # noqa: S311


def written(schema: Schema, name: str, value: Any, old: str = "") -> Any:
    """Return a value as the configuration file has it."""
    if name == "description":
        return str(value).rstrip("\n") + "\n"
    if name in ("nameserver", "searchdomain"):
        return " ".join(split_list(str(value)))
    if name == "tags":
        return ";".join(sorted({tag.lower() for tag in split_list(str(value))}))
    if re.fullmatch(r"net\d+", name):
        properties = schema.properties(CREATE)["net[n]"]["format"]
        parts = parse_properties(properties, str(value))
        before = parse_properties(properties, old) if old else {}
        parts["hwaddr"] = str(parts.get("hwaddr") or before.get("hwaddr") or new_mac()).upper()
        return print_properties(properties, {**parts, "type": "veth"})
    if name == "features":
        properties = schema.properties(CREATE)["features"]["format"]
        return print_properties(properties, parse_properties(properties, str(value)))
    return value


def digest(guest: Guest) -> str:
    """Return the mark that changes with the configuration."""
    everything = json.dumps([guest.config, guest.pending, guest.snapshots], sort_keys=True)
    return hashlib.sha1(everything.encode(), usedforsecurity=False).hexdigest()


def with_pending(guest: Guest) -> Json:
    """Return the configuration as it will be after the next start."""
    found = {**guest.config, **guest.pending}
    return {name: value for name, value in found.items() if value is not None}


def settle(guest: Guest) -> None:
    """Make pending changes the present ones, as a start does."""
    for name in [name for name, value in guest.pending.items() if value is None]:
        let_go(guest, name)
    guest.config, guest.pending = with_pending(guest), {}


def is_live(guest: Guest, name: str, value: Any) -> bool:
    """Return whether it takes this at once while it runs; of mount points only one more, not another or none."""
    mounted = name.startswith("mp") and (value is None or name in guest.config)
    return bool(LIVE.fullmatch(name)) and not mounted


def let_go(guest: Guest, name: str) -> None:
    """Keep the volume of a mount point that is taken away, as one that is not used."""
    volume = volume_in(str(guest.config.get(name, "")))
    if re.fullmatch(r"mp\d+", name) and volume and type_of(volume) == "volume":
        number = next(number for number in range(256) if f"unused{number}" not in guest.config)
        guest.config[f"unused{number}"] = volume


def pending_list(guest: Guest) -> list[Json]:
    """Return each option with its value and what is pending for it."""
    found: list[Json] = [{"key": "digest", "value": digest(guest)}]
    for name in dict.fromkeys([*guest.config, *guest.pending]):
        item: Json = {"key": name}
        if name in guest.config:
            item["value"] = guest.config[name]
        if name in guest.pending:
            item |= {"delete": 1} if guest.pending[name] is None else {"pending": guest.pending[name]}
        found.append(item)
    return found


def check_lock(guest: Guest) -> None:
    """Raise ApiError if the configuration says that something is going on."""
    if lock := guest.config.get("lock"):
        raise died(f"CT is locked ({lock})")


def check_protection(guest: Guest, words: str) -> None:
    """Raise ApiError if the container is protected against what `words` says."""
    if guest.config.get("protection"):
        raise died(f"{words} - protection mode enabled")


def require_config_rights(
    rights: Rights, who: str, vmid: int, changes: Json, *, unprivileged: bool, pool: str | None = None
) -> None:
    """Raise Forbidden unless `who` may change these options. Some are for root@pam alone, not its tokens."""
    if who == "root@pam":
        return
    for name, value in changes.items():
        if name == "features":
            _require_features(str(value or ""), unprivileged)
        if name == "hookscript":
            raise Forbidden("changing the hookscript is only allowed for root@pam")
        if re.fullmatch(r"dev\d+", name):
            raise Forbidden("configuring device passthrough is only allowed for root@pam")
        privilege = next((right for names, right in RIGHTS if re.fullmatch(names, name)), "VM.Config.Options")
        if not (pool and rights.has(who, f"/pool/{pool}", [privilege])):
            rights.require(who, f"/vms/{vmid}", [privilege])
        if re.fullmatch(r"mp\d+|rootfs", name) and value is not None:
            _require_disk(rights, who, str(value))
        if re.fullmatch(r"net\d+", name) and value:
            require_bridge(rights, who, str(value))


def _require_disk(rights: Rights, who: str, value: str) -> None:
    volume = volume_in(value)
    if (kind := type_of(volume)) != "volume":
        raise Forbidden(f"mount point type {kind} is only allowed for root@pam")
    if match := NEW.fullmatch(volume):
        rights.require(who, f"/storage/{match[1]}", ["Datastore.AllocateSpace"])


def _require_features(value: str, unprivileged: bool) -> None:
    if not unprivileged:
        raise Forbidden("changing feature flags for privileged container is only allowed for root@pam")
    if any(not part.startswith("nesting=") for part in split_list(value)):
        raise Forbidden("changing feature flags (except nesting) is only allowed for root@pam")


def require_bridge(rights: Rights, who: str, net: str) -> None:
    """Raise Forbidden unless `who` may use the bridge; since version 8."""
    bridge = re.search(r"(?:^|,)bridge=([^,]+)", net)
    if bridge and rights.world.major() >= 8:
        rights.require(who, f"/sdn/zones/localnetwork/{bridge[1]}", ["SDN.Use"])
