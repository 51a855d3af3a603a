"""Steps: their forms with what is known already; keeping.py has what is kept of them."""

from collections.abc import Collection, Iterable
from dataclasses import dataclass, replace
from typing import Any

from django import forms
from django.core.exceptions import ValidationError
from django.http import HttpRequest, QueryDict
from django.utils.translation import gettext as _

from accounts.actors import Actor, actor_of
from pages.answers import form_data
from pages.forms import refuse_hidden
from pages.json_values import jsonable
from pages.sent import Sent, as_sent, fill_rest, refuse_unknown
from wizards.by_number import AnyWizard, NumberedWizard
from wizards.declare import Data, Step, Wizard
from wizards.models import WizardRun
from wizards.renewing import computed_values, renew, tell_what_ended

REST = "rest"  # sent beside the fields of any step: the steps after it take their defaults


@dataclass(frozen=True)
class Asked:
    """A step as its page shows it: a form, words above it, and a script of the wizard's own."""

    form: Any
    text: str = ""
    script: str = ""
    defaults: Data | None = None
    ended: bool = False  # of the answers kept, something does not hold any more: said by its fields


def step_names(wizard: AnyWizard) -> list[str]:
    """The names of its steps, in order."""
    if isinstance(wizard, NumberedWizard):
        return list(wizard.step_names)
    return [str(step.name) for step in wizard.steps]


def all_steps(run: WizardRun | None, before: int | None = None) -> list[Data]:
    """What each step was told, in order; `before`: only those before this number."""
    if run is None:
        return []
    last = max((int(number) for number in run.answers), default=-1) + 1
    return [run.step_values(number) for number in range(last if before is None else min(before, last))]


def flat(steps: Iterable[Data]) -> Data:
    """All of it by field."""
    return {name: value for step in steps for name, value in step.items()}


def secret_values(run: WizardRun) -> list[str]:
    """What must not be shown or logged."""
    found = []
    for answers in run.answers.values():
        values = answers.get("values", {})
        found += [str(values[name]) for name in answers.get("secret", ()) if values.get(name)]
        found += answers.get("typed", {}).values()
    return found


def ask(wizard: AnyWizard, run: WizardRun | None, number: int, request: HttpRequest) -> Asked:
    """A step for a request: bound to what was sent, or showing what is known. Raises Broken."""
    data = form_data(request)
    if isinstance(data, Sent):
        data = data.without(REST)
    if data is not None:
        data = _with_kept_secrets(data, run, number)
    if isinstance(wizard, NumberedWizard):
        return _ask_by_number(wizard, run, number, request, data)
    asked = _asked(wizard.steps[number], run, number, actor_of(request))
    if run is None and data is None:
        given = {name: request.GET[name] for name in asked.form.fields if name in request.GET}
        asked.form.initial.update(given)
    step, defaults = wizard.steps[number], asked.defaults or {}
    if data is None:
        return _with_what_ended(asked, step, run, number, actor_of(request))
    before = flat(all_steps(run, number))
    form = step.make_form(actor_of(request), before, data, asked.form.initial)
    _relax_kept(form, run, number)
    if form.errors:
        renew(form, defaults)
    else:
        defaults = {**defaults, **computed_values(form, defaults)}  # as they were when the person saw them
    return Asked(form, asked.text, "", defaults)


def _with_what_ended(asked: Asked, step: Step, run: WizardRun | None, number: int, actor: Actor) -> Asked:
    """The same, where by its fields is said what of the answers kept does not hold any more."""
    if run is None or str(number) not in run.answers:
        return asked
    answers = run.answers[str(number)]
    then = answers.get("defaults") or {}
    computed = {name for name, value in answers["values"].items() if name in then and _is(value, then[name])}
    kept = kept_form(step, run, number, actor)
    return replace(asked, ended=tell_what_ended(asked.form, kept, computed, asked.defaults or {}))


def kept_step(step: Step, run: WizardRun, number: int, actor: Actor) -> Asked:
    """A step that was answered, as its page shows it again."""
    return _with_what_ended(_asked(step, run, number, actor), step, run, number, actor)


def _is(value: Any, default: Any) -> bool:
    return str(value) == str(default)


