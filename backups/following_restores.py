"""Follow a preview, a restore or a verification on its backup server to its end, and write down how it ended."""

import time
from datetime import UTC, datetime
from typing import Any

from django.db import transaction
from django.db.models import QuerySet
from django.utils import timezone
from django.utils.translation import gettext as _

from accounts.actors import Actor
from accounts.audit import record
from backups import runner
from backups.ending import need_no_look
from backups.following import DEAD_LOOKS, PAUSES
from backups.models import Restore, TaskState, Verification
from backups.models.restores import AT_WORK
from backups.restoring import NUMBERS, read_changes, refusal, restore_work, verification_work
from backups.runner import Look
from backups.telling_restores import tell_task
from hosts.host import Host
from jobs.models import Job, seconds_said
from jobs.run import Run, Stopped

MOST_OUTPUT = 16_000
# How a restore ends that has begun, without having come to its end.
CUT_OFF = ("died", "shutdown", "connection", "rsync", "stopped")


class TaskFollower:
    """One job's way with one restore (or its preview) or verification."""

    def __init__(self, job: Run, task: Restore | Verification, host: Host) -> None:
        self.job = job
        self.task = task
        self.host = host
        self.looking = task.state == TaskState.LOOKING
        self.name = f"{task.name}-p" if self.looking else task.name
        self.offset = 0
        self.tail = b""
        self.dead = 0

    def follow(self) -> None:
        """To its end. Raises what the host raises, and Stopped; what was cut off goes on by itself."""
        try:
            if not self.task.stop_asked_at:
                self._begin()
            self._watch()
        except Stopped:
            if not self._told_to_stop():
                raise  # the worker ends: the work itself goes on
            self._stop()
            raise

    def _begin(self) -> None:
        if self.task.begun or runner.look(self.host, self.name).known:
            self.job.log(_("Found it on %s.") % self.host.name)
        else:
            runner.start(self.host, self.name, self._work())
            self.job.log(_("Begun on %s.") % self.host.name)
        self._save(begun=True, away_since=None)

    def _work(self) -> dict[str, object]:
        if isinstance(self.task, Restore):
            return restore_work(self.task, self.name, look=self.looking)
        return verification_work(self.task)

    def _watch(self) -> None:
        if self.task.stop_asked_at:
            raise Stopped
        turn = 0
        while not self._over(self._look()):
            self.job.wait(PAUSES[min(turn, len(PAUSES) - 1)])
            turn += 1

    def _stop(self) -> None:
        self.job.log(_("Stopping it on %s.") % self.host.name)
        if not self.task.begun and not runner.look(self.host, self.name).known:
            end_task(self.task, TaskState.STOPPED, "stopped", _("It was stopped before it began."))
            return
        runner.stop(self.host, self.name)
        while not self._over(self._look()):
            time.sleep(PAUSES[2])

    def _told_to_stop(self) -> bool:
        asked = Job.objects.filter(pk=self.job.job.pk).values_list("stop_asked_at", "stop_asked_by").first()
        if asked and asked[0] and not self.task.stop_asked_at:
            self._save(stop_asked_at=asked[0], stop_asked_by=asked[1])
        return bool(self.task.stop_asked_at) and not self.job.lost

    def _look(self) -> Look:
        look = runner.look(self.host, self.name, self.offset)
        if look.output:
            self.offset += len(look.output)
            self.tail = (self.tail + look.output)[-MOST_OUTPUT:]
            self.job.output("out", look.output)
        return look

    def _over(self, look: Look) -> bool:
        if look.ended:
            while more := self._look().output:
                del more
            self._end(look)
            return True
        if look.known and look.alive:
            self.dead = 0
            self._tell(look)
            return False
        self.dead += 1
        if self.dead < DEAD_LOOKS:
            return False
        words = _("What ran on %s was ended from outside, or the server was started anew.") % self.host.name
        self._finish(TaskState.FAILED if look.known else TaskState.LOST, "died", words, look)
        return True

    def _end(self, look: Look) -> None:
        state, code = TaskState(look.facts["state"]), look.facts.get("why", "")
        words = look.facts.get("words", "")
        if state == TaskState.FAILED and (said := refusal(self.task, look.facts.get("refused", ""))):
            code, words = "refused", said
        if self.looking and state in (TaskState.DONE, TaskState.INCOMPLETE):
            self._keep_preview(look, words)
            state = TaskState.READY
        self._finish(state, code, words, look)

    def _keep_preview(self, look: Look, words: str) -> None:
        counts = {name: look.number(name) or 0 for name in ("new", "changed", "deleted", "attributes")}
        self._save(
            counts=counts,
            changes=read_changes(self.host, self.name),
            there=look.facts.get("there") == "yes",
            looked_at=timezone.now(),
        )

    def _finish(self, state: TaskState, code: str, words: str, look: Look) -> None:
        if isinstance(self.task, Restore) and not self.looking and code in CUT_OFF:
            words = f"{words.strip()} {_after_the_middle(self.task)}"
        end_task(self.task, state, code, words, look=look, output=self.tail.decode(errors="replace"))
        runner.forget(self.host, self.name)

    def _tell(self, look: Look) -> None:
        phase = look.facts.get("phase", "")
        live: dict[str, Any] = {"phase": phase}
        if look.progress is not None and phase == "restoring":
            percent = look.progress.percent
            self.job.progress(percent or 0, 100 if percent is not None else 0)
            live |= {"bytes": look.progress.bytes, "percent": percent, "rate": look.progress.rate}
            if percent is not None and look.progress.left:
                live["left_words"] = seconds_said(look.progress.left)
        if live != self.task.live:
            self._save(live=live)

    def _save(self, **fields: Any) -> None:
        for name, value in fields.items():
            setattr(self.task, name, value)
        type(self.task).objects.filter(pk=self.task.pk, state__in=AT_WORK).update(**fields)


