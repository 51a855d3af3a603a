"""Waiting for a task of Proxmox to end, with its log in the job's."""

import time
from collections import deque

from django.utils.translation import gettext as _

from jobs.run import Run, Stopped
from proxmox.client import errors
from proxmox.client.answers import TaskNow
from proxmox.client.node import NodeApi

PATIENCE = 300.0  # seconds for which an API may fail in between: the task goes on meanwhile
FIRST_PAUSE, LONGEST_PAUSE = 0.25, 2.0
LAST_LINES = 12
# What ends a call that hangs (`Run.on_stop`) may come late, and end the next one instead.
STOP_PAUSES = 0.0, 0.5, 2.0


def wait_task(
    api: NodeApi,
    upid: str,
    run: Run,
    *,
    seconds: float = 3600.0,
    cancel: bool = False,
    patience: float = PATIENCE,
) -> TaskNow:
    """Follow the task to its end and return it; its log goes into the job's as it is written.

    Raises TaskFailed if it ends with anything but OK or warnings, TaskTimeout after `seconds`, the API's own
    error when it has failed for `patience` seconds on end, and Stopped. With `cancel`, Stop also ends the
    task; else it goes on, and the log says so.
    """
    watch = _Watch(api, upid, run)
    deadline = time.monotonic() + seconds
    failing_since: float | None = None
    pause = FIRST_PAUSE
    try:
        with run.on_stop(api.cut):
            while True:
                try:
                    ended = watch.look()
                    failing_since = None
                except errors.ProxmoxError as error:
                    run.check_stop()
                    failing_since = failing_since or time.monotonic()
                    if not _may_pass(error) or time.monotonic() - failing_since > patience:
                        raise
                    ended = None
                    watch.complain(error)
                if ended:
                    return watch.judge(ended)
                if time.monotonic() > deadline:
                    raise errors.TaskTimeout(api.host, upid, seconds)
                run.wait(pause)
                pause = min(pause * 1.3, LONGEST_PAUSE)
    except Stopped:
        watch.stopped(cancel=cancel)
        raise


def _may_pass(error: errors.ProxmoxError) -> bool:
    """Whether the API may be well again soon: the task itself is not concerned."""
    if isinstance(error, errors.Unreachable | errors.NodeDown | errors.Locked):
        return True
    return type(error) is errors.Refused and error.status >= 500 and error.status != 501


class _Watch:
    """What was seen of the task so far."""

    def __init__(self, api: NodeApi, upid: str, run: Run) -> None:
        self.api, self.upid, self.run = api, upid, run
        self.lines_read = 0
        self.last: deque[str] = deque(maxlen=LAST_LINES)
        self.complained = ""

    def look(self) -> TaskNow | None:
        """Read on in the log; the task, if it is at its end."""
        now = self.api.task(self.upid)
        while lines := self.api.task_log(self.upid, self.lines_read):
            self.lines_read += len(lines)
            self.last.extend(lines)
            for line in lines:
                self.run.log(line, "out")
        return now if now.ended else None

    def judge(self, ended: TaskNow) -> TaskNow:
        """Return a task that went well; raises TaskFailed."""
        if not ended.went_well:
            raise errors.TaskFailed(self.api.host, self.upid, ended.exit_status, self.last)
        return ended

    def complain(self, error: errors.ProxmoxError) -> None:
        """Say once what fails."""
        if str(error) != self.complained:
            self.complained = str(error)
            self.run.log(_("%s The task goes on meanwhile; asking again.") % error, "err")

    def stopped(self, *, cancel: bool) -> None:
        """End the task, or say that it goes on."""
        if not cancel:
            self.run.log(_("No longer watched: Proxmox goes on with the task."))
            return
        for pause in STOP_PAUSES:
            time.sleep(pause)
            try:
                self.api.stop_task(self.upid)
            except errors.ProxmoxError as error:
                why = error
            else:
                self.run.log(_("Proxmox was asked to end the task."))
                return
        self.run.log(
            _("Proxmox goes on with the task, because it could not be asked to end it: %s") % why, "err"
        )
