"""Tasks: list them, ask how they are, read their logs, stop them."""

from typing import Any

from lab.pve.cluster import Request
from lab.pve.errors import BadParameters
from lab.pve.tasks import UPID, Task

from .registry import answers

Json = dict[str, Any]


@answers("GET /nodes/{node}/tasks")
def tasks(request: Request) -> list[Json]:
    """List a node's tasks, newest first; those of others only with Sys.Audit."""
    params = request.params
    source = params.get("source", "archive")
    found = [task for task in request.cluster.tasks.all(params["node"]) if _listed(request, task, source)]
    if found:
        request.extra["total"] = len(found)
    start = params.get("start", 0)
    page = found[start : start + params.get("limit", 50)]
    return [active_entry(task) if task.status is None else list_entry(task) for task in page]


@answers("GET /nodes/{node}/tasks/{upid}/status")
def status(request: Request) -> Json:
    """Tell how a task is; `exitstatus` comes only when it has ended."""
    task = _seen(request)
    if task.status is None:
        return task.describe("running")
    return {**task.describe("stopped"), "exitstatus": task.status}


@answers("GET /nodes/{node}/tasks/{upid}/log")
def log(request: Request) -> list[Json]:
    """Return lines of a task's log; an unknown task has one line that says so."""
    params = request.params
    try:
        lines = list(_seen(request).lines) or ["no content"]
    except BadParameters as error:
        if error.errors.get("upid") != "no such task":
            raise
        match = UPID.fullmatch(params["upid"])
        if not match or match["user"] != request.who.id:
            request.require(f"/nodes/{params['node']}", "Sys.Audit")
        lines = ["unable to open file - No such file or directory"]
    start = params.get("start", 0)
    request.extra["total"] = len(lines)
    page = list(enumerate(lines, 1))[start : start + (params.get("limit", 50) or len(lines))]
    return [{"n": number, "t": line} for number, line in page]


@answers("DELETE /nodes/{node}/tasks/{upid}")
def stop(request: Request) -> None:
    """Ask a task to stop: one's own, or any with Sys.Modify."""
    task = _found(request)
    if not _own(request, task):
        request.require(f"/nodes/{task.node}", "Sys.Modify")
    task.stopping.set()


def list_entry(task: Task) -> Json:
    """Return an ended task as lists have it."""
    return {**task.describe(task.status or "RUNNING"), "endtime": task.endtime}


def active_entry(task: Task) -> Json:
    """Return a running task as lists have it: with the user and token in one, and unsaved."""
    found = {**task.describe("RUNNING"), "user": task.user, "saved": "0"}
    found.pop("tokenid", None)
    return found


def _own(request: Request, task: Task) -> bool:
    return request.who.id in (task.user, task.user.partition("!")[0])


def _found(request: Request) -> Task:
    task = request.cluster.tasks.find(request.params["upid"])
    if task.node != request.params["node"]:
        raise BadParameters({"upid": "no such task"})
    return task


def _seen(request: Request) -> Task:
    task = _found(request)
    if not _own(request, task):
        request.require(f"/nodes/{task.node}", "Sys.Audit")
    return task


def _listed(request: Request, task: Task, source: str) -> bool:
    params = request.params
    running = task.status is None
    failed = not running and task.status != "OK" and not str(task.status).startswith("WARNINGS")
    wrong = (
        (source == "archive" and running)
        or (source == "active" and not running)
        or (params.get("errors") and not failed)
        or ("vmid" in params and task.id != str(params["vmid"]))
        or ("typefilter" in params and params["typefilter"] not in task.type)
        or ("userfilter" in params and params["userfilter"].lower() not in task.user.lower())
        or task.starttime < params.get("since", 0)
        or task.starttime > params.get("until", task.starttime)
    )
    return not wrong and (_own(request, task) or request.may(f"/nodes/{task.node}", "Sys.Audit"))