def _after_the_middle(restore: Restore) -> str:
    """What lies at the target when rsync did not come to its end: it puts each file in its place once it is whole."""
    words = _(
        "On %(server)s each file is now either as it was or as it is in the copy; the one that was on its way may have "
        "left a beginning beside it, with a dot before its name and six letters behind. “Look again” shows what is "
        "left to do; what is right already is not sent again."
    )
    return words % {"server": restore.target}


def _told(task: Restore | Verification) -> dict[str, Any]:
    return {name: value for name, value in task.figures.items() if name != "rsync_code"}


def end_task(
    task: Restore | Verification,
    state: TaskState,
    code: str = "",
    words: str = "",
    *,
    look: Look | None = None,
    output: str = "",
) -> bool:
    """Write down how it ended; False if somebody else has already. A preview that is ready is no end."""
    fields: dict[str, Any] = {"state": state, "code": code, "error": words, "output": output, "live": {}}
    fields["ended_at"] = timezone.now()
    if look is not None:
        if seconds := look.number("ended"):
            fields["ended_at"] = datetime.fromtimestamp(seconds, UTC)
        found = {name: look.number(name) for name in NUMBERS}
        fields["figures"] = {name: value for name, value in found.items() if value is not None}
        for name in ("sampled", "source"):
            if name in look.facts:
                fields["figures"][name] = look.facts[name]
    with transaction.atomic():
        rows = type(task).objects.filter(pk=task.pk, state=task.state)
        if not rows.update(**fields):
            return False
        was_looking = task.state == TaskState.LOOKING
        task.refresh_from_db()
        if not was_looking:
            kind = "restore" if isinstance(task, Restore) else "verify"
            record(
                Actor(task.owner, task.asked_by or "scheduler"),
                f"backup.{kind}_end",
                task.backup,
                after={kind: task.pk, "state": state.value, "code": code, **_told(task)},
            )
            tell_task(task)
            if state == TaskState.DONE:
                need_no_look(_same(task))
    return True


def _same(task: Restore | Verification) -> QuerySet[Any]:
    """What was to do the same, from whichever copy: with it done, an earlier failure needs no look."""
    if isinstance(task, Restore):
        return task.backup.restores.filter(path=task.path, target=task.target, folder=task.folder)
    return task.backup.verifications.all()
