"""What programs send to forms: the fields that they mean. The rest stays as it is.

A name that is none is an error, and so is a value that the field would read as something else than was said.
"""

from collections.abc import Iterable, Mapping
from copy import copy
from typing import Any

from django import forms
from django.http import QueryDict
from django.utils.functional import Promise
from django.utils.translation import gettext as _

from pages.json_values import jsonable

# Of every form: the last two are of pages/second_word.py, which stands on this.
BESIDE = {"csrfmiddlewaretoken", "confirm_lockout", "confirm_lockout_read"}
YES = {"on", "true"}  # as a browser sends a ticked box, and as programs write it


class Sent(QueryDict):
    """What a program sent, as a form's data; `names` are those it named, also where they were false or null.

    `boxes`: those for which it said JSON's `true` or `false`, which are words only where a box can be ticked; or a list
    that has such a one, or null, in it.
    `address`: what stood behind the address's question mark, which no form reads.
    """

    names: frozenset[str] = frozenset()
    boxes: frozenset[str] = frozenset()
    address: QueryDict = QueryDict(encoding="utf-8")

    @classmethod
    def of(
        cls,
        data: QueryDict,
        names: Iterable[str],
        boxes: Iterable[str] = (),
        address: QueryDict | None = None,
    ) -> "Sent":
        """The same values, of which a program named these; it can be changed."""
        made = cls(mutable=True)
        for name, texts in data.lists():
            made.setlist(name, list(texts))
        made.names, made.boxes = frozenset(names), frozenset(boxes)
        made.address = cls.address if address is None else address
        return made

    def copy(self) -> "Sent":
        """One that can be changed."""
        return Sent.of(self, self.names, self.boxes, self.address)

    def without(self, name: str) -> "Sent":
        """The same, as if this had not been named."""
        return Sent.of(self, self.names - {name}, self.boxes, self.address)


def as_sent(form: forms.BaseForm, values: Mapping[str, Any]) -> QueryDict:
    """The form's initial values, or those of `values` by field, as a browser would send them."""
    data = QueryDict(mutable=True)
    for name, field in form.fields.items():
        _put(data, form, name, values[name] if name in values else _shown_first(form, name, field))
    return data


def initial_of(form: forms.BaseForm) -> dict[str, Any]:
    """The form's initial values for programs, named and written so that they may come back as they are."""
    found: dict[str, Any] = {}
    for name, field in form.fields.items():
        value = _shown_first(form, name, field)
        if isinstance(field.widget, forms.PasswordInput) or (value is None and name not in form.initial):
            continue  # a browser shows no password either
        shown = jsonable(value)
        if hasattr(field.widget, "as_sent"):
            found |= field.widget.as_sent(form.add_prefix(name), value)
        elif isinstance(shown, list) and any(isinstance(one, list) for one in shown):
            found[name] = field.prepare_value(shown)  # lists of lists are no values of a form
        else:
            found[name] = shown
    return found


def fill_rest(form: forms.BaseForm) -> None:
    """Put into what a program sent the initial values of the fields that it did not name.

    A list of words for a field of words (`joins`) becomes the text that it is typed as. Hidden fields are left as they
    are: what stands there says what the sender has seen.
    """
    if not isinstance(form.data, Sent):
        return
    sent = form.data.copy()
    named = sent.names | set(sent)
    for name, field in form.fields.items():
        prefixed = form.add_prefix(name)
        if hasattr(field, "joins") and len(texts := sent.getlist(prefixed)) > 1:
            sent[prefixed] = field.joins.join(str(text) for text in texts)
        if field.disabled or field.widget.is_hidden:
            continue
        initial = _shown_first(form, name, field)
        if not named & names_of(form, name):
            _put(sent, form, name, initial)
        elif hasattr(field.widget, "rest_of"):
            for part, texts in field.widget.rest_of(prefixed, sent, named, initial or ()).items():
                sent.setlist(part, texts)
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
        if field.disabled and name in form.data.names and _is_another(form, name, field, form.data):
            form.add_error(name, _("This cannot be set here. %s") % (field.help_text or ""))
        if _is_lost(form.data, form, name, field):
            form.add_error(
                name, _("This stands in the address, where it changes nothing: send it in the body.")
            )
        if isinstance(field, forms.FileField) and form.data.get(form.add_prefix(name)):
            form.add_error(name, _("Send the file itself, in a form (multipart/form-data)."))
        if not form.has_error(name) and (why := _misread(form.data, form.add_prefix(name), field)):
            form.add_error(name, why)


def refuse_idle(form: forms.BaseForm, only_with: Mapping[str, str]) -> None:
    """Refuse, in a form that was checked already, what a program said for a field that its box, being off, leaves out.

    What the form shows may come back, and nothing may be said, empty or false.
    """
    if not form.is_bound or not isinstance(form.data, Sent):
        return
    for name, box in only_with.items():
        if (
            form.has_error(box)
            or form.cleaned_data.get(box)
            or name not in form.fields
            or form.has_error(name)
        ):
            continue
        field = form.fields[name]
        said = field.widget.value_from_datadict(form.data, form.files, form.add_prefix(name))
        if said and was_named(form, name) and _is_another(form, name, field, form.data):
            form.add_error(name, _("It counts only with “%s”.") % form.fields[box].label)


def _misread(data: Sent, name: str, field: forms.Field) -> str:
    """Why what was said for this field would not be read as it was meant; empty where it is."""
    if name not in data.names or hasattr(field.widget, "as_sent"):
        return ""
    texts = [str(text) for text in data.getlist(name)]
    if len(texts) > 1 and not getattr(field.widget, "allow_multiple_selected", False):
        return _("This takes one value, and no list of them.")
    if not isinstance(field, forms.BooleanField):
        return (
            _("Neither true, false nor null is a value of this: give its own.") if name in data.boxes else ""
        )
    nothing = not texts and name not in data.boxes  # null, of a value that was never set
    if nothing or any(text.lower() not in {*YES, "false"} for text in texts):
        return _("Say true or false.")
    return ""


def says_yes(data: QueryDict | None, name: str) -> bool:
    """Whether a box beside a form's fields was ticked: not by “false”, “no” or 0."""
    return data is not None and str(data.get(name, "")).lower() in YES


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


def _shown_first(form: forms.BaseForm, name: str, field: forms.Field) -> Any:
    """The field's initial value; of a list without one, the first entry, because that is what a browser sends."""
    value = form.get_initial_for_field(field, name)
    if value is None and field.required and type(field.widget) is forms.Select:
        first, words = next(iter(field.widget.choices), ("", ""))
        return str(first) if first and isinstance(words, str | Promise) else None
    return value


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


def _is_lost(data: Sent, form: forms.BaseForm, name: str, field: forms.Field) -> bool:
    """Whether the address says of this field what neither the body says nor the form was filled with."""
    named = names_of(form, name)
    in_address = not named.isdisjoint(data.address)
    return in_address and named.isdisjoint(data.names) and _is_another(form, name, field, data.address)


def _is_another(form: forms.BaseForm, name: str, field: forms.Field, data: QueryDict) -> bool:
    enabled = copy(field)
    enabled.disabled = False
    value = field.widget.value_from_datadict(data, form.files, form.add_prefix(name))
    return enabled.has_changed(form.get_initial_for_field(field, name), value)
