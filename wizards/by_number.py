"""Wizards that are classes with methods by number (see `wizards.wizards._Wizard`), made to fit the engine."""

import json
import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from django import forms
from django.core.validators import slug_re
from django.http import HttpRequest
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from pages.registry import Held
from wizards.declare import Data, Later, Line, Refused, Task, TaskRun, Wizard
from wizards.trouble import WHATEVER, Broken, where
from wizards.wizards import _Wizard

CUT_OFF = gettext_lazy(
    "The panel was ended in the middle of this task. See what it has done; to resume is to run it again."
)
LISTS = {"_nb_step": "_steps_names", "_nb_task": "_tasks_names"}
METHODS = {"_nb_step": ("display_step_{}", "save_step_{}"), "_nb_task": ("do_task_{}",)}


@dataclass(frozen=True)
class NumberedWizard:
    """Such a class, checked."""

    slug: str
    name: str
    description: str
    step_names: tuple[str, ...]
    tasks: tuple[Task, ...]
    made: type[_Wizard]
    path: Path
    needs: tuple[Any, ...] = ()
    icon: str = "wand"

    def display(
        self, number: int, steps: list[Data], request: HttpRequest
    ) -> tuple[str, forms.BaseForm, str]:
        """The text, form and script of a step (from 0). Raises Broken."""
        act = getattr(_instance(self.made, steps, []), f"display_step_{number + 1}")
        shown = _guarded(self.path, lambda: act(request))
        if not isinstance(shown, tuple | list) or len(shown) != 3:
            raise Broken(
                _("%(file)s: display_step_%(number)d must return a text, a form and a script.")
                % {"file": self.path.name, "number": number + 1}
            )
        text, form, script = shown
        if form is None:
            form = forms.Form(request.POST if request.method == "POST" else None)
        if not isinstance(form, forms.BaseForm):
            raise Broken(
                _("%(file)s: what display_step_%(number)d returns second is no form.")
                % {"file": self.path.name, "number": number + 1}
            )
        return str(text or ""), form, str(script or "")

    def check(self, form: forms.BaseForm) -> None:
        """Have a bound form judged: its rules are the wizard's own. Raises Broken."""
        _guarded(self.path, lambda: form.errors)

    def save(self, number: int, steps: list[Data], form: forms.BaseForm) -> Data:
        """What a step (from 0) wants to keep of its valid form. Raises Broken."""
        act = getattr(_instance(self.made, steps, []), f"save_step_{number + 1}")
        return _checked(_guarded(self.path, lambda: act(form)), self.path, f"save_step_{number + 1}")

    def hangs(self, _data: Data, _results: Any) -> list[Held]:
        """Nothing that the panel could know of."""
        return []

    def looks(self, _data: Data, _results: Any) -> None:
        """Nothing that the panel could look at."""

    def finish(self, _data: Data, _results: Any) -> list[Line]:
        """Nothing more to show at the end."""
        return []


AnyWizard = Wizard | NumberedWizard


def from_class(made: type[_Wizard], path: Path) -> NumberedWizard:
    """The wizard that a class is. Raises Broken, saying which line of the file and what is missing or wrong."""
    for name, kind in {"_name": str, "_description": str, "_nb_step": int, "_nb_task": int}.items():
        if not isinstance(getattr(made, name, None), kind):
            raise _broken(
                made, path, _("%(name)s is missing or no %(kind)s.") % {"name": name, "kind": kind.__name__}
            )
    for count, names in LISTS.items():
        wanted, given = getattr(made, count), getattr(made, names, None)
        if not isinstance(given, list | tuple) or len(given) != wanted:
            raise _broken(made, path, _("%(names)s must be a list of %(count)s = %(wanted)d names.")
                          % {"names": names, "count": count, "wanted": wanted})  # fmt: skip
        for pattern in METHODS[count]:
            for number in range(1, wanted + 1):
                if not callable(getattr(made, pattern.format(number), None)):
                    raise _broken(made, path, _("the method %s is missing.") % pattern.format(number))
    if made._nb_task < 1:
        raise _broken(made, path, _("there must be at least one task."))
    if not slug_re.match(_slug(made.__name__)):  # its address is made from it
        raise _broken(made, path, _("the name of the class has letters from a to z, digits and _ alone."))
    return NumberedWizard(
        slug=_slug(made.__name__),
        name=made._name,
        description=made._description,
        step_names=tuple(str(name) for name in made._steps_names),
        tasks=tuple(_task(made, path, number, str(name)) for number, name in enumerate(made._tasks_names, 1)),
        made=made,
        path=path,
    )


