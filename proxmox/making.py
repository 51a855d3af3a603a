"""Makes a container exactly once, whatever an API, a network or a dying worker does in between.

What decides is what is there: a container with our marker whose create task went well is the one; one whose
task failed is removed; one without our marker is somebody else's. Nothing is repeated before it was looked.
"""

import time
from collections.abc import Callable
from typing import Any, TypeVar

from django.db import IntegrityError, transaction
from django.utils.translation import gettext as _

from jobs.run import Run
from proxmox.client import NodeApi, TaskNow, wait_task
from proxmox.client.errors import Gone, NoAnswer, NodeDown, ProxmoxError, Refused, TaskFailed, Unreachable
from proxmox.client.names import HIGHEST_ID, LXC
from proxmox.create_answers import CreateFailed, LeftOver, fingerprints_in, is_being_created, was_taken
from proxmox.models import OPEN, Creation

TRIES = 2  # of a request whose answer was lost, when nothing of it is there
IDS = 200  # that may turn out to be taken, one after the other
GRACE = 3.0  # seconds in which the task of a request whose answer was lost may still begin
PATIENCE = 60.0  # seconds in which an API that does not answer a question may get well
LONGEST = 3600.0  # seconds for a create or a destroy
UNDO_SECONDS = 60.0  # for a create to end that was told to
T = TypeVar("T")


