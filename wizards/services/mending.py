"""Resume a run that has failed with other answers: what it was told was taken by others meanwhile."""

from dataclasses import dataclass

from django.db import transaction
from django.http import QueryDict
from django.utils.translation import gettext as _

from accounts.actors import Actor
from accounts.audit import record
from pages.sent import Sent, as_sent, names_of
from wizards import asking
from wizards.asking import all_steps, flat
from wizards.by_number import AnyWizard
from wizards.declare import Data, Wizard
from wizards.keeping import answers_of
from wizards.models import RunState, TaskState, WizardRun, WizardTask
from wizards.services.runs import RunRefused, go, locked

OVER = (TaskState.DONE, TaskState.OFF)


@dataclass(frozen=True)
class Mend:
    """What may be answered anew: fields of a step (its number from 0), for a task that has failed."""

    wizard: Wizard
    task: WizardTask
    number: int
    names: tuple[str, ...]


def mend_of(wizard: AnyWizard, run: WizardRun) -> Mend | None:
    """What of a failed run may be answered anew; None where nothing may."""
    if run.state != RunState.FAILED or run.undoing or not isinstance(wizard, Wizard):
        return None
    row = run.tasks.filter(state=TaskState.FAILED).first()
    task = next((one for one in wizard.tasks if row and one.slug == row.slug), None)
    if row is None or task is None or not task.mends or not task.can_mend(dict(row.facts)):
        return None
    number = next(at for at, step in enumerate(wizard.steps) if task.mends[0] in step.form.base_fields)
    return Mend(wizard, row, number, task.mends)


def ask_anew(run: WizardRun, mend: Mend, actor: Actor, data: QueryDict | None) -> asking.Asked:
    """The step's form, with what was told: bound to that and to what is sent now, or showing what holds no more."""
    step = mend.wizard.steps[mend.number]
    asked = asking.kept_step(step, run, mend.number, actor)
    if data is None:
        return asked
    before, told = flat(all_steps(run, mend.number)), run.step_values(mend.number)
    blank = step.make_form(actor, before, None, told)
    merged = as_sent(blank, told)
    for name in mend.names:
        if isinstance(data, Sent) and not names_of(blank, name) & data.names:
            continue
        for part in names_of(blank, name):
            merged.setlist(part, data.getlist(part))
    if isinstance(data, Sent):  # so that it is as strict as every form
        merged = Sent.of(merged, data.names, data.boxes, data.address)
    form = step.make_form(actor, before, merged, told)
    for name in set(form.errors) & set(form.fields) - set(mend.names):
        form.add_error(None, f"{form.fields[name].label}: {' '.join(map(str, form.errors.pop(name)))}")
    if isinstance(data, Sent):
        for name in sorted(data.names - set(mend.names)):
            form.errors[name] = form.error_class([_("This cannot be answered anew any more.")])
    return asking.Asked(form, asked.text, "", asked.defaults)


@transaction.atomic
def resume_with(actor: Actor, run: WizardRun, mend: Mend, asked: asking.Asked) -> None:
    """Keep the new answers of the step's valid form, compute what follows from them, and go on. Raises RunRefused."""
    row, wizard = locked(run), mend.wizard
    if mend_of(wizard, row) != mend:
        raise RunRefused(_("There is nothing to answer anew."))
    before = row.step_values(mend.number)
    answers = answers_of(wizard, row, mend.number, asked.form, asked.defaults)
    row.answers = {**row.answers, str(mend.number): answers}
    _follow(actor, wizard, row, mend.number)
    _look_at_tasks(wizard, row)
    go(actor, row)
    changed = [name for name in mend.names if answers["values"].get(name) != before.get(name)]
    after = {name: answers["values"].get(name) for name in changed if name not in answers["secret"]}
    record(actor, "wizard.resume", row, before={name: before.get(name) for name in after}, after=after)


def _follow(actor: Actor, wizard: Wizard, row: WizardRun, number: int) -> None:
    """What later steps computed, and tasks that are to come still read, follows; unless a step then would not hold."""
    done = set(row.tasks.filter(state__in=OVER).values_list("slug", flat=True))
    to_come = {name for task in wizard.tasks if task.slug not in done for name in task.mends}
    for later in range(number + 1, len(wizard.steps)):
        asked = asking.from_defaults(wizard, row, later, actor, only=to_come)
        if asked.form.is_valid():
            answers = answers_of(wizard, row, later, asked.form, asked.defaults)
            row.answers = {**row.answers, str(later): answers}


def _look_at_tasks(wizard: Wizard, row: WizardRun) -> None:
    """Say of the tasks to come what they do now. One that is not wanted any more, and has not begun, is off."""
    data: Data = flat(all_steps(row))
    tasks = {task.slug: task for task in wizard.tasks}
    for one in row.tasks.exclude(state=TaskState.DONE):
        if (task := tasks.get(one.slug)) is None:
            continue
        one.says = str(task.says(data))
        if not task.wanted(data) and not one.facts:
            one.state, one.why = TaskState.OFF, ""
        elif one.state == TaskState.OFF:
            one.state = TaskState.PLANNED
        one.save()
