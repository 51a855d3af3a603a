"""Buttons: POSTs without fields, and switches that say on or off."""

from collections.abc import Callable
from functools import wraps
from typing import Any

from django import forms
from django.http import HttpRequest, HttpResponseBase
from django.utils.translation import gettext as _
from django.views.decorators.http import require_POST

from pages.answers import form_data, refused_form
from pages.forms import CleanText
from pages.sent import Sent, was_named

View = Callable[..., Any]


class NoFields(CleanText, forms.Form):
    """What a button sends."""


class SwitchForm(CleanText, forms.Form):
    """On or off. A program says which: what it does not name is no “off”."""

    active = forms.BooleanField(required=False, widget=forms.HiddenInput)

    def clean_active(self) -> bool:
        """Said by whoever can."""
        if isinstance(self.data, Sent) and not was_named(self, "active"):
            raise forms.ValidationError(_("Say whether it should be active: true or false."))
        return bool(self.cleaned_data["active"])


def takes_no_fields(view: View) -> View:
    """A view whose POST takes no fields: a program that sends one believes that it counts."""

    @wraps(view)
    def pressed(request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
        form = NoFields(form_data(request))
        if form.is_bound and not form.is_valid():
            return refused_form(request, form)
        answer: HttpResponseBase = view(request, *args, **kwargs)
        return answer

    return pressed


def button(view: View) -> View:
    """A view that takes POST alone, and no fields."""
    pressed: View = require_POST(takes_no_fields(view))
    return pressed
