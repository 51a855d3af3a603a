"""Virtual machines, as far as a list of guests needs them; they are always simulated."""

from typing import Any

from lab.pve.cluster import Request
from lab.pve.errors import died
from lab.pve.guestconfig import digest
from lab.pve.hypervisor import Usage
from lab.pve.tasks import Task
from lab.pve.volumes import size_in_bytes
from lab.pve.world import Guest

from .registry import answers

Json = dict[str, Any]


def machine(request: Request) -> Guest:
    """Return the machine that the call names. Raises ApiError."""
    return request.world.guest(request.params["node"], request.params["vmid"], "qemu")


@answers("GET /nodes/{node}/qemu")
def machines(request: Request) -> list[Json]:
    """List a node's machines that one may see."""
    return [
        describe_machine(request, guest)
        for guest in request.world.guests_of(request.params["node"], "qemu")
        if request.may(f"/vms/{guest.vmid}", "VM.Audit")
    ]


@answers("GET /nodes/{node}/qemu/{vmid}/status/current")
def current(request: Request) -> Json:
    """Tell how a machine is."""
    found = describe_machine(request, machine(request))
    return {**found, "ha": {"managed": 0}, "qmpstatus": found["status"]}


@answers("GET /nodes/{node}/qemu/{vmid}/config")
def config(request: Request) -> Json:
    """Tell how a machine is configured."""
    guest = machine(request)
    return {**guest.config, "digest": digest(guest)}


@answers("GET /nodes/{node}/qemu/{vmid}/agent/network-get-interfaces")
def agent_interfaces(request: Request) -> Json:
    """Hand on what the guest agent says of the machine's network."""
    guest = machine(request)
    enabled = str(guest.config.get("agent", "0")).partition(",")[0].removeprefix("enabled=")
    if enabled not in {"1", "yes", "on", "true"}:
        raise died("No QEMU guest agent configured")
    if not request.cluster.hypervisor.running(guest):
        raise died(f"VM {guest.vmid} is not running")
    if guest.interfaces is None:
        raise died("QEMU guest agent is not running")
    return {"result": guest.interfaces}


@answers("POST /nodes/{node}/qemu/{vmid}/status/start")
def start(request: Request) -> str:
    """Start a machine. That it runs already is seen in the task only; of a container it is said at once."""
    vmid, hypervisor = request.params["vmid"], request.cluster.hypervisor

    def work(task: Task) -> None:
        guest = machine(request)
        if guest.config.get("template"):
            raise died("you can't start a vm if it's a template")
        if lock := guest.config.get("lock"):
            raise died(f"VM is locked ({lock})")
        if hypervisor.running(guest):
            raise died(f"VM {vmid} already running")
        hypervisor.start(guest, task)

    return request.task("qmstart", vmid, work)


@answers("POST /nodes/{node}/qemu/{vmid}/status/stop", "POST /nodes/{node}/qemu/{vmid}/status/shutdown")
def stop(request: Request) -> str:
    """Stop a machine."""
    guest = machine(request)

    def work(task: Task) -> None:
        request.cluster.hypervisor.stop(guest, task)

    return request.task("qmstop", guest.vmid, work)


def describe_machine(request: Request, guest: Guest) -> Json:
    """Return a machine as lists have it."""
    running = request.cluster.hypervisor.running(guest)
    usage = request.cluster.hypervisor.usage(guest) if running else Usage()
    now = guest.config
    found: Json = {
        "vmid": str(guest.vmid) if request.world.major() < 8 else guest.vmid,
        "status": "running" if running else "stopped",
        "name": guest.name,
        "cpu": usage.cpu,
        "cpus": now.get("cores", 1) * now.get("sockets", 1),
        "mem": usage.memory,
        "maxmem": int(now.get("memory", 512)) << 20,
        "disk": 0,
        "maxdisk": size_in_bytes(str(now.get("scsi0", "")).rpartition("size=")[2]),
        "netin": usage.received,
        "netout": usage.sent,
        "uptime": usage.uptime,
    }
    if request.world.major() >= 9:
        found["memhost"] = usage.memory
    if running:
        found |= {"pid": usage.pid, "diskread": 0, "diskwrite": 0}
    return found