def kept_form(step: Step, run: WizardRun, number: int, actor: Actor) -> forms.Form:
    """A step's form bound to what it was told: whether that holds today."""
    before, values = flat(all_steps(run, number)), run.step_values(number)
    return step.make_form(actor, before, as_sent(step.make_form(actor, before, None, values), values))


def _asked(step: Step, run: WizardRun | None, number: int, actor: Actor) -> Asked:
    before = flat(all_steps(run, number))
    defaults = jsonable(step.defaults(actor, dict(before))) if step.defaults else {}
    form = step.make_form(actor, before, None, {**defaults, **_kept(run, number)})
    _relax_kept(form, run, number)
    return Asked(form, str(step.text), "", defaults)


def _kept(run: WizardRun | None, number: int) -> Data:
    """The answers to show again: not secrets, and not those that were left as the defaults were."""
    answers = run.answers.get(str(number), {}) if run else {}
    defaults = answers.get("defaults") or {}
    return {
        name: value
        for name, value in answers.get("values", {}).items()
        if name not in answers.get("secret", ()) and not (name in defaults and _is(value, defaults[name]))
    }


def _ask_by_number(
    wizard: NumberedWizard, run: WizardRun | None, number: int, request: HttpRequest, data: QueryDict | None
) -> Asked:
    if data is not None:
        request.POST = data  # type: ignore[assignment]  # also where a program sent JSON
    text, form, script = wizard.display(number, all_steps(run, number), request)
    if data is not None and not form.is_bound:
        form.data, form.files, form.is_bound = data, request.FILES, True
    if not form.is_bound:
        kept = {name: value for name, value in _kept(run, number).items() if name in form.fields}
        form.initial = {**(form.initial or {}), **kept}
    _relax_kept(form, run, number)
    fill_rest(form)
    if form.is_bound:  # checked now: others make these forms, from Django's own
        wizard.check(form)
        refuse_hidden(form)
        refuse_unknown(form)
    return Asked(form, text, script)


def _with_kept_secrets(data: QueryDict, run: WizardRun | None, number: int) -> QueryDict:
    """What was sent, with the secrets that were typed on an earlier visit where their fields are empty."""
    data = data.copy()
    for name, secret in _typed(run, number).items():
        if not data.get(name):
            data[name] = secret
    return data


def _typed(run: WizardRun | None, number: int) -> Data:
    """What was typed into the secret fields of a step."""
    typed: Data = run.answers.get(str(number), {}).get("typed", {}) if run else {}
    return typed


def _relax_kept(form: Any, run: WizardRun | None, number: int) -> None:
    for name in _typed(run, number):
        if name in form.fields:
            form.fields[name].widget.is_required = False
            form.fields[name].help_text = _("Kept from before. Type another one to change it.")


def from_defaults(
    wizard: Wizard, run: WizardRun, number: int, actor: Actor, *, only: Collection[str] | None = None
) -> Asked:
    """A step bound to its defaults and to what was kept, as if a person had sent it unchanged.

    `only`: the fields that follow what is computed now; the others stay as they were answered.
    """
    step = wizard.steps[number]
    asked = _asked(step, run, number, actor)
    stay = {} if only is None else run.step_values(number)
    stay = {name: value for name, value in stay.items() if only is None or name not in only}
    data = as_sent(asked.form, {**stay, **_typed(run, number)})
    form = step.make_form(actor, flat(all_steps(run, number)), data, asked.form.initial)
    return Asked(form, asked.text, "", asked.defaults)


def check_again(wizard: AnyWizard, run: WizardRun, actor: Actor) -> tuple[int, forms.Form] | None:
    """The first step whose answers do not hold any more, with its errors: the world may have changed since."""
    if isinstance(wizard, NumberedWizard):
        return None
    for number, step in enumerate(wizard.steps):
        form = kept_form(step, run, number, actor)
        if not form.is_valid():
            return number, form
    return None


def first_error(form: Any) -> str:
    """One sentence of what is wrong with a form, with the field it concerns."""
    for name, errors in form.errors.items():
        words = str(next(iter(errors)))
        return f"{form.fields[name].label or name}: {words}" if name in form.fields else words
    raise ValidationError("The form is valid.")
