"""What people type about keys and groups."""

from typing import Any

from django import forms
from django.utils.translation import gettext_lazy as _

from keymanager.bad_key import BadKey
from keymanager.key_files import without_marks
from keymanager.key_urls import url_in
from keymanager.models import Group
from keymanager.openssh import holds_private_key
from pages.forms import CleanText, RowsField
from pages.sent import Sent, was_named
from pages.shown import ShownForm


class KeysInput(forms.Textarea):
    """Where keys are pasted: read without editors' marks. A private key, which is refused, is not shown again."""

    def value_from_datadict(self, data: Any, files: Any, name: str) -> Any:
        """The text."""
        text = super().value_from_datadict(data, files, name)
        return without_marks(text) if isinstance(text, str) else text

    def format_value(self, value: Any) -> str | None:
        """What the page shows."""
        return "# private key" if value and holds_private_key(str(value)) else super().format_value(value)


class KeysForm(CleanText, forms.Form):
    """One or many pasted public keys, or the address where somebody's are."""

    keys = forms.CharField(
        label=_("Public keys"),
        max_length=200_000,
        strip=False,
        widget=KeysInput(
            attrs={
                "rows": 4,
                "class": "mono",
                "spellcheck": "false",
                "autocomplete": "off",
                "placeholder": "ssh-ed25519 AAAA… you@laptop",
            }
        ),
        help_text=_(
            "The line in your file ~/.ssh/id_ed25519.pub, or what PuTTYgen saves; several keys one below the other. "
            "Or an address such as https://github.com/name.keys: you choose from what is there. "
            "No key yet? Run “ssh-keygen -t ed25519” first. Never paste the private key."
        ),
    )

    def __init__(self, data: Any = None, **kwargs: Any) -> None:
        super().__init__(data, **kwargs)
        self.text = self.url = ""

    def clean_keys(self) -> str:
        """What was pasted; `url` is the address that it is, if it is one."""
        self.text = self.cleaned_data["keys"]
        try:
            self.url = url_in(self.text)
        except BadKey as error:
            raise forms.ValidationError(str(error)) from error
        return self.text


class ChosenKeysForm(CleanText, forms.Form):
    """Which of the keys that lay at an address are added."""

    keys = forms.TypedMultipleChoiceField(
        label=_("Keys"), coerce=int, error_messages={"required": _("Tick at least one key.")}
    )

    def __init__(self, choices: list[tuple[int, str]], data: Any = None) -> None:
        super().__init__(data)
        field = self.fields["keys"]
        assert isinstance(field, forms.TypedMultipleChoiceField)  # noqa: S101  # declared above
        field.choices = choices

    @property
    def ticked(self) -> set[str]:
        """What was sent, right or wrong, to be shown again."""
        field = self["keys"]
        return set(field.value() or []) if self.is_bound else set()


class GroupForm(ShownForm):
    """A group's name, description, and whether the panel's own key is a member."""

    class Meta:
        model = Group
        fields = ["name", "description", "includes_panel"]


class StopFetchingForm(CleanText, forms.Form):
    """Whether the keys that a server holds are taken away when it stops fetching."""

    take_keys = forms.BooleanField(
        label=_("Take the keys away from the server, too"),
        required=False,
        help_text=_(
            "Its authorized_keys2 files are emptied first, by a job that must reach it. Otherwise they stay "
            "as they are, and nobody is locked out."
        ),
    )


class NewTokenForm(CleanText, forms.Form):
    """Whether the old token stops counting before the server has fetched with the new one."""

    at_once = forms.BooleanField(required=False)


class SigningForm(CleanText, forms.Form):
    """What happens to the key that signs answers next."""

    step = forms.ChoiceField(
        choices=[("prepare", _("prepare")), ("use", _("use"))],
        widget=forms.HiddenInput,  # two buttons
    )


class OfferedKeyForm(CleanText, forms.Form):
    """Whether a key that was read from a server is taken, or dismissed. A program says which."""

    take = forms.BooleanField(required=False)

    def clean_take(self) -> bool:
        """Said by whoever can."""
        if isinstance(self.data, Sent) and not was_named(self, "take"):
            raise forms.ValidationError(_("Say whether it is taken: true or false."))
        return bool(self.cleaned_data["take"])


class RowsForm(CleanText, forms.Form):
    """Rows chosen from a list, to be put into a group."""

    rows = RowsField(queryset=Group.objects.none(), label=_("Add"))

    def __init__(self, queryset: Any, data: Any = None) -> None:
        super().__init__(data)
        field = self.fields["rows"]
        assert isinstance(field, RowsField)  # noqa: S101  # declared above
        field.queryset = queryset
        field.error_messages["required"] = _("Choose at least one.")
