"""Carries a run on, task by task, forwards or backwards. It may be killed between any two lines.

What is true is in the rows: a task is called until it says that it is done, and only then its row says so. The run's
`job` is the one that may carry it on; a job that was taken for dead and wakes again finds another one there.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from django.db import transaction
from django.utils import timezone
from django.utils.translation import gettext as _

from accounts.actors import Actor
from hosts.meter import seconds_outside
from jobs.execute import DATABASE_AWAY, sentence_of
from jobs.models import Job
from jobs.printing import printed_into
from jobs.rights import actor_of
from jobs.run import Postponed, Run, Stopped
from jobs.services import acknowledge
from jobs.works import is_expected
from servers.registry import sentence
from wizards import accounting, catalogue
from wizards.asking import all_steps, secret_values
from wizards.by_number import AnyWizard
from wizards.declare import Later, Refused, Task, TaskRun
from wizards.hanging import in_the_way, look_first
from wizards.models import ACTIVE, UNTOUCHED, RunState, TaskState, WizardRun, WizardTask
from wizards.refusing import refusing
from wizards.trouble import WHATEVER, where

WORK = "wizards.carry_on"
LOOK_AGAIN = (
    300.0  # seconds after which it looks by itself whether an awaited job has ended; it is told before
)


def carry_on(run: Run, *, wizard_run: int) -> None:
    """Go on with a run where it stands. Raises Refused and what its task raised, after noting it."""
    row = _take(run, wizard_run)
    if row is None:
        run.log(_("Another job carries this on."))
        return
    try:
        _Course(run, row).walk()
    except Postponed:
        raise
    except Stopped:
        if not run.interrupted and not run.lost:
            accounting.halt(row.pk, run.job.pk, RunState.STOPPED, "")
        raise
    except WHATEVER as error:
        sentence = run.secrets.mask(sentence_of(error, run.job))
        accounting.halt(row.pk, run.job.pk, RunState.FAILED, sentence)
        raise


def _take(run: Run, pk: int) -> WizardRun | None:
    """The run, noted as running; None if it is not this job's to carry on. Raises Postponed while it must wait."""
    with transaction.atomic():
        row = WizardRun.objects.select_for_update().filter(pk=pk, job=run.job.pk, state__in=ACTIVE).first()
        if row is None:
            return None
        awaited = Job.objects.filter(pk=row.awaited_id).first() if row.awaited_id else None
        if awaited and not awaited.ended:
            raise Postponed(LOOK_AGAIN)
        if awaited:
            acknowledge(actor_of_job(run.job), [awaited])  # if it failed, the run says so from here on
        accounting.count_wait(row, awaited)
        row.state = RunState.RUNNING
        row.awaited = None
        row.save()
        return row


