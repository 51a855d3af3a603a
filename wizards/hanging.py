"""What others have hung on what a run made: it stands in the way of an undo."""

from collections.abc import Sequence

from pages.registry import Held
from wizards.asking import all_steps, flat
from wizards.by_number import AnyWizard
from wizards.models import WizardRun


def in_the_way(wizard: AnyWizard, run: WizardRun) -> Sequence[Held]:
    """What must go first, and by a person, before anything of this run is taken back."""
    results = {row.slug: dict(row.facts) for row in run.tasks.all()}
    return wizard.hangs(flat(all_steps(run)), results)
