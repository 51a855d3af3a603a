"""The gate for how a Proxmox host is reached."""

import re
from ipaddress import ip_address
from typing import Any

from django import forms
from django.core.exceptions import ValidationError
from django.utils.html import format_html
from django.utils.translation import gettext as _t
from django.utils.translation import gettext_lazy as _

from pages.forms import CleanText
from proxmox.client import names
from proxmox.models import ProxmoxAccess, default_address

_NAME = re.compile(
    r"(?=.{1,253}\Z)[A-Za-z0-9]([A-Za-z0-9-]*[A-Za-z0-9])?(\.[A-Za-z0-9]([A-Za-z0-9-]*[A-Za-z0-9])?)*"
)
PLAIN = {"autocomplete": "off", "autocapitalize": "off", "spellcheck": "false"}


class AccessForm(CleanText, forms.Form):
    """Where, and as whom. The secret is never shown; left empty, the kept one stays."""

    address = forms.CharField(
        label=_("Address"), max_length=253, required=False, widget=forms.TextInput(attrs=PLAIN)
    )
    port = forms.IntegerField(label=_("Port"), min_value=1, max_value=65535)
    user = forms.CharField(
        label=_("Token or user"),
        max_length=200,
        required=False,
        widget=forms.TextInput(attrs={**PLAIN, "placeholder": "gestion@pve!panel"}),
    )
    secret = forms.CharField(
        label=_("Secret or password"),
        max_length=500,
        required=False,
        strip=True,
        widget=forms.PasswordInput(attrs={"autocomplete": "new-password"}),
    )
    version = forms.IntegerField(required=False, widget=forms.HiddenInput)

    def __init__(self, *args: Any, row: ProxmoxAccess, **kwargs: Any) -> None:
        initial = {
            "address": row.address,
            "port": row.port,
            "user": row.user,
            "version": row.version if row.pk else 0,
        }
        super().__init__(*args, **{**kwargs, "initial": initial})
        self.row = row
        fields = self.fields
        fields["address"].help_text = format_html(
            _t("A host name or IP. Empty: {}."), default_address(row.server)
        )
        fields["user"].help_text = _t(
            "A token as gestion@pve!panel, or a user as api@pam. Empty: what the settings PROXMOX_TOKEN, or "
            "PROXMOX_USER and PROXMOX_PASS, say."
        )
        if row.secret:
            fields["secret"].help_text = _t("It is kept encrypted. Empty: it stays as it is.")

    def clean_address(self) -> str:
        """A host name or an IP."""
        text = str(self.cleaned_data["address"]).strip().strip("[]").lower()
        if not text:
            return ""
        try:
            return str(ip_address(text))
        except ValueError:
            if _NAME.fullmatch(text):
                return text
        raise ValidationError(_t("This is neither a host name nor an IP address."))

    def clean_user(self) -> str:
        """A token id or a full user name."""
        text = str(self.cleaned_data["user"]).strip()
        if text and not names.token_parts(text) and not names.is_user(text):
            raise ValidationError(
                _t("Write a token as user@realm!name, such as gestion@pve!panel, or a user as api@pam.")
            )
        return text

    def clean_secret(self) -> str:
        """Something that can stand in a header."""
        text = str(self.cleaned_data["secret"])
        if not text.isprintable() or not text.isascii():
            raise ValidationError(_t("There are letters in it that a secret cannot have."))
        return text

    @property
    def typed(self) -> dict[str, Any]:
        """What services.access.save_access takes."""
        data = self.cleaned_data
        version = data["version"]
        return {
            "address": data["address"],
            "port": data["port"],
            "user": data["user"],
            "secret": data["secret"] or None,
            "version": version if version is not None else (self.row.version if self.row.pk else 0),
        }


class FingerprintForm(CleanText, forms.Form):
    """Which certificate was compared."""

    fingerprint = forms.CharField(
        max_length=95, error_messages={"required": _("Say which certificate: its fingerprint.")}
    )
