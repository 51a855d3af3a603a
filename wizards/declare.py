"""How a wizard is declared: steps that ask, tasks that do. What `docs/wizards.md` explains.

A wizard is data and functions; it knows nothing of pages, rows or jobs. Values that steps were given are plain JSON:
a chosen row is its primary key, several are a list of them, an address or a time is its text.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from inspect import signature
from typing import Any

from django import forms
from django.core.validators import slug_re

from accounts.actors import Actor
from jobs.models import Job
from jobs.run import Run
from pages.forms import CleanText
from pages.registry import Held

Data = dict[str, Any]
LONGEST_SECONDS = 10**9  # what a time can be counted on by; NaN and infinity are no such number


class Refused(Exception):  # noqa: N818  # its text is a sentence for the page
    """A task cannot do its work: the run stops there, and may be resumed or undone."""


@dataclass(frozen=True)
class Later:
    """A task's answer “call me again”: when this job has ended, or after so many seconds. No worker waits meanwhile.

    `why` is shown beside the task. The call happens whatever the job's end was: look at it yourself. Anything else
    than a job that began, or a number of seconds from 0 up, is a TypeError or ValueError where it is written.
    """

    job: Job | None = None
    seconds: float = 2.0
    why: Any = ""

    def __post_init__(self) -> None:
        if not isinstance(self.job, Job | None):
            raise TypeError(f"Later: job must be a Job, not {self.job!r}")
        if self.job is not None and self.job.pk is None:
            raise ValueError("Later: job must be one that began, and this one is not saved, or deleted")
        if not isinstance(self.seconds, int | float):
            raise TypeError(f"Later: seconds must be a number, not {self.seconds!r}")
        if not 0 <= self.seconds < LONGEST_SECONDS:
            raise ValueError(f"Later: seconds must be from 0 to {LONGEST_SECONDS}, not {self.seconds!r}")


@dataclass(frozen=True)
class Line:
    """Something to show at the end: a label, a text such as a command to copy, and perhaps an address."""

    label: Any
    text: str
    url: str = ""


class StepForm(CleanText, forms.Form):
    """A form that knows who is asked (`self.actor`) and what earlier steps were told (`self.data_so_far`)."""

    def __init__(self, *args: Any, actor: Actor, data_so_far: Data, **kwargs: Any) -> None:
        self.actor = actor
        self.data_so_far = data_so_far
        super().__init__(*args, **kwargs)


@dataclass(frozen=True)
class Step:
    """One page of questions.

    `defaults(actor, data)` computes initial values from what all earlier steps were told; a value that the person
    changed is kept when an earlier answer changes, the others are computed anew. A field with a PasswordInput is a
    secret: encrypted at rest, never shown back, kept when it is left empty on a second visit, and forgotten when the
    run is done. A form that takes `actor` and `data_so_far` gets them (see StepForm).
    """

    name: Any
    form: type[forms.Form]
    defaults: Callable[[Actor, Data], Data] | None = None
    text: Any = ""  # shown above the form

    def make_form(
        self, actor: Actor, data_so_far: Data, data: Any = None, initial: Data | None = None
    ) -> forms.Form:
        """The form, bound to `data` unless that is None."""
        extra: Data = {}
        if issubclass(self.form, StepForm):
            extra = {"actor": actor, "data_so_far": data_so_far}
        else:
            taken = signature(self.form.__init__).parameters
            known = {"actor": actor, "data_so_far": data_so_far}
            extra = {name: value for name, value in known.items() if name in taken}
        return _clean(self.form)(data, initial=initial, **extra)


def _clean(form: type[forms.Form]) -> type[forms.Form]:
    """The form with what every form of the panel does, also where its wizard has it from Django's own."""
    if issubclass(form, CleanText):
        return form
    made: type[forms.Form] = type(form.__name__, (CleanText, form), {"__module__": form.__module__})
    return made


class TaskRun:
    """What a task's `do` and `undo` get. They may be called many times, and be killed at any moment.

    `actor` is who started or resumed the run; `data` all that the steps were told, by field; `steps` the same, a
    dict a step; `facts` what this task saved so far; `results` the facts of the tasks before it, by slug; `run` the
    job's Run, for `run.step`, `run.on_stop`, `run.secrets`, `run.output`.
    """

    def __init__(
        self,
        *,
        actor: Actor,
        steps: list[Data],
        facts: Data,
        results: dict[str, Data],
        run: Run,
        keep: Callable[[Data], None],
    ) -> None:
        self.actor = actor
        self.steps = steps
        self.data: Data = {name: value for step in steps for name, value in step.items()}
        self.facts = facts
        self.results = results
        self.run = run
        self._keep = keep

    def log(self, text: object) -> None:
        """Write a line into the run's log."""
        self.run.log(text)

    def save(self, **facts: Any) -> None:
        """Add to `facts`, committed at once: what a task finds again that was killed after this line. JSON values."""
        self.facts.update(facts)
        self._keep(self.facts)


