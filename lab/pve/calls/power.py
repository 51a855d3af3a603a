"""Starting and stopping containers."""

from lab.pve.cluster import Request
from lab.pve.errors import BadParameters, TaskError, died
from lab.pve.guestconfig import check_lock, settle
from lab.pve.tasks import Task
from lab.pve.world import Guest

from .lxc import container
from .registry import answers

PATH = "POST /nodes/{node}/lxc/{vmid}/status/"
CHECKPOINT = "command 'lxc-checkpoint {options}' failed: exit code 1"


@answers(PATH + "start")
def start(request: Request) -> str:
    """Start a container. Whether it is there and may start is seen in the task only."""
    vmid = request.params["vmid"]
    _check_skiplock(request)
    if _running(request):
        raise died(f"CT {vmid} already running")
    return begin_start(request)


def begin_start(request: Request) -> str:
    """Start the task that starts a container."""
    vmid = request.params["vmid"]

    def work(task: Task) -> None:
        with request.cluster.hold(vmid):
            guest = container(request)
            if guest.config.get("template"):
                raise died("you can't start a CT if it's a template")
            if not request.params.get("skiplock"):
                check_lock(guest)
            settle(guest)
            if not request.cluster.hypervisor.running(guest):
                request.cluster.hypervisor.start(guest, task)

    return request.task("vzstart", vmid, work)


@answers(PATH + "stop")
def stop(request: Request) -> str:
    """Cut a container's power."""
    guest = _running_guest(request, "CT")

    def work(task: Task) -> None:
        if request.params.get("overrule-shutdown"):
            _end_shutdowns(request, task)
        with request.cluster.hold(guest.vmid):
            _check_lock(request, guest)
            request.cluster.hypervisor.stop(guest, task)

    return request.task("vzstop", guest.vmid, work)


@answers(PATH + "shutdown")
def shutdown(request: Request) -> str:
    """Ask a container to shut down."""
    guest = _running_guest(request, "CT")

    def work(task: Task) -> None:
        with request.cluster.hold(guest.vmid):
            _check_lock(request, guest)
            timeout = request.params.get("timeout", 60)
            request.cluster.hypervisor.shutdown(guest, timeout, bool(request.params.get("forceStop")), task)

    return request.task("vzshutdown", guest.vmid, work)


@answers(PATH + "reboot")
def reboot(request: Request) -> str:
    """Shut a container down and start it."""
    guest = _running_guest(request, "VM")

    def work(task: Task) -> None:
        with request.cluster.hold(guest.vmid):
            check_lock(guest)
            settle(guest)
            request.cluster.hypervisor.reboot(guest, request.params.get("timeout", 60), task)

    return request.task("vzreboot", guest.vmid, work)


@answers(PATH + "suspend")
def suspend(request: Request) -> str:
    """Freeze a container to disk; nobody's kernel can, so that the task fails."""
    vmid = request.params["vmid"]
    if not _running(request):
        raise died(f"CT {vmid} not running")

    def work(task: Task) -> None:
        with request.cluster.hold(vmid):
            check_lock(container(request))
            raise TaskError(CHECKPOINT.format(options=f"-n {vmid} -s -D /var/lib/vz/dump"))

    return request.task("vzsuspend", vmid, work)


@answers(PATH + "resume")
def resume(request: Request) -> str:
    """Go on with a container that was frozen; likewise."""
    vmid = request.params["vmid"]
    if _running(request):
        raise died(f"CT {vmid} already running")

    def work(task: Task) -> None:
        raise TaskError(CHECKPOINT.format(options=f"-n {vmid} -r --foreground -D /var/lib/vz/dump"))

    return request.task("vzresume", vmid, work)


def _end_shutdowns(request: Request, task: Task) -> None:
    """Have the tasks give up that wait for this container to shut down."""
    vmid = str(request.params["vmid"])
    found = [one for one in request.cluster.tasks.all() if (one.type, one.id) == ("vzshutdown", vmid)]
    waiting = [one for one in found if one.status is None]
    for one in waiting:
        one.stopping.set()
    if waiting:
        task.log(f"overruled vzshutdown tasks: {', '.join(one.upid for one in waiting)}")


def _check_skiplock(request: Request) -> None:
    if request.params.get("skiplock") and request.who.id != "root@pam":
        raise BadParameters({"skiplock": "Only root may use this option."})


def _check_lock(request: Request, guest: Guest) -> None:
    if not request.params.get("skiplock"):
        check_lock(guest)


def _running(request: Request) -> bool:
    guest = request.world.guests.get(request.params["vmid"])
    return bool(guest and guest.node == request.params["node"] and request.cluster.hypervisor.running(guest))


def _running_guest(request: Request, word: str) -> Guest:
    _check_skiplock(request)
    if not _running(request):
        raise died(f"{word} {request.params['vmid']} not running")
    return container(request)
