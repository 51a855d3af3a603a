"""Have Proxmox do something that becomes a task, once a job, whatever happens to answers and workers."""

import time
from collections.abc import Callable

from django.utils.translation import gettext as _

from jobs.run import Run
from proxmox.client import NodeApi, TaskNow, errors, wait_task
from proxmox.models import AskedTask

LOOK_SECONDS = 20.0  # for a task whose UPID got lost; the node may be slow just now


def ask_once(
    run: Run,
    api: NodeApi,
    ask: Callable[[], str],
    *,
    action: str,
    vmid: int,
    type: str,  # noqa: A002 - Proxmox's word
    identity: str = "",
    seconds: float = 3600.0,
    cancel: bool = False,
) -> TaskNow:
    """Call `ask`, which begins a task of this type ("vzstart") on the guest, and wait for that.

    If this job has begun it already, in an attempt whose worker died, or if the answer with its id is lost,
    the task is found among the node's and `ask` is not called (again). `action` names it within the job.
    Raises what `ask` and `wait_task` raise; NoAnswer or NodeDown means that nothing has begun, as far as the
    node tells.
    """
    row, fresh = AskedTask.objects.get_or_create(
        job=run.job,
        action=action,
        vmid=vmid,
        defaults={"known": known_tasks(api, vmid, type), "identity": identity},
    )
    if not row.upid and not fresh:
        row.upid = _begun(api, row, type)
    if row.upid:
        run.log(_("This job has begun that already: %s") % row.upid)
    else:
        row.upid = _ask(run, api, row, type, ask)
    row.save(update_fields=["upid"])
    return wait_task(api, row.upid, run, seconds=seconds, cancel=cancel)


def asked_before(run: Run, action: str, vmid: int) -> AskedTask | None:
    """What an earlier attempt of this job has written down before it asked for this; None: it did not."""
    return AskedTask.objects.filter(job=run.job, action=action, vmid=vmid).first()


def known_tasks(api: NodeApi, vmid: int, type: str) -> list[str]:  # noqa: A002
    """The ids of the guest's tasks of this type now."""
    return [task.upid for task in api.tasks(vmid, type) if task.type == type]


def _ask(run: Run, api: NodeApi, row: AskedTask, type: str, ask: Callable[[], str]) -> str:  # noqa: A002
    try:
        with run.on_stop(api.cut):
            return ask()
    except (errors.NoAnswer, errors.NodeDown) as error:
        if run.stopping:
            run.log(_("Stopped while it was being asked for: Proxmox may have begun it."), "err")
        run.check_stop()
        run.log(_("%s Looking whether it has begun all the same.") % error, "err")
        upid = _look_for(run, api, row, type)
        if not upid:
            run.log(_("No such task has begun."), "err")
            raise
        run.log(_("It has: %s") % upid)
        return upid


def _look_for(run: Run, api: NodeApi, row: AskedTask, type: str) -> str:  # noqa: A002
    deadline = time.monotonic() + LOOK_SECONDS
    seen = 0
    while time.monotonic() < deadline and seen < 3:
        try:
            if upid := _begun(api, row, type):
                return upid
            seen += 1
        except (errors.Unreachable, errors.NodeDown, errors.Refused):
            seen = 0  # it is not well again: what it does not tell means nothing
        run.wait(1.0)
    return ""


def _begun(api: NodeApi, row: AskedTask, type: str) -> str:  # noqa: A002
    """The newest task of ours that was not there before; empty if there is none."""
    for task in api.tasks(row.vmid, type):
        if task.type == type and task.upid not in row.known and task.user == api.who:
            return task.upid
    return ""