class Making:
    """One attempt at one create. `options` are what Proxmox is asked for, without the id."""

    def __init__(self, run: Run, api: NodeApi, creation: Creation, options: dict[str, Any]) -> None:
        self.run, self.api, self.creation, self.options = run, api, creation, options
        self.last_tried = 0
        self.stopped = False  # then what was begun is undone, without asking the job

    def make(self) -> None:
        """Have the container, well created; its id and its host keys' fingerprints are in the row.

        Raises ProxmoxError; what LeftOver says is then still there, else nothing. Stopped leaves all as it is.
        """
        if self.creation.vmid and self.settle(GRACE):
            return
        lost = 0
        for _count in range(IDS):
            self.run.check_stop()
            self.take_id()
            try:
                upid = self.api.create_container(self.vmid, self.options)
            except Refused as error:
                if was_taken(error) and not (lost and self.settle(0)):
                    self.run.log(_("%d is taken by now; trying the next one.") % self.last_tried)
                elif not self.creation.made:
                    lost += 1
                    self.look_after(error, lost)
            except NoAnswer as error:
                lost += 1
                self.look_after(error, lost)
            except ProxmoxError:  # not signed in, not allowed, not connected: nothing was done
                self.write(vmid=None)
                raise
            else:
                self.follow(upid)
            if self.creation.made:
                return
        raise CreateFailed(self.api.host, _("Proxmox says of every id that it is taken."))

    @property
    def vmid(self) -> int:
        """The id of this attempt."""
        assert self.creation.vmid is not None  # noqa: S101 - for the type checker
        return self.creation.vmid

    def write(self, **fields: Any) -> None:
        """Write into the row what the next attempt must know."""
        Creation.objects.filter(pk=self.creation.pk).update(**fields)
        for name, value in fields.items():
            setattr(self.creation, name, value)

    def take_id(self) -> None:
        """An id that no guest has by what Proxmox says, and that no other create of ours is trying."""
        wanted = max(self.api.next_id(), self.last_tried + 1)
        while wanted <= HIGHEST_ID:
            ours = Creation.objects.filter(state__in=OPEN).exclude(pk=self.creation.pk)
            taken = set(ours.filter(vmid__gte=wanted).values_list("vmid", flat=True))
            while wanted in taken:
                wanted += 1
            try:
                with transaction.atomic():
                    self.write(vmid=wanted, create_upid="", made=False)
            except IntegrityError:
                continue  # another create took it between the question and the answer
            self.last_tried = wanted
            return
        raise CreateFailed(self.api.host, _("There is no id left on this cluster."))

    def look_after(self, error: ProxmoxError, lost: int) -> None:
        """After an answer that may not be the truth: have the container if it is there.

        Raises the error if the request should not be sent again.
        """
        certain = isinstance(error, Refused) and not isinstance(error, NodeDown) and error.status <= 500
        if isinstance(error, Refused) and error.status == 400:
            self.write(vmid=None)
            raise error
        if not certain:
            self.run.log(_("%s Looking whether it was done all the same.") % error, "err")
        if not self.settle(0 if certain else GRACE) and (certain or lost >= TRIES):
            raise error

    def follow(self, upid: str) -> None:
        """Wait for our create task. Raises CreateFailed, unless it was the id that somebody else got first."""
        self.write(create_upid=upid)
        try:
            wait_task(self.api, upid, self.run, seconds=LONGEST)
        except TaskFailed as error:
            self.settle(0)
            if not was_taken(error):  # two creates may both get as far as their task
                raise CreateFailed(self.api.host, str(error), error.words) from error
        else:
            self.have_made(upid)

    def settle(self, grace: float) -> bool:
        """Whether the container of an earlier request is there, and well; what of it is not well is removed.

        If not, nothing of ours has its id any more. `grace`: seconds that a request whose answer nobody got
        may take to begin. Raises LeftOver, and ProxmoxError when the API cannot be asked.
        """
        until = time.monotonic() + grace
        while True:
            task = self.create_task()
            if task and not task.ended:
                self.await_end(task.upid)
                until = time.monotonic() + grace
                continue
            config = self.config()
            unsure = config is None and not self.creation.create_upid
            if (unsure or is_being_created(config)) and time.monotonic() < until:
                self.pause(0.5)
                continue
            return self.judge(config, task)

    def judge(self, config: dict[str, Any] | None, task: TaskNow | None) -> bool:
        """Have, remove or leave alone what is there under our id; see `settle`."""
        if config is not None and self.is_ours(config):
            if self.creation.made:
                return True
            if task and task.went_well:
                self.have_made(task.upid)
                return True
            self.remove()
        elif is_being_created(config) and task and task.upid == self.creation.create_upid:
            words = _("Proxmox left container %(vmid)d on %(host)s half made and locked. Remove it there.")
            raise LeftOver(self.api.host, words % {"vmid": self.vmid, "host": self.api.host})
        self.write(vmid=None, create_upid="", made=False)
        return False

    def have_made(self, upid: str) -> None:
        """Its create task went well: note that, and the fingerprints of its host keys from the task's log."""
        log = self.patiently(lambda: self.api.task_log(upid, 0, 5000))
        self.write(create_upid=upid, made=True, fingerprints=fingerprints_in(log))

    def remove(self) -> None:
        """Destroy what a failed create left under our id and with our marker. Raises LeftOver."""
        host, vmid = self.api.host, self.vmid
        words = _("What is left of container %(vmid)d on %(host)s could not be removed: %(why)s")
        self.run.log(_("Removing what is left of container %d.") % vmid)
        why = _("it runs")
        for _count in range(TRIES):
            config = self.config()
            if config is None or not self.is_ours(config):
                return
            try:
                if self.api.guest(LXC, vmid).runs:
                    break
                why = self.await_end(self.api.destroy(LXC, vmid)) or why
            except Gone:
                return
            except ProxmoxError as error:
                why = str(error)
        if (config := self.config()) is not None and self.is_ours(config):
            raise LeftOver(host, words % {"vmid": vmid, "host": host, "why": why})

    def undo(self) -> None:
        """After Stop: end the create task and remove what it made. One that is made stays.

        Does not heed the job's wish to end, which is the reason for it. Raises ProxmoxError.
        """
        self.stopped = True
        if self.creation.vmid is None or self.creation.made:
            return
        task = self.create_task()
        if task and not task.ended and task.upid == self.creation.create_upid:
            self.patiently(lambda: self.api.stop_task(task.upid))
        if self.settle(0):  # it was quicker than we were
            self.remove()
            self.write(vmid=None, create_upid="", made=False)

    def is_ours(self, config: dict[str, Any]) -> bool:
        """Whether a configuration has our marker and our name."""
        words = str(config.get("description", "")).split()
        return self.creation.marker in words and config.get("hostname") == self.creation.hostname

    def config(self) -> dict[str, Any] | None:
        """What is configured under our id; None if there is nothing."""
        try:
            return self.patiently(lambda: self.api.config(LXC, self.vmid))
        except Gone:
            return None

    def create_task(self) -> TaskNow | None:
        """The newest create task for our id that we may see."""
        found = self.patiently(lambda: self.api.tasks(self.vmid, "vzcreate"))
        return next(iter(found), None)

    def await_end(self, upid: str) -> str:
        """Wait for a task to end, however it ends. Returns what it said if it failed, else nothing.

        Raises LeftOver if it does not, while undoing.
        """
        if not self.stopped:
            try:
                wait_task(self.api, upid, self.run, seconds=LONGEST)
            except TaskFailed as error:
                return error.exit_status
            return ""
        until = time.monotonic() + UNDO_SECONDS
        while time.monotonic() < until:
            now = self.patiently(lambda: self.api.task(upid))
            if now.ended:
                return "" if now.went_well else now.exit_status
            self.pause(0.5)
        words = _(
            "Its task does not end on %(host)s; what is made of container %(vmid)s has to be looked at."
        )
        raise LeftOver(self.api.host, words % {"host": self.api.host, "vmid": self.creation.vmid})

    def patiently(self, ask: Callable[[], T]) -> T:
        """Ask what changes nothing again and again, as long as the API may get well."""
        until = time.monotonic() + PATIENCE
        while True:
            try:
                return ask()
            except (Unreachable, NodeDown) as error:
                if time.monotonic() > until:
                    raise LeftOver(self.api.host, self.unknown(error), error.words) from error
                self.run.log(str(error), "err")
                self.pause(2)

    def unknown(self, error: ProxmoxError) -> str:
        """The sentence for an API that is silent after something was asked of it."""
        return _(
            "%(error)s It is not known whether container %(vmid)s was created there; trying again looks first."
        ) % {"error": error, "vmid": self.creation.vmid}

    def pause(self, seconds: float) -> None:
        """Let time pass; raises Stopped, but while undoing."""
        if self.stopped:
            time.sleep(seconds)
        else:
            self.run.wait(seconds)