@dataclass
class _Course:
    """One job's way along the tasks of a run."""

    run: Run
    row: WizardRun

    def walk(self) -> None:
        """All that is left to do, or to undo, in order."""
        wizard = catalogue.get(self.row.slug)
        for secret in secret_values(self.row):
            self.run.secrets.add(secret)
        rows = list(self.row.tasks.order_by("number"))
        tasks = {task.slug: task for task in wizard.tasks}
        ordered = rows[::-1] if self.row.undoing else rows
        self._progress(rows)
        if self.row.undoing:
            look_first(wizard, self.row)
        for one in ordered:
            if self._is_over(one):
                continue
            task = tasks.get(one.slug)
            if task is None:
                raise Refused(_("The wizard “%(name)s” has no task “%(task)s” any more.")
                              % {"name": self.row.name, "task": one.name})  # fmt: skip
            if self.row.undoing and task.undo is None:
                continue
            if self.row.undoing and (held := in_the_way(wizard, self.row)):
                raise Refused(sentence(held))  # again before each step: some cannot be brought back
            self._call(task, one, rows)
            self._progress(rows)
        self._finish(wizard)

    def _is_over(self, one: WizardTask) -> bool:
        if self.row.undoing:
            return one.state in {*UNTOUCHED, TaskState.UNDONE}
        return one.state in {TaskState.DONE, TaskState.OFF}

    def _call(self, task: Task, one: WizardTask, rows: list[WizardTask]) -> None:
        """Call a task once; returns if it is done. Raises Postponed if it wants to be called again."""
        self.run.check_stop()
        fresh = one.state not in {TaskState.WAITING, TaskState.RUNNING, TaskState.UNDOING}
        with self._ours():
            one.state = TaskState.UNDOING if self.row.undoing else TaskState.RUNNING
            one.why, one.ended_at = "", None
            one.started_at = timezone.now() if fresh else one.started_at or timezone.now()
            one.save()
        if fresh:
            words = _("Undo: %s") if self.row.undoing else "%s"
            self.run.log(f"— {words % one.name}")
        before = seconds_outside()
        act = (task.undo if self.row.undoing else task.do) or task.do
        try:
            with printed_into(self.run), refusing():
                later = act(self._task_run(one, rows))
        except Stopped:
            raise
        except WHATEVER as error:
            self._note_outside(seconds_outside() - before)
            path = catalogue.own_file_of(self.row.slug)
            if path and not is_expected(error) and not isinstance(error, (Postponed, *DATABASE_AWAY)):
                raise Refused(where(error, path)) from error
            raise
        spent = seconds_outside() - before
        if not isinstance(later, Later | None):
            self._note_outside(spent)
            raise Refused(_("The task “%s” must return None, or Later to be called again.") % one.name)
        if later is None:
            self._done(one, spent)
        else:
            self._wait(one, later, spent)

    def _task_run(self, one: WizardTask, rows: list[WizardTask]) -> TaskRun:
        def keep(facts: dict[str, Any]) -> None:
            with self._ours():
                one.facts = facts
                one.save(update_fields=["facts"])

        return TaskRun(
            actor=actor_of_job(self.run.job),
            steps=all_steps(self.row),
            facts=dict(one.facts),
            results={row.slug: dict(row.facts) for row in rows if row.number != one.number},
            run=self.run,
            keep=keep,
        )

    def _done(self, one: WizardTask, spent: float) -> None:
        with self._ours() as row:
            one.state = TaskState.UNDONE if row.undoing else TaskState.DONE
            one.why, one.ended_at = "", timezone.now()
            one.save()
            row.outside_seconds += spent
            row.revived = 0
            row.save()

    def _wait(self, one: WizardTask, later: Later, spent: float) -> None:
        with self._ours() as row:
            one.state = TaskState.WAITING
            one.why, one.job = str(later.why), later.job
            one.save()
            row.outside_seconds += spent
            row.state = RunState.WAITING
            row.awaited = later.job
            row.waits_since = timezone.now()
            row.waits_seconds = 0.0 if later.job else later.seconds
            row.save()
        if later.job is None:
            raise Postponed(later.seconds)
        ended = Job.objects.get(pk=later.job.pk).ended  # after our commit: from now on its end wakes us
        raise Postponed(0.0 if ended else LOOK_AGAIN)

    def _finish(self, wizard: AnyWizard) -> None:
        with self._ours() as row:
            row.state = RunState.UNDONE if row.undoing else RunState.DONE
            row.why = ""
            row.ended_at = timezone.now()
            accounting.end_stretch(row)
            for answers in row.answers.values():
                answers.pop("typed", None)
                for name in answers.get("secret", ()):
                    answers["values"].pop(name, None)  # nothing needs them any more
            row.save()
            acknowledge(actor_of_job(self.run.job), Job.objects.of(row).filter(work=WORK))
        self.run.log(_("Undone.") if self.row.undoing else _("All is done."))

    def _note_outside(self, spent: float) -> None:
        with self._ours() as row:
            row.outside_seconds += spent
            row.save()

    def _progress(self, rows: list[WizardTask]) -> None:
        wanted = [row for row in rows if row.state != TaskState.OFF]
        self.run.progress(sum(self._is_over(row) for row in wanted), len(wanted))

    @contextmanager
    def _ours(self) -> Iterator[WizardRun]:
        """The run's row, locked and fresh, for a change. Raises Stopped if another job has taken it over."""
        with transaction.atomic():
            found = WizardRun.objects.select_for_update().filter(
                pk=self.row.pk, job=self.run.job.pk, state__in=ACTIVE
            )
            fresh = found.first()
            if fresh is None:
                raise Stopped
            yield fresh
        self.row = fresh


def actor_of_job(job: Job) -> Actor:
    """Who had this job done."""
    return actor_of(job)
