"""Take back what a run did, the last first; and say before what that will be."""

from inspect import signature

from django.db import transaction
from django.utils.translation import gettext as _

from accounts.actors import Actor
from accounts.audit import record
from pages import second_word
from servers.registry import sentence
from wizards import asking
from wizards.asking import flat
from wizards.by_number import AnyWizard
from wizards.declare import Data, Task
from wizards.hanging import in_the_way
from wizards.models import HALTED, UNTOUCHED, RunState, TaskState, WizardRun
from wizards.services.runs import RunRefused, go, locked


def undo_plan(wizard: AnyWizard, run: WizardRun) -> tuple[list[str], list[str]]:
    """What undoing does, in order, and what stays because its task cannot be undone."""
    data = flat(asking.all_steps(run))
    tasks = {task.slug: task for task in wizard.tasks}
    rows = list(run.tasks.order_by("-number"))
    results = {row.slug: dict(row.facts) for row in rows}
    undone, stays = [], []
    for row in rows:
        task = tasks.get(row.slug)
        if row.state in {*UNTOUCHED, TaskState.UNDONE} or task is None:
            continue
        if task.undo is not None:
            undone.append(_undo_words(task, data, results))
        elif task.stays(data):
            stays.append(row.says or row.name)
    return undone, stays


def _undo_words(task: Task, data: Data, results: dict[str, Data]) -> str:
    if task.undo_says is None:
        return _("Undo: %s") % task.says(data)
    looks = len(signature(task.undo_says).parameters) > 1
    return str(task.undo_says(data, results) if looks else task.undo_says(data))


def question(undone: list[str], stays: list[str]) -> second_word.SecondWordNeeded:
    """What an undo asks a second word for, from its plan."""
    return second_word.SecondWordNeeded([*undone, *(_("Stays: %s") % line for line in stays)])


@transaction.atomic
def undo_run(actor: Actor, run: WizardRun, wizard: AnyWizard) -> None:
    """Take back what was done, the last first. Raises RunRefused, and SecondWordNeeded with what it will do."""
    row = locked(run)
    if row.state not in {*HALTED, RunState.DONE} or row.undoing:
        raise RunRefused(_("There is nothing to undo."))
    undone, stays = undo_plan(wizard, row)
    if not undone:
        raise RunRefused(_("Nothing that it did can be undone by the panel."))
    if held := in_the_way(wizard, row):
        raise RunRefused(sentence(held))
    second_word.ask(question(undone, stays))
    row.undoing = True
    go(actor, row)
    record(actor, "wizard.undo", row, after={"undone": undone, "stays": stays})
