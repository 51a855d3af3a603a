"""What the forms of every noun share: a box to tick for what may cut something off, and the services' answers."""

from collections.abc import Iterator
from contextlib import contextmanager

from django import forms
from django.core.exceptions import ValidationError
from django.utils.translation import gettext_lazy as _

from pages.buttons import SwitchForm
from pages.forms import CleanText
from pages.second_word import SecondWordNeeded
from servers.services import StaleEdit


class DangerForm(CleanText, forms.Form):
    """A form that asks for a second word where what it does may cut something off."""

    confirm = forms.BooleanField(
        label=_("Yes, do it all the same"),
        required=False,
        widget=forms.CheckboxInput(attrs={"class": "form-check-input"}),
    )

    dangers: tuple[str, ...] = ()

    def ask(self, error: SecondWordNeeded) -> None:
        """Show what is dangerous, and the box to tick."""
        self.dangers = tuple(error.sentences)
        self.add_error("confirm", " ".join([*self.dangers, str(_("Tick the box to do it all the same."))]))

    @property
    def confirmed(self) -> bool:
        """Whether the box was ticked."""
        return bool(self.cleaned_data.get("confirm"))

    @contextmanager
    def told(self) -> Iterator[None]:
        """Call a service inside: what it refuses or asks is told by the fields, and the form is not valid then."""
        try:
            yield
        except SecondWordNeeded as error:
            self.ask(error)
        except ValidationError as error:
            self.refuse(error)
        except StaleEdit as error:
            self.add_error(None, str(error))

    def refuse(self, error: ValidationError) -> None:
        """Show what the service found, by the field where a person can mend it."""
        for field, errors in error.message_dict.items():
            shown = field in self.fields and not self.fields[field].widget.is_hidden
            self.add_error(field if shown else None, errors)


class DangerousSwitchForm(DangerForm, SwitchForm):
    """On or off, with a second word."""
