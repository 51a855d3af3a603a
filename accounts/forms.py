"""The gate for what people type about accounts."""

import zoneinfo
from collections.abc import Iterable
from typing import Any

from django import forms
from django.conf import settings
from django.contrib.auth import authenticate, password_validation
from django.contrib.auth.forms import AuthenticationForm, UsernameField
from django.core.exceptions import ValidationError
from django.core.validators import MaxLengthValidator
from django.http import HttpRequest
from django.utils.functional import lazy
from django.utils.translation import gettext_lazy as _

from accounts import guard, mailing
from accounts.models import User
from accounts.setup_code import is_setup_code
from accounts.tries import TryLater
from pages.forms import CleanText
from pages.shown import ShownForm


def _zones() -> list[tuple[str, str]]:
    names = sorted(name for name in zoneinfo.available_timezones() if "/" in name and name[:4] != "Etc/")
    return [
        ("", str(_("As the panel (%s)") % settings.TIME_ZONE)),
        *((n, n.replace("_", " ")) for n in names),
    ]


LONGEST_PASSWORD = 1000


def _new_password(**kwargs: Any) -> forms.CharField:
    kwargs.setdefault("label", _("Password"))
    return forms.CharField(
        strip=False,
        max_length=LONGEST_PASSWORD,
        widget=forms.PasswordInput(attrs={"autocomplete": "new-password"}),
        **kwargs,
    )


class SignInForm(CleanText, AuthenticationForm):
    """User name and password."""

    beside = {"next"}

    error_messages = {
        "invalid_login": _("This user name and password do not fit. Mind upper and lower case."),
        "inactive": _("This user name and password do not fit. Mind upper and lower case."),
    }

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["username"].widget.attrs["autofocus"] = True
        for name, longest in (("username", 150), ("password", LONGEST_PASSWORD)):
            self.fields[name].validators.append(MaxLengthValidator(longest))


