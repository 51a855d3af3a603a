"""What others have hung on what a run made: it stands in the way of an undo."""

from collections.abc import Sequence

from pages.registry import Held
from wizards.asking import all_steps, flat
from wizards.by_number import AnyWizard
from wizards.declare import Data
from wizards.models import TaskState, WizardRun


def in_the_way(wizard: AnyWizard, run: WizardRun) -> Sequence[Held]:
    """What must go first, and by a person, before anything of this run is taken back."""
    return wizard.hangs(*_known(run))


def look_first(wizard: AnyWizard, run: WizardRun) -> None:
    """Let a wizard look outside the panel for what stands in the way, by a worker, before anything is taken back."""
    if not run.tasks.filter(state__in=[TaskState.UNDOING, TaskState.UNDONE]).exists():
        wizard.looks(*_known(run))


def _known(run: WizardRun) -> tuple[Data, dict[str, Data]]:
    return flat(all_steps(run)), {row.slug: dict(row.facts) for row in run.tasks.all()}
