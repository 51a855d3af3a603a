"""What is kept of a step's answers, and how they are shown."""

import json
from typing import Any

from django import forms
from django.utils.translation import gettext as _

from pages.json_values import jsonable
from wizards.asking import all_steps
from wizards.by_number import AnyWizard, NumberedWizard
from wizards.declare import Data
from wizards.models import WizardRun
from wizards.renewing import flat_choices

MOST_SHOWN = 300  # characters of an answer on the page that shows all


def answers_of(
    wizard: AnyWizard, run: WizardRun | None, number: int, form: Any, defaults: Data | None
) -> Data:
    """What is kept of a step's valid form. Raises Broken."""
    secret_fields = [name for name, field in form.fields.items() if is_secret(field)]
    typed = {name: str(form.cleaned_data[name]) for name in secret_fields if form.cleaned_data.get(name)}
    if isinstance(wizard, NumberedWizard):
        values = wizard.save(number, all_steps(run, number), form)
        told = set(typed.values())
        secret = [name for name, value in values.items() if name in secret_fields or str(value) in told]
    else:
        values = json.loads(json.dumps(jsonable(form.cleaned_data)))
        secret = [name for name in secret_fields if values.get(name)]
    return {
        "values": values,
        "defaults": defaults or {},
        "secret": secret,
        "typed": typed,
        "shown": _shown(form),
    }


def is_secret(field: forms.Field) -> bool:
    """Whether what is typed there must not be shown again."""
    return isinstance(field.widget, forms.PasswordInput)


def _shown(form: Any) -> list[list[str]]:
    shown = []
    for name, field in form.fields.items():
        if isinstance(field.widget, forms.HiddenInput):
            continue
        value = form.cleaned_data.get(name)
        if is_secret(field) and not value:
            continue
        shown.append([str(form[name].label), _said(field, value)])
    return shown


def _said(field: forms.Field, value: Any) -> str:
    if is_secret(field):
        return _("kept secret") if value else "—"
    if isinstance(value, bool):
        return _("yes") if value else _("no")
    if value is None or value == "":
        return "—"
    if isinstance(value, list | tuple | set) or hasattr(value, "model"):
        return ", ".join(str(item) for item in value) or "—"
    if isinstance(field, forms.ChoiceField) and not isinstance(field, forms.ModelChoiceField):
        return str(dict(flat_choices(field.choices)).get(value, value))
    return str(value)[:MOST_SHOWN]