class PasswordPairForm(CleanText, forms.Form):
    """A new password, typed twice and checked against the rules."""

    password = _new_password(
        help_text=_("At least 12 characters; a few words in a row are easy to remember and hard to guess.")
    )
    password_again = _new_password(label=_("Password again"))

    user: User

    def __init__(self, *args: Any, user: User | None = None, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.user = user or User()

    def clean(self) -> dict[str, Any]:
        """Both are the same and good enough."""
        data = super().clean() or {}
        first, again = data.get("password"), data.get("password_again")
        if first and again is not None and first != again:
            self.add_error("password_again", _("The two passwords differ."))
        if first:
            try:
                password_validation.validate_password(first, self.user)
            except ValidationError as error:
                self.add_error("password", error)
        return data


class SetupForm(PasswordPairForm):
    """The first account."""

    code = forms.CharField(
        label=_("Set-up code"), max_length=40, widget=forms.TextInput(attrs={"autocomplete": "off"})
    )
    username = UsernameField(
        label=_("User name"), max_length=64, validators=User._meta.get_field("username").validators
    )
    full_name = forms.CharField(label=_("Full name"), max_length=120, required=False)
    email = forms.EmailField(label=_("E-mail"), required=False)
    field_order = ["code", "username", "full_name", "email", "password", "password_again"]

    def clean_code(self) -> str:
        """It is this panel's."""
        if not is_setup_code(self.cleaned_data["code"]):
            raise ValidationError(_("This is not the code that this panel printed."))
        return str(self.cleaned_data["code"])

    def clean(self) -> dict[str, Any]:
        """The password must not be like the name."""
        data = self.cleaned_data
        self.user = User(**{name: data.get(name, "") for name in ("username", "full_name", "email")})
        return super().clean()


class CodeForm(CleanText, forms.Form):
    """The second factor: an authenticator's six digits, or a recovery code."""

    beside = {"next"}

    code = forms.CharField(
        label=_("Code"),
        max_length=40,
        widget=forms.TextInput(
            attrs={
                "autocomplete": "one-time-code",
                "inputmode": "text",
                "autofocus": True,
                "autocapitalize": "off",
                "spellcheck": "false",
            }
        ),
    )


class AskLinkForm(CleanText, forms.Form):
    """Where to send a link that sets a password."""

    email = forms.EmailField(
        label=_("E-mail"), max_length=254, widget=forms.EmailInput(attrs={"autocomplete": "email"})
    )


def check_current(request: HttpRequest, user: User, typed: str) -> None:
    """Raises ValidationError unless it is the current password.

    Wrong ones count as at sign-in, so an open session helps nobody guess it, and others' do not count for a browser
    that is known.
    """
    try:
        attempt = guard.before_password(request, user.username)
    except TryLater as error:
        raise ValidationError(str(error)) from error
    if authenticate(request, username=user.username, password=typed) != user:
        raise ValidationError(_("This is not your current password."))
    attempt.was_right()


def _current_password(**kwargs: Any) -> forms.CharField:
    return forms.CharField(
        label=_("Current password"),
        strip=False,
        max_length=LONGEST_PASSWORD,
        widget=forms.PasswordInput(attrs={"autocomplete": "current-password"}),
        **kwargs,
    )


class CurrentPasswordForm(CleanText, forms.Form):
    """The current password again, before something that whoever finds an open browser should not do."""

    current = _current_password()

    def __init__(self, *args: Any, request: HttpRequest, user: User, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.request = request
        self.user = user

    def clean_current(self) -> str:
        """It is the current one."""
        typed = str(self.cleaned_data["current"])
        check_current(self.request, self.user, typed)
        return typed


class ProfileForm(CleanText, forms.ModelForm):
    """What everybody may change of the own account. Another mail address wants the password: links go there."""

    time_zone = forms.ChoiceField(label=_("Time zone"), choices=lazy(_zones, list), required=False)
    current = _current_password(required=False, help_text=_("Only to change the e-mail."))
    field_order = ["full_name", "time_zone", "email", "current"]

    class Meta:
        model = User
        fields = ["full_name", "email", "time_zone"]

    def __init__(self, *args: Any, request: HttpRequest, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.request = request

    def clean(self) -> dict[str, Any]:
        """The password with another address."""
        data = super().clean() or {}
        typed = data.pop("current", "")
        if "email" not in data or data["email"] == self.initial.get("email", ""):
            return data
        if not typed:
            self.add_error(
                "current", _("Another mail address wants your password: links to set one go there.")
            )
            return data
        try:
            check_current(self.request, self.instance, typed)
        except ValidationError as error:
            self.add_error("current", error)
        return data


class OwnPasswordForm(CurrentPasswordForm, PasswordPairForm):
    """A new password for oneself; asks for the current one."""

    field_order = ["current", "password", "password_again"]


class UserForm(ShownForm):
    """What an admin changes of a person."""

    time_zone = forms.ChoiceField(label=_("Time zone"), choices=lazy(_zones, list), required=False)

    class Meta:
        model = User
        fields = ["username", "full_name", "email", "time_zone", "is_admin", "is_active"]
        field_classes = {"username": UsernameField}

    def __init__(self, *args: Any, own: bool = False, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        if own:  # whoever finds an open browser should not have links sent elsewhere
            self.fields["email"].disabled = True
            self.fields["email"].help_text = _("You change your own in your profile, with your password.")

    def say_what_counts(self, sentences: Iterable[str]) -> None:
        """Say by the box what counts only while it is ticked."""
        field = self.fields["is_active"]
        field.help_text = " ".join([str(field.help_text), *sentences])


class NewUserForm(UserForm):
    """A new person, with a password or without."""

    password = _new_password(
        required=False,
        help_text=_("Empty: this person cannot sign in, but their keys count. At least 12 characters."),
    )
    invite = forms.BooleanField(
        label=_("Send a link by mail"),
        required=False,
        help_text=_("With it this person sets a password. It ends after three days, or once it was used."),
    )
    field_order = [
        "username", "full_name", "email", "invite", "password", "time_zone", "is_admin", "is_active",
    ]  # fmt: skip

    class Meta(UserForm.Meta):
        pass

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        if not mailing.configured():
            self.fields["invite"].disabled = True
            self.fields["invite"].help_text = mailing.NOT_CONFIGURED

    def clean(self) -> dict[str, Any]:
        """A given password is good enough, and a link has somewhere to go."""
        data = super().clean() or {}
        if data.get("invite") and not (data.get("email") and data.get("is_active")):
            self.add_error("invite", _("A link needs a mail address and an active account."))
        if data.get("password"):
            person = User(**{name: data.get(name, "") for name in ("username", "full_name", "email")})
            try:
                password_validation.validate_password(data["password"], person)
            except ValidationError as error:
                self.add_error("password", error)
        return data