def always(_data: Data) -> bool:
    """A part that cannot be switched off."""
    return True


def nothing_stays(_data: Data) -> list[str]:
    """A wizard that says nothing of what stays."""
    return []


def nothing_goes(_data: Data) -> list[Held]:
    """A wizard that takes nothing away."""
    return []


def nothing_hangs(_data: Data, _results: Mapping[str, Data]) -> list[Held]:
    """A wizard whose undo takes away nothing on which others could have hung something."""
    return []


def nothing_to_look_at(_data: Data, _results: Mapping[str, Data]) -> None:
    """A wizard that knows from the panel's rows what stands in the way of its undo."""


def nothing_to_show(_data: Data, _results: Mapping[str, Data]) -> list[Line]:
    """A run that ends without a word."""
    return []


@dataclass(frozen=True)
class Task:
    """One thing that is done. `do` and `undo` are called again and again until they return None.

    Both begin with a look at `facts` and the world, because the call before may have been killed anywhere. They raise
    Refused (or an error that `jobs.works.expect` knows) with a sentence for the page. `says(data)` is the line of the
    page that shows all that will be done, `undo_says(data)` its counterpart before an undo, or `undo_says(data,
    results)` where it wants to look at the tasks' facts, by slug. A task without `undo` leaves what it made, unless
    `stays(data)` says that it goes with the rest.

    `mends` are fields of one step: when the task has failed, they may be answered anew before it is resumed, as long
    as `can_mend(facts)` is true. `do` then finds other `data` than before, which may also say that it is not wanted any
    more: it takes back what it has begun.
    """

    slug: str
    name: Any
    do: Callable[[TaskRun], Later | None]
    says: Callable[[Data], Any]
    undo: Callable[[TaskRun], Later | None] | None = None
    undo_says: Callable[..., Any] | None = None
    wanted: Callable[[Data], bool] = always
    mends: tuple[str, ...] = ()
    can_mend: Callable[[Data], bool] = always
    stays: Callable[[Data], bool] = always


@dataclass(frozen=True)
class Wizard:
    """A wizard: put one into a module of `wizards/wizards/` and it is found.

    `needs` are the sentences of its card: what must be there before. `finish(data, results)` gives what to show when
    all is done. The page before the start lists what goes, `goes(data)`, and what is left alone, `stays(data)`.
    Where other things would go than when it was looked at, nothing begins. `hangs(data, results)` is what others
    have hung since on what an undo would take away: while there is something, an undo does nothing, and goes on with
    nothing. `looks(data, results)` is called by the worker before an undo takes anything away, so that `hangs` knows of
    what changed outside the panel. Raises ValueError for a declaration that cannot work.
    """

    slug: str
    name: Any
    description: Any
    steps: tuple[Step, ...]
    tasks: tuple[Task, ...]
    needs: tuple[Any, ...] = ()
    finish: Callable[[Data, Mapping[str, Data]], list[Line]] = nothing_to_show
    goes: Callable[[Data], Sequence[Held]] = nothing_goes
    stays: Callable[[Data], list[str]] = nothing_stays
    hangs: Callable[[Data, Mapping[str, Data]], Sequence[Held]] = nothing_hangs
    looks: Callable[[Data, Mapping[str, Data]], None] = nothing_to_look_at
    icon: str = "wand"

    def __post_init__(self) -> None:
        if not isinstance(self.slug, str) or not slug_re.match(self.slug):
            raise ValueError(f"{self.slug}: a slug has letters from a to z, digits, - and _ alone.")
        slugs = [task.slug for task in self.tasks]
        if not slugs or len(slugs) != len(set(slugs)):
            raise ValueError(f"{self.slug}: tasks need slugs that differ, and there must be one.")
        names = [name for step in self.steps for name in step.form.base_fields]
        twice = {name for name in names if names.count(name) > 1}
        if twice:
            raise ValueError(f"{self.slug}: two steps ask for {', '.join(sorted(twice))}.")
        for task in self.tasks:
            if task.mends and not any(set(task.mends) <= set(step.form.base_fields) for step in self.steps):
                raise ValueError(f"{self.slug}: what {task.slug} mends is not asked in one step.")
