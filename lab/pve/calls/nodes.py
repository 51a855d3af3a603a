"""Nodes: which there are, how they are, and their networks."""

import time
from typing import Any

from lab.pve.cluster import Request
from lab.pve.world import Node

from .registry import answers

Json = dict[str, Any]
INDEX = """aplinfo apt capabilities ceph certificates config disks dns firewall hardware hosts journal lxc
migrateall netstat network qemu query-oci-repo-tags query-url-metadata replication report rrd rrddata scan sdn
services
spiceshell startall status stopall storage subscription suspendall syslog tasks termproxy time version
vncshell vzdump wakeonlan"""


@answers("GET /version", "GET /nodes/{node}/version")
def version(request: Request) -> Json:
    """Tell the version."""
    number = request.world.version
    return {"version": number, "release": number.rpartition(".")[0], "repoid": "0" * 16}


@answers("GET /nodes")
def nodes(request: Request) -> list[Json]:
    """List the nodes; how they are is for those who may know."""
    return [
        {**describe_node(request, node), "ssl_fingerprint": None} for node in request.world.nodes.values()
    ]


@answers("GET /nodes/{node}")
def index(request: Request) -> list[Json]:
    """List what there is below a node."""
    return [{"name": name} for name in INDEX.split()]


@answers("GET /nodes/{node}/status")
def status(request: Request) -> Json:
    """Tell how a node is."""
    node = request.world.node(request.params["node"])
    used = memory_used(request, node)
    number = request.world.version
    return {
        "uptime": int(time.time() - request.cluster.started),
        "cpu": 0.07,
        "wait": 0.01,
        "loadavg": ["0.42", "0.37", "0.31"],
        "cpuinfo": {
            "cpus": node.cores,
            "cores": node.cores,
            "sockets": 1,
            "model": "Lab CPU",
            "mhz": "2400.000",
        },
        "memory": {"total": node.memory, "used": used, "free": node.memory - used},
        "swap": {"total": 8 << 30, "used": 0, "free": 8 << 30},
        "rootfs": {"total": 96 << 30, "used": 12 << 30, "free": 84 << 30, "avail": 84 << 30},
        "ksm": {"shared": 0},
        "kversion": "Linux 6.8.12-1-pve #1 SMP",
        "pveversion": f"pve-manager/{number}/0000000000000000",
        "boot-info": {"mode": "efi", "secureboot": 0},
        "current-kernel": {"sysname": "Linux", "release": "6.8.12-1-pve", "machine": "x86_64"},
    }


@answers("GET /nodes/{node}/network")
def network(request: Request) -> list[Json]:
    """List a node's bridges and cards, as far as one may use or see them."""
    node = request.world.node(request.params["node"])
    card: Json = {"iface": "eth0", "type": "eth", "method": "manual", "method6": "manual", "exists": 1}
    bridge: Json = {
        "iface": "vmbr0",
        "type": "bridge",
        "method": "static",
        "method6": "manual",
        "autostart": 1,
    }
    bridge |= {
        "address": "10.0.0.1",
        "netmask": "24",
        "cidr": "10.0.0.1/24",
        "bridge_ports": "",
        "bridge_fd": "0",
    }
    outside: Json = {
        "address": node.address,
        "cidr": f"{node.address}/24",
        "netmask": "24",
        "method": "static",
    }
    found = [
        {**part, "active": 1, "families": ["inet"], "priority": number}
        for number, part in enumerate([{**card, **outside}, {**bridge, "bridge_stp": "off"}], 3)
    ]
    wanted = request.params.get("type")
    usable = request.may("/sdn/zones/localnetwork/vmbr0", "SDN.Audit", "SDN.Use", any_of=True)
    if request.may(f"/nodes/{node.name}", "Sys.Audit"):
        usable = True
    else:
        found = found[1:]
    return [part for part in found if usable and (not wanted or part["type"] in wanted or "bridge" in wanted)]


def memory_used(request: Request, node: Node) -> int:
    """Return the bytes that a node's running guests use, and the node itself."""
    hypervisor = request.cluster.hypervisor
    guests = [guest for guest in request.world.guests.values() if guest.node == node.name]
    return (2 << 30) + sum(hypervisor.usage(guest).memory for guest in guests if hypervisor.running(guest))


def describe_node(request: Request, node: Node) -> Json:
    """Return a node as lists have it."""
    found: Json = {"id": f"node/{node.name}", "node": node.name, "type": "node"}
    if not request.world.statistics:
        return {**found, "status": "unknown"}
    found["status"] = "offline" if node.refuses else "online"
    if node.refuses or not request.may(f"/nodes/{node.name}", "Sys.Audit"):
        return found
    found |= {"cpu": 0.07, "maxcpu": node.cores, "mem": memory_used(request, node), "maxmem": node.memory}
    found |= {"disk": 12 << 30, "maxdisk": 96 << 30, "uptime": int(time.time() - request.cluster.started)}
    return {**found, "level": ""}
