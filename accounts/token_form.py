"""The gate for a new API token."""

from typing import Any

from django import forms
from django.core.exceptions import ValidationError
from django.utils.functional import lazy
from django.utils.translation import gettext_lazy as _

from accounts.forms import CurrentPasswordForm
from accounts.models import ApiToken
from accounts.token_scopes import OURS, READ, all_scopes
from pages.sent import was_named

NEVER = "never"
DAYS = [("7", _("7 days")), ("30", _("30 days")), ("90", _("90 days")), ("365", _("one year"))]
FOREVER = (NEVER, _("never, until it is revoked"))


def _scopes() -> list[tuple[str, str]]:
    return [(scope.name, str(scope.label)) for scope in all_scopes()]


class TokenForm(CurrentPasswordForm):
    """A new API token of the person's own: as little as its program needs, and with an end."""

    name = forms.CharField(
        label=_("Name"), max_length=80, help_text=_("What uses it, so that you can find it again.")
    )
    scopes = forms.MultipleChoiceField(
        label=_("May"),
        choices=lazy(_scopes, list),
        widget=forms.CheckboxSelectMultiple,
        initial=[READ],
        help_text=_(
            "Each part of the panel is read and changed with its own tick, as far as your account may. "
            "Scripts, wizards and Git hooks run as root on the servers: who has such a token has them."
        ),
    )
    days = forms.ChoiceField(label=_("Ends after"), choices=DAYS, initial="90")
    forever = forms.BooleanField(
        label=_("It shall count until somebody revokes it"),
        required=False,
        help_text=_("The second word for a token that never ends."),
    )
    field_order = ["name", "scopes", "days", "forever", "current"]

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        if self.user.is_admin:
            self.fields["days"].choices = [*DAYS, FOREVER]  # type: ignore[attr-defined]
        else:
            del self.fields["forever"]
            own = [choice for choice in _scopes() if choice[0] != OURS]
            self.fields["scopes"].choices = own  # type: ignore[attr-defined]

    def clean_name(self) -> str:
        """Once a person."""
        name = str(self.cleaned_data["name"])
        if ApiToken.objects.filter(user=self.user, name=name).exists():
            raise ValidationError(_("You have a token with this name already."))
        return name

    def clean_days(self) -> int | None:
        """None for one without an end."""
        chosen = self.cleaned_data["days"]
        return None if chosen == NEVER else int(chosen)

    def clean(self) -> dict[str, Any]:
        """No end wants the second word."""
        data = super().clean() or {}
        if "days" in data and data["days"] is None and not data.get("forever"):
            self.add_error(
                "forever", _("Say it twice: a token that never ends counts even when it has leaked.")
            )
        elif data.get("days") is not None and data.get("forever") and was_named(self, "forever"):
            self.add_error("forever", _("It counts only beside “never”; this token would end."))
        return data
