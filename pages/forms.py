"""What every form of the panel does."""

from collections.abc import Iterator, Mapping, Set
from typing import Any, ClassVar

from django import forms
from django.core.exceptions import ValidationError
from django.utils.translation import gettext as _

from pages.hidden import hidden_in, name_of
from pages.sent import fill_rest, refuse_idle, refuse_unknown


class CleanText(forms.BaseForm):
    """A form whose texts have no character that a reader cannot see; passwords, which nobody reads, may have any.

    Of what a program sends it takes the rest from its initial values (see pages/sent.py). `beside`: names that its
    view reads, and that are no fields. `only_with`: fields that count only while a box is ticked, each with that box.
    """

    beside: ClassVar[Set[str]] = frozenset()
    only_with: ClassVar[Mapping[str, str]] = {}

    def full_clean(self) -> None:
        """Check all, then refuse hidden characters and unknown names by their fields."""
        fill_rest(self)
        super().full_clean()
        refuse_hidden(self)
        refuse_unknown(self)
        refuse_idle(self, self.only_with)


class RowsField(forms.ModelMultipleChoiceField):
    """Several rows of a table; a number that no row can have is refused as one that none has, and not asked for.

    Of the lookups by a list, which Django does not bound as it does `exact`, the database fails.
    """

    def clean(self, value: Any) -> Any:
        """The rows. Raises ValidationError."""
        if self.to_field_name is None and isinstance(value, list | tuple):
            for one in value:
                if str(one).lstrip("-").isdecimal() and abs(int(one)) >= 2**63:
                    raise ValidationError(
                        self.error_messages["invalid_choice"], code="invalid_choice", params={"value": one}
                    )
        return super().clean(value)


def refuse_hidden(form: forms.BaseForm) -> None:
    """Refuse hidden characters in a form that was checked already, by their fields."""
    if not form.is_bound or (form.empty_permitted and not form.has_changed()):
        return
    for name, field in form.fields.items():
        if field.disabled or isinstance(field.widget, forms.PasswordInput) or form.has_error(name):
            continue
        value = field.widget.value_from_datadict(form.data, form.files, form.add_prefix(name))
        lines = isinstance(field.widget, forms.Textarea)
        found = next(filter(None, (hidden_in(text, lines=lines) for text in _texts(value))), "")
        if found:
            words = _("It has the character %s, which cannot be seen. Take it out.")
            form.add_error(name, words % name_of(found))


def _texts(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value.strip()
    elif isinstance(value, dict):
        yield from _texts(list(value.values()))
    elif isinstance(value, list | tuple):
        for item in value:
            yield from _texts(item)
