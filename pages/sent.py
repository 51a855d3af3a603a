"""What programs send to forms: the fields that they mean. The rest stays as it is; a name that is none is an error."""

from collections.abc import Iterable, Mapping
from copy import copy
from typing import Any

from django import forms
from django.http import QueryDict
from django.utils.translation import gettext as _

from pages.json_values import jsonable

BESIDE = {"csrfmiddlewaretoken", "confirm_lockout"}  # of every form: pages/second_word.py


class Sent(QueryDict):
    """What a program sent, as a form's data; `names` are those it named, also where they were false or null."""

    names: frozenset[str] = frozenset()

    @classmethod
    def of(cls, data: QueryDict, names: Iterable[str]) -> "Sent":
        """The same values, of which a program named these; it can be changed."""
        made = cls(mutable=True)
        for name, texts in data.lists():
            made.setlist(name, list(texts))
        made.names = frozenset(names)
        return made

    def copy(self) -> "Sent":
        """One that can be changed."""
        return Sent.of(self, self.names)


def as_sent(form: forms.BaseForm, values: Mapping[str, Any]) -> QueryDict:
    """The form's initial values, or those of `values` by field, as a browser would send them."""
    data = QueryDict(mutable=True)
    for name, field in form.fields.items():
        _put(data, form, name, values[name] if name in values else form.get_initial_for_field(field, name))
    return data


def fill_rest(form: forms.BaseForm) -> None:
    """Put into what a program sent the initial values of the fields that it did not name.

    Hidden fields are left as they are: what stands there says what the sender has seen.
    """
    if not isinstance(form.data, Sent):
        return
    sent = form.data.copy()
    named = sent.names | set(sent)
    for name, field in form.fields.items():
        if field.disabled or field.widget.is_hidden or named & names_of(form, name):
            continue
        _put(sent, form, name, form.get_initial_for_field(field, name))
    form.data = sent


def refuse_unknown(form: forms.BaseForm) -> None:
    """Refuse, in a form that was checked already, names that it does not know and values that it does not take."""
    if not form.is_bound or not isinstance(form.data, Sent):
        return
    known = {name for field in form.fields for name in names_of(form, field)}
    beside = BESIDE | getattr(form, "beside", set())
    for name in sorted(form.data.names - known - beside):
        form.errors[name] = form.error_class([_no_such(form)])
    for name, field in form.fields.items():
        if field.disabled and name in form.data.names and _is_another(form, name, field):
            form.add_error(name, _("This cannot be set here. %s") % (field.help_text or ""))
        if len(form.data.getlist(form.add_prefix(name))) > 1 and not _takes_many(form, name, field):
            form.add_error(name, _("This takes one value, and no list: only the last would be kept."))


def was_named(form: forms.BaseForm, name: str) -> bool:
    """Whether a program named this field, so that what it said may not be passed over in silence."""
    return isinstance(form.data, Sent) and form.add_prefix(name) in form.data.names


def _no_such(form: forms.BaseForm) -> str:
    if not form.fields:
        return _("There is no such field here: this takes none.")
    return _("There is no such field here. There are: %s.") % ", ".join(form.fields)


def names_of(form: forms.BaseForm, field: str) -> set[str]:
    """The names under which a browser sends this field: one, but for a widget of several inputs."""
    name, widget = form.add_prefix(field), form.fields[field].widget
    return set(widget.as_sent(name, None)) if hasattr(widget, "as_sent") else {name}


def _put(data: QueryDict, form: forms.BaseForm, field: str, value: Any) -> None:
    name, widget = form.add_prefix(field), form.fields[field].widget
    value = form.fields[field].prepare_value(value if isinstance(value, str) else jsonable(value))
    if hasattr(widget, "as_sent"):
        for part, texts in widget.as_sent(name, value).items():
            data.setlist(part, texts)
    elif isinstance(value, list | tuple):
        data.setlist(name, [str(item) for item in value])
    elif value is True:
        data[name] = "on"
    elif value is not None and value is not False:
        data[name] = str(value)


def _takes_many(form: forms.BaseForm, name: str, field: forms.Field) -> bool:
    value = field.widget.value_from_datadict(form.data, form.files, form.add_prefix(name))
    return isinstance(value, list | tuple)


def _is_another(form: forms.BaseForm, name: str, field: forms.Field) -> bool:
    enabled = copy(field)
    enabled.disabled = False
    value = field.widget.value_from_datadict(form.data, form.files, form.add_prefix(name))
    return enabled.has_changed(form.get_initial_for_field(field, name), value)
