"""The cluster as a whole."""

from typing import Any

from lab.pve.cluster import Request
from lab.pve.errors import BadParameters
from lab.pve.world import Guest

from .lxc import describe
from .machines import describe_machine
from .nodes import describe_node
from .registry import answers
from .tasks import list_entry

Json = dict[str, Any]


@answers("GET /cluster/nextid")
def nextid(request: Request) -> str:
    """Tell the first free id, or that the wanted one is free. Nothing is reserved."""
    with request.world.lock:
        taken = set(request.world.guests)
    wanted = request.params.get("vmid")
    if wanted in taken:
        raise BadParameters({"vmid": f"VM {wanted} already exists"})
    return str(wanted or next(number for number in range(100, 1_000_000) if number not in taken))


@answers("GET /cluster/status")
def status(request: Request) -> list[Json]:
    """Tell who belongs to the cluster."""
    nodes = request.world.nodes.values()
    known = request.world.statistics
    head: Json = {"type": "cluster", "id": "cluster", "name": request.world.cluster, "nodes": len(nodes)}
    return [
        {**head, "quorate": 1, "version": 1},
        *(
            {
                "type": "node",
                "id": f"node/{node.name}",
                "name": node.name,
                "nodeid": number,
                "ip": node.address,
                "online": int(not (known and node.refuses)),
                "local": int(node.name == request.node),
                "level": "",
            }
            for number, node in enumerate(nodes, 1)
        ),
    ]


@answers("GET /cluster/tasks")
def tasks(request: Request) -> list[Json]:
    """List recent tasks of all nodes."""
    if not request.world.statistics:
        return []
    found = [task for task in request.cluster.tasks.all() if _may_see(request, task.node, task.user)]
    return [list_entry(task) for task in found[:25]]


@answers("GET /cluster/resources")
def resources(request: Request) -> list[Json]:
    """List everything there is, as far as one may see it."""
    wanted = request.params.get("type")
    found: list[Json] = []
    if wanted in (None, "vm"):
        found += _guests(request)
    if wanted in (None, "node"):
        found += [describe_node(request, node) for node in request.world.nodes.values()]
    if wanted in (None, "storage"):
        found += _storages(request)
    if wanted in (None, "sdn", "network"):
        found += _networks(request)
    return found


def _may_see(request: Request, node: str, user: str) -> bool:
    return user.startswith(request.who.id) or request.may(f"/nodes/{node}", "Sys.Audit")


def _guests(request: Request) -> list[Json]:
    with request.world.lock:
        guests = sorted(request.world.guests.values(), key=lambda guest: (guest.node, guest.vmid))
    return [_guest(request, guest) for guest in guests if request.may(f"/vms/{guest.vmid}", "VM.Audit")]


def _guest(request: Request, guest: Guest) -> Json:
    found: Json = {"id": f"{guest.kind}/{guest.vmid}", "node": guest.node, "vmid": guest.vmid}
    found["type"] = guest.kind
    if not request.world.statistics or request.world.nodes[guest.node].refuses:
        return {**found, "status": "unknown"}
    full = describe(request, guest) if guest.kind == "lxc" else describe_machine(request, guest)
    taken = (
        "status name cpu mem maxmem disk maxdisk diskread diskwrite netin netout uptime tags lock template"
    )
    found |= {name: full[name] for name in taken.split() if name in full}
    return {"template": 0, **found, "maxcpu": full["cpus"]}


def _storages(request: Request) -> list[Json]:
    found = []
    for storage in request.world.storages.values():
        if storage.disabled or not request.may(
            f"/storage/{storage.name}", "Datastore.Audit", "Datastore.AllocateSpace", any_of=True
        ):
            continue
        for node in request.world.nodes.values():
            item: Json = {
                "id": f"storage/{node.name}/{storage.name}",
                "storage": storage.name,
                "node": node.name,
            }
            item |= {"type": "storage", "plugintype": storage.type, "content": ",".join(storage.content)}
            item |= {"shared": 0, "status": "unknown"}
            if request.world.statistics and not node.refuses:
                item |= {"status": "available", "disk": storage.used, "maxdisk": storage.total}
            found.append(item)
    return found


def _networks(request: Request) -> list[Json]:
    major = request.world.major()
    if major < 8 or not request.may("/sdn/zones/localnetwork", "SDN.Audit", "SDN.Use", any_of=True):
        return []
    kind = "network" if major >= 9 else "sdn"
    found: list[Json] = []
    for name in request.world.nodes:
        item: Json = {"type": kind, "node": name, kind: "localnetwork", "status": "ok"}
        item["id"] = f"network/{name}/zone/localnetwork" if kind == "network" else f"sdn/{name}/localnetwork"
        found.append({**item, **({"network-type": "zone"} if kind == "network" else {})})
    return found
