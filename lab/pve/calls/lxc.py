"""Containers: which there are, and how they are."""

import math
import time
from typing import Any

from lab.pve.cluster import Request
from lab.pve.errors import BadParameters, died
from lab.pve.guestconfig import digest, disk_size, pending_list, with_pending
from lab.pve.hypervisor import Usage
from lab.pve.world import Guest

from .registry import answers

Json = dict[str, Any]
PRESSURE = ("cpufull", "cpusome", "iofull", "iosome", "memoryfull", "memorysome")
INDEX = """config pending status vncproxy termproxy vncwebsocket spiceproxy migrate clone rrd rrddata firewall snapshot
resize interfaces"""
SECONDS_APART = {"hour": 60, "day": 1800, "week": 10800, "month": 43200, "year": 604800, "decade": 6048000}


def container(request: Request) -> Guest:
    """Return the container that the call names. Raises ApiError."""
    return request.world.guest(request.params["node"], request.params["vmid"])


@answers("GET /nodes/{node}/lxc")
def containers(request: Request) -> list[Json]:
    """List a node's containers that one may see."""
    return [
        describe(request, guest)
        for guest in request.world.guests_of(request.params["node"], "lxc")
        if request.may(f"/vms/{guest.vmid}", "VM.Audit")
    ]


@answers("GET /nodes/{node}/lxc/{vmid}")
def index(request: Request) -> list[Json]:
    """List what there is below a container."""
    container(request)
    return [{"subdir": name} for name in INDEX.split()]


@answers("GET /nodes/{node}/lxc/{vmid}/status")
def status_index(request: Request) -> list[Json]:
    """List what one can ask of a container, or have it do."""
    container(request)
    return [{"subdir": name} for name in ["current", "start", "stop", "shutdown", "reboot", "migrate"]]


@answers("GET /nodes/{node}/lxc/{vmid}/status/current")
def current(request: Request) -> Json:
    """Tell how a container is."""
    guest = container(request)
    return {**describe(request, guest), "vmid": guest.vmid, "ha": {"managed": 0}}


@answers("GET /nodes/{node}/lxc/{vmid}/config")
def config(request: Request) -> Json:
    """Tell how a container is configured: after its next start, at present, or when a snapshot was made."""
    guest = container(request)
    params = request.params
    if name := params.get("snapshot"):
        if params.get("current"):
            words = "cannot use 'snapshot' parameter with 'current'"
            raise BadParameters({"snapshot": words, "current": words})
        if name not in guest.snapshots:
            raise died(f"snapshot '{name}' does not exist")
        return {**guest.snapshots[name], "digest": digest(guest)}
    found = guest.config if params.get("current") else with_pending(guest)
    return {**found, "digest": digest(guest)}


@answers("GET /nodes/{node}/lxc/{vmid}/pending")
def pending(request: Request) -> list[Json]:
    """Tell what waits for the next start."""
    return pending_list(container(request))


@answers("GET /nodes/{node}/lxc/{vmid}/interfaces")
def interfaces(request: Request) -> list[Json] | None:
    """List a running container's network interfaces; nothing at all for one that does not run."""
    guest = container(request)
    hypervisor = request.cluster.hypervisor
    if not hypervisor.running(guest):
        return None
    return [
        {"hardware-address": card.get("hwaddr", ""), "ip-addresses": _addresses(card), **card}
        for card in hypervisor.interfaces(guest)
    ]


def _addresses(card: Json) -> list[Json]:
    """A card's addresses as the list has them that came beside `inet` and `inet6`."""
    given = {family: str(card[family]).partition("/") for family in ("inet", "inet6") if card.get(family)}
    return [
        {"ip-address": address, "ip-address-type": family, "prefix": int(length)}
        for family, (address, _slash, length) in given.items()
    ]


@answers("GET /nodes/{node}/lxc/{vmid}/feature")
def feature(request: Request) -> Json:
    """Tell whether a container's storage can make snapshots, clones or copies."""
    guest = container(request)
    wanted = request.params["feature"]
    can = wanted == "copy" or (wanted == "snapshot" and can_snapshot(request, guest))
    return {"hasFeature": int(can)}


@answers("GET /nodes/{node}/lxc/{vmid}/rrddata")
def rrddata(request: Request) -> list[Json]:
    """Return how a container was over time; made up, around how it is now."""
    guest = container(request)
    now = describe(request, guest)
    apart = SECONDS_APART[request.params["timeframe"]]
    last = int(time.time()) // apart * apart
    found = []
    for number in range(70):
        swing = 1 + math.sin(number / 7 + guest.vmid) / 3
        point: Json = {"time": last - (69 - number) * apart, "maxcpu": now["cpus"]}
        point |= {name: now[name] for name in ("maxmem", "maxdisk", "disk")}
        point |= {"cpu": now["cpu"] * swing, "mem": int(now["mem"] * swing)}
        point |= dict.fromkeys(
            ("netin", "netout", "diskread", "diskwrite"), 1000.0 * swing if now["mem"] else 0.0
        )
        found.append(point)
    return found


def can_snapshot(request: Request, guest: Guest) -> bool:
    """Return whether the storage of a container's disk knows snapshots; plain folders do not."""
    storage = request.world.storages.get(str(guest.config.get("rootfs", "")).partition(":")[0])
    return bool(storage and storage.type != "dir")


def describe(request: Request, guest: Guest) -> Json:
    """Return a container as lists have it."""
    hypervisor = request.cluster.hypervisor
    running = hypervisor.running(guest)
    usage = hypervisor.usage(guest) if running else Usage()
    now = guest.config
    found: Json = {
        "vmid": str(guest.vmid) if request.world.major() < 8 else guest.vmid,
        "type": "lxc",
        "status": "running" if running else "stopped",
        "name": guest.name,
        "cpu": usage.cpu,
        "cpus": now.get("cores") or now.get("cpulimit") or request.world.nodes[guest.node].cores,
        "mem": usage.memory,
        "maxmem": int(now.get("memory", 512)) << 20,
        "swap": usage.swap,
        "maxswap": int(now.get("swap", 512)) << 20,
        "disk": usage.disk,
        "maxdisk": disk_size(guest),
        "diskread": 0,
        "diskwrite": 0,
        "netin": usage.received,
        "netout": usage.sent,
        "uptime": usage.uptime,
    }
    found |= {name: now[name] for name in ("lock", "tags", "template") if now.get(name)}
    if running:
        found["pid"] = usage.pid
        if request.world.major() >= 9:
            found |= dict.fromkeys((f"pressure{name}" for name in PRESSURE), None)
    return found
