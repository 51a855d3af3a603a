"""What a wizard has computed for a field and does not hold any more: it is computed anew, and said by the field.

A field is computed as long as nobody has changed it: what was sent is what its page proposed, what is kept is what the
defaults were then. What a person chose herself stays as it is, with its error.
"""

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from django import forms
from django.http import QueryDict
from django.utils.html import escape
from django.utils.translation import gettext as _

from pages.json_values import jsonable
from pages.sent import as_sent, names_of
from wizards.declare import Data

PROPOSED = "proposed-"  # before a field's name, in the page of a step: what was computed for it
NOTHING = "—"


def proposals(form: forms.BaseForm, defaults: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """Hidden inputs for a step's page: with them the answer tells what was computed when it was shown."""
    texts = as_sent(form, defaults)
    for name in _computed_fields(form, defaults):
        for part in names_of(form, name):
            yield from ((PROPOSED + part, text) for text in texts.getlist(part))


def untouched(form: forms.BaseForm, defaults: Mapping[str, Any]) -> set[str]:
    """The fields of a bound form that are as its page, or else `defaults`, proposed them."""
    told = any(name.startswith(PROPOSED) for name in form.data)
    now = as_sent(form, defaults)

    def proposed(part: str) -> list[str]:
        return _texts(form.data, PROPOSED + part) if told else _texts(now, part)

    return {
        name
        for name in _computed_fields(form, defaults)
        if all(_texts(form.data, part) == proposed(part) for part in names_of(form, name))
    }


def computed_values(form: forms.BaseForm, defaults: Mapping[str, Any]) -> Data:
    """Of a valid form: the values that were computed, also those that it filled in where it was left empty."""
    told = as_sent(form, form.cleaned_data)
    names = untouched(form, defaults)
    for name in _computed_fields(form, defaults):
        for part in names_of(form, name):
            if not _texts(form.data, part) and _texts(told, part):
                names.add(name)
    return {name: jsonable(form.cleaned_data[name]) for name in names}


def renew(form: forms.BaseForm, defaults: Mapping[str, Any]) -> None:
    """Of a bound form with errors: put what is computed now into the fields that nobody touched, and say so there."""
    sent: Any = form.data
    now, data = as_sent(form, defaults), sent.copy()
    for name in untouched(form, defaults):
        if words := _tell(form, name, now):
            form[name].help_text = f"{escape(words)} {form[name].help_text}"
        for part in names_of(form, name):
            data.setlist(part, now.getlist(part))
    form.data = data


def tell_what_ended(
    shown: forms.BaseForm, kept: forms.BaseForm, computed: Iterable[str], defaults: Mapping[str, Any]
) -> bool:
    """Say by the fields of `shown`, not bound, what of the answers `kept` holds no more; whether anything is so.

    Those in `computed` show what is computed now; the others what was chosen.
    """
    now, computed = as_sent(kept, defaults), set(computed)
    for name in list(kept.errors):
        if name in computed:
            _tell(kept, name, now)
        shown.errors[name] = kept.errors[name]
    return bool(kept.errors)


def _tell(form: forms.BaseForm, name: str, now: QueryDict) -> str:
    """Say in a field's error what stood there and what is computed now; where it has none, the words for its hint."""
    parts = names_of(form, name)
    if all(_texts(form.data, part) == _texts(now, part) for part in parts):
        return ""
    was, new = _words(form.fields[name], form.data, parts), _words(form.fields[name], now, parts)
    if name not in form.errors:
        return _("Computed anew; before: %s.") % was
    why = " ".join(str(text) for text in form.errors[name])
    said = f"{was}: {why}"
    if new != NOTHING and new not in why:
        said += " " + _("Computed anew: %s.") % new
    form.errors[name] = form.error_class([said])
    return ""


def _words(field: forms.Field, data: Any, parts: Iterable[str]) -> str:
    texts = [text for part in parts for text in _texts(data, part)]
    if isinstance(field, forms.BooleanField):
        return _("on") if texts else _("off")
    if isinstance(field, forms.ChoiceField | forms.ModelChoiceField):
        labels = {str(value): str(label) for value, label in flat_choices(field.choices)}
        texts = [labels.get(text, text) for text in texts]
    return ", ".join(texts) or NOTHING


def flat_choices(choices: Any) -> Iterator[tuple[Any, Any]]:
    """Choices without their groups."""
    for value, label in choices:
        if isinstance(label, list | tuple):
            yield from label
        else:
            yield value, label


def _computed_fields(form: forms.BaseForm, defaults: Mapping[str, Any]) -> Iterator[str]:
    for name in defaults:
        if name in form.fields and not isinstance(form.fields[name].widget, forms.PasswordInput):
            yield name


def _texts(data: Any, name: str) -> list[str]:
    found = (str(text).replace("\r\n", "\n").strip() for text in data.getlist(name))
    return [text for text in found if text]
