"""What can be done with runs: answer a step, start, stop, resume, undo, delete."""

import hashlib
import json
from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import Any

from django.conf import settings
from django.db import transaction
from django.utils import timezone
from django.utils.translation import gettext as _

from accounts.actors import Actor
from accounts.audit import record
from jobs.services import JobRefusedError, start_job, stop_job
from pages.registry import Held
from wizards import asking
from wizards.asking import Asked, flat
from wizards.by_number import AnyWizard
from wizards.declare import Data, Wizard
from wizards.engine import WORK
from wizards.keeping import answers_of
from wizards.models import ENDED, HALTED, RunState, TaskState, WizardRun, WizardTask


class RunRefused(Exception):  # noqa: N818  # a refusal; its text is a sentence for the page
    """The run's state does not allow this."""


class StepRefused(RunRefused):
    """An answer does not hold (any more): go back to that step. `errors` by its fields, where it is known which."""

    def __init__(self, number: int, sentence: str, errors: Mapping[str, Sequence[str]] | None = None) -> None:
        self.number, self.errors = number, errors
        super().__init__(sentence)

    @classmethod
    def of(cls, number: int, form: Any) -> "StepRefused":
        """What a form says."""
        return cls(number, asking.first_error(form), form.errors)


@transaction.atomic
def answer_step(
    actor: Actor, wizard: AnyWizard, run: WizardRun | None, number: int, asked: Asked
) -> WizardRun:
    """Keep what a step's valid form says; the first answer makes the draft. Raises RunRefused, Broken."""
    if run is None:
        run = begin(actor, wizard)
    else:
        run = locked(run)
        if run.state != RunState.ASKING:
            raise RunRefused(_("This was started already; its answers cannot be changed."))
    answers = answers_of(wizard, run, number, asked.form, asked.defaults)
    changed = answers["values"] != run.step_values(number)
    run.answers = {**run.answers, str(number): answers}
    run.reached = number + 1 if changed else max(run.reached, number + 1)
    if number == 0:
        run.about = _about(answers)
    run.save()
    return run


@transaction.atomic
def begin(actor: Actor, wizard: AnyWizard) -> WizardRun:
    """A draft of a wizard that asks nothing."""
    run = WizardRun.objects.create(
        slug=wizard.slug, name=str(wizard.name)[:200], owner=actor.user, actor_name=actor.name
    )
    record(actor, "wizard.draft", run)
    return run


def _about(answers: Data) -> str:
    said = (text for _label, text in answers["shown"] if text not in {"—", _("kept secret")})
    return str(next(said, ""))[:200]


def fill_rest(actor: Actor, wizard: Wizard, run: WizardRun) -> None:
    """Answer the steps that are left with their defaults. Raises StepRefused at one that needs a person."""
    for number in range(run.reached, len(wizard.steps)):
        asked = asking.from_defaults(wizard, run, number, actor)
        if not asked.form.is_valid():
            raise StepRefused.of(number, asked.form)
        answered = answer_step(actor, wizard, run, number, asked)
        run.answers, run.reached = answered.answers, answered.reached


def start_run(actor: Actor, wizard: AnyWizard, run: WizardRun, *, seen: str = "") -> None:
    """Begin with the tasks; `seen` is the digest of the plan that was looked at.

    Raises RunRefused, also where that plan is another one by now; StepRefused where an answer does not hold any more.
    """
    run.refresh_from_db(fields=["answers", "reached"])
    missing = len(asking.step_names(wizard)) - run.reached
    if missing > 0:
        raise StepRefused(run.reached, _("This step was not answered yet."))
    trouble = asking.check_again(wizard, run, actor)
    if trouble:
        raise StepRefused.of(*trouble)
    other = RunRefused(_("Something else would be done by now than when you looked. Look over it again."))
    if seen and seen != digest(plan(wizard, run), going(wizard, run)):
        raise other
    with transaction.atomic():
        row = locked(run)
        if row.state != RunState.ASKING:
            raise RunRefused(_("This was started already."))
        if row.answers != run.answers:  # by somebody else, while these were checked
            raise other
        data = flat(asking.all_steps(row))
        WizardTask.objects.bulk_create(
            WizardTask(
                run=row,
                number=number,
                slug=task.slug,
                name=str(task.name)[:200],
                says=str(task.says(data)),
                state=TaskState.PLANNED if task.wanted(data) else TaskState.OFF,
            )
            for number, task in enumerate(wizard.tasks)
        )
        go(actor, row)
        record(actor, "wizard.start", row, after={"tasks": [line["says"] for line in plan(wizard, row)]})