def _slug(name: str) -> str:
    return re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", name.strip("_")).lower()


def _broken(made: type, path: Path, words: str) -> Broken:
    line = next(
        (
            number
            for number, text in enumerate(path.read_text(errors="replace").splitlines(), 1)
            if re.match(rf"\s*class\s+{re.escape(made.__name__)}\b", text)
        ),
        1,
    )
    return Broken(f"{path.name}, line {line}: {made.__name__}: {words}")


def _task(made: type[_Wizard], path: Path, number: int, name: str) -> Task:
    def do(task: TaskRun) -> Later | None:
        if task.facts.get("begun"):
            task.save(begun=False)
            raise Refused(str(CUT_OFF))
        task.save(begun=True)
        try:
            result = _act(made, f"do_task_{number}", task, len(made._tasks_names))
            data = _answer(result, path, number)
        except Broken as error:
            task.save(begun=False)
            raise Refused(str(error)) from error
        except WHATEVER as error:
            task.save(begun=False)
            raise Refused(where(error, path)) from error
        if data is None:
            task.save(begun=False)
            raise Refused(_("The task said that the wizard should not go on."))
        task.save(begun=False, data=data)
        return None

    def undo(task: TaskRun) -> Later | None:
        try:
            _act(made, f"undo_task_{number}", task, len(made._tasks_names))
        except WHATEVER as error:
            raise Refused(where(error, path)) from error
        return None

    can_undo = callable(getattr(made, f"undo_task_{number}", None))
    return Task(
        slug=f"task_{number}",
        name=name,
        do=do,
        says=lambda _data: name,
        undo=undo if can_undo else None,
        undo_says=lambda _data: gettext_lazy("Undo: %s") % name,
    )


def _act(made: type[_Wizard], method: str, task: TaskRun, count: int) -> Any:
    facts = [task.results.get(f"task_{number}", task.facts) for number in range(1, count + 1)]
    done = [one.get("data", {}) for one in facts]
    return getattr(_instance(made, task.steps, done), method)()


def _answer(result: Any, path: Path, number: int) -> Data | None:
    """The data of (True, data), None for (False, …). Raises Broken for anything else."""
    method = f"do_task_{number}"
    if not isinstance(result, tuple | list) or len(result) != 2 or not isinstance(result[0], bool):
        raise Broken(
            _("%(file)s: %(method)s must return (True, a dict) or (False, None).")
            % {"file": path.name, "method": method}
        )
    return _checked(result[1], path, method) if result[0] else None


def _checked(data: Any, path: Path, method: str) -> Data:
    """A dict that JSON can hold, as JSON gives it back; None counts as an empty one. Raises Broken."""
    if data is None:
        return {}
    try:
        if isinstance(data, dict):
            found: Data = json.loads(json.dumps(data))
            return found
    except (TypeError, ValueError):
        pass
    raise Broken(
        _("%(file)s: what %(method)s returns as data is no dict that JSON can hold.")
        % {"file": path.name, "method": method}
    )


def _instance(made: type[_Wizard], steps: list[Data], done: list[Data]) -> _Wizard:
    wizard = made()
    wizard.step_data = steps + [{}] * (made._nb_step - len(steps))
    wizard.task_data = done + [{}] * (made._nb_task - len(done))
    return wizard


def _guarded(path: Path, act: Callable[[], Any]) -> Any:
    try:
        return act()
    except WHATEVER as error:
        raise Broken(where(error, path)) from error