def plan(wizard: AnyWizard, run: WizardRun) -> list[Data]:
    """All that will be done, in order: name, what it says, and whether it is wanted."""
    data = flat(asking.all_steps(run))
    return [
        {"name": str(task.name), "says": str(task.says(data)), "wanted": task.wanted(data)}
        for task in wizard.tasks
    ]


def going(wizard: AnyWizard, run: WizardRun) -> Sequence[Held]:
    """What it will take away, that is there now."""
    return wizard.goes(flat(asking.all_steps(run))) if isinstance(wizard, Wizard) else ()


def digest(lines: list[Data], goes: Sequence[Held]) -> str:
    """A plan and what goes by it, for telling whether it is another one."""
    told = [lines, [str(one.text) for one in goes]]
    return hashlib.sha256(json.dumps(told).encode()).hexdigest()


def stop_run(actor: Actor, run: WizardRun) -> None:
    """End it after what its task is doing just now. Raises RunRefused if it does nothing."""
    if not run.active or run.job is None:
        raise RunRefused(_("It is not running."))
    with transaction.atomic():
        record(actor, "wizard.stop", run)
        try:
            stop_job(actor, run.job)
        except JobRefusedError as error:
            raise RunRefused(str(error)) from error


@transaction.atomic
def resume_run(actor: Actor, run: WizardRun) -> None:
    """Go on where it stopped, in the direction that it had. Raises RunRefused."""
    row = locked(run)
    if row.state not in HALTED:
        raise RunRefused(_("There is nothing to resume."))
    go(actor, row)
    record(actor, "wizard.resume", row)


@transaction.atomic
def delete_run(actor: Actor, run: WizardRun) -> None:
    """Forget a draft or what has ended. Raises RunRefused while there is something to resume or undo."""
    row = locked(run)
    if row.active:
        raise RunRefused(_("Stop it first."))
    record(actor, "wizard.delete", row, before={"state": row.state})
    row.delete()


def deletable(run: WizardRun) -> bool:
    """Whether it may be forgotten now."""
    return run.state in {RunState.ASKING, *ENDED, *HALTED}


def delete_old() -> None:
    """Forget drafts and runs that nobody has touched for JOBS_KEEP_DAYS days, if they are at an end."""
    before = timezone.now() - timedelta(days=settings.JOBS_KEEP_DAYS)
    WizardRun.objects.filter(state__in=[RunState.ASKING, *ENDED], changed_at__lt=before).delete()


def locked(run: WizardRun) -> WizardRun:
    """The run as it is now; nobody else changes it before the transaction ends."""
    return WizardRun.objects.select_for_update().get(pk=run.pk)


def go(actor: Actor, row: WizardRun) -> None:
    """Have a job carry it on. Saves the run."""
    row.job = start_job(
        actor,
        WORK,
        (_("Undo: %s") if row.undoing else "%s") % row,
        {"wizard_run": row.pk},
        subject=row,
        secrets=asking.secret_values(row),
    )
    row.state = RunState.RUNNING
    row.why, row.revived = "", 0
    row.started_at = timezone.now()
    row.ended_at = row.awaited = row.waits_since = None
    row.save()


def as_json(run: WizardRun) -> dict[str, Any]:
    """A run as programs get it."""
    return {
        "id": run.pk,
        "wizard": run.slug,
        "name": run.name,
        "about": run.about,
        "state": run.state,
        "undoing": run.undoing,
        "why": run.why,
        "by": run.actor_name,
        "created_at": run.created_at,
        "seconds": round(run.total_seconds, 3),
        "own_seconds": round(run.own_seconds, 3),
        "url": run.get_absolute_url(),
    }
