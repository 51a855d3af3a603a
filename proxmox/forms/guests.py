"""The gate for what people do with guests."""

import re
from ipaddress import ip_address
from typing import Any

from django import forms
from django.core.exceptions import ValidationError
from django.utils.translation import gettext as _t
from django.utils.translation import gettext_lazy as _

from pages.forms import CleanText
from pages.sent import Sent, was_named
from proxmox.client import names
from proxmox.models import GuestReading

_LABEL = r"[A-Za-z0-9]([A-Za-z0-9-]{0,61}[A-Za-z0-9])?"
_HOST_NAME = re.compile(rf"{_LABEL}(\.{_LABEL})*")
PLAIN = {"autocomplete": "off", "autocapitalize": "off", "spellcheck": "false"}
LEAST_MEMORY, MOST_MEMORY = 16, 16 << 20  # MiB


class GuestNameForm(CleanText, forms.Form):
    """The name under which the person has seen the guest; the worker compares it."""

    name = forms.CharField(
        max_length=255,
        widget=forms.HiddenInput,
        error_messages={"required": _("Say which guest is meant: its name as you see it, beside its id.")},
    )


class ReadForm(GuestNameForm):
    """What is looked at once the settings are read."""

    then = forms.ChoiceField(
        choices=[(name, name) for name in ("edit", "snapshots", "destroy")], required=False
    )


class PowerForm(GuestNameForm):
    """A power button."""

    force = forms.BooleanField(label=_("Stop it if it does not shut down in time"), required=False)

    def __init__(self, *args: Any, action: str, **kwargs: Any) -> None:
        self.action = action
        super().__init__(*args, **kwargs)

    def clean_force(self) -> bool:
        """It means something where a guest is asked to shut down."""
        force = bool(self.cleaned_data["force"])
        if force and self.action != "shutdown" and was_named(self, "force"):
            raise ValidationError(_t("It counts only where a guest is shut down (“shutdown”)."))
        return force


class SettingsForm(CleanText, forms.Form):
    """A guest's settings that can be changed here; filled with what was last read."""

    memory = forms.IntegerField(label=_("Memory (MiB)"), min_value=LEAST_MEMORY, max_value=MOST_MEMORY)
    swap = forms.IntegerField(label=_("Swap (MiB)"), min_value=0, max_value=MOST_MEMORY)
    cores = forms.IntegerField(
        label=_("Cores"),
        min_value=1,
        max_value=8192,
        required=False,
        help_text=_("Empty: all of the host's."),
    )
    hostname = forms.CharField(label=_("Host name"), max_length=255, widget=forms.TextInput(attrs=PLAIN))
    nameserver = forms.CharField(
        label=_("Name servers"),
        max_length=400,
        required=False,
        widget=forms.TextInput(attrs=PLAIN),
        help_text=_("IP addresses, separated by spaces. Empty: as the host."),
    )
    searchdomain = forms.CharField(
        label=_("Search domain"), max_length=253, required=False, widget=forms.TextInput(attrs=PLAIN)
    )
    onboot = forms.BooleanField(label=_("Start at boot"), required=False)
    protection = forms.BooleanField(
        label=_("Protect it"), required=False, help_text=_("Proxmox then refuses to destroy it.")
    )
    description = forms.CharField(
        label=_("Notes"), max_length=8000, required=False, widget=forms.Textarea(attrs={"rows": 4})
    )
    digest = forms.CharField(max_length=64, required=False, widget=forms.HiddenInput)

    def __init__(self, *args: Any, reading: GuestReading, **kwargs: Any) -> None:
        self.reading = reading
        config = reading.config
        initial = {
            "memory": _whole(config.get("memory"), 512),
            "swap": _whole(config.get("swap"), 512),
            "cores": config.get("cores"),
            "hostname": reading.name,
            "nameserver": config.get("nameserver", ""),
            "searchdomain": config.get("searchdomain", ""),
            "onboot": bool(_whole(config.get("onboot"), 0)),
            "protection": bool(_whole(config.get("protection"), 0)),
            "description": str(config.get("description", "")).rstrip("\n"),
            "digest": config.get("digest", ""),
        }
        super().__init__(*args, **{**kwargs, "initial": initial})
        if reading.kind != names.LXC:
            for name in ("swap", "nameserver", "searchdomain"):
                del self.fields[name]
            self.fields["cores"].required = True
            self.initial["cores"] = self.initial["cores"] or 1  # Proxmox's own default

    def clean_hostname(self) -> str:
        """A DNS name, as Proxmox wants it."""
        text = str(self.cleaned_data["hostname"]).strip()
        if not _HOST_NAME.fullmatch(text):
            raise ValidationError(_t("A host name has letters, digits, hyphens and dots."))
        return text

    def clean_searchdomain(self) -> str:
        """A DNS name, or nothing."""
        text = str(self.cleaned_data["searchdomain"]).strip()
        if text and not _HOST_NAME.fullmatch(text):
            raise ValidationError(_t("A domain has letters, digits, hyphens and dots."))
        return text

    def clean_nameserver(self) -> str:
        """IP addresses."""
        found = []
        for word in re.split(r"[\s,;]+", str(self.cleaned_data["nameserver"]).strip()):
            try:
                found += [str(ip_address(word))] if word else []
            except ValueError:
                raise ValidationError(_t("%s is no IP address.") % word) from None
        return " ".join(found)

    def clean_description(self) -> str:
        """Text, with line ends as Proxmox keeps them."""
        return str(self.cleaned_data["description"]).replace("\r\n", "\n").rstrip("\n")

    def changes(self) -> dict[str, Any]:
        """What differs from what was read, or what a program named, as Proxmox's options; None deletes one.

        What a program means may be what was read last and not so any more.
        """
        found: dict[str, Any] = {}
        program = isinstance(self.data, Sent)
        for name in self.fields:
            value = self.cleaned_data[name]
            same = not was_named(self, name) if program else value == self.initial[name]
            if name == "digest" or same:
                continue
            option = "name" if name == "hostname" and self.reading.kind != names.LXC else name
            if isinstance(value, bool):
                found[option] = int(value)
            else:
                found[option] = None if value in ("", None) else value
        return found


def _whole(value: Any, default: int) -> int:
    return int(value) if str(value if value is not None else "").isdecimal() else default


class SnapshotForm(GuestNameForm):
    """A snapshot to make; or to go back to, or to give up, as `action` says."""

    snapshot = forms.CharField(
        label=_("Name of the snapshot"), max_length=40, widget=forms.TextInput(attrs=PLAIN)
    )
    description = forms.CharField(label=_("What for"), max_length=500, required=False)
    action = forms.ChoiceField(
        choices=[(name, name) for name in ("make", "roll_back", "delete")],
        required=False,
        widget=forms.HiddenInput,
    )

    def clean_snapshot(self) -> str:
        """A name that Proxmox takes."""
        text = str(self.cleaned_data["snapshot"])
        try:
            return names.snapshot(text)
        except ValueError:
            raise ValidationError(
                _t("It begins with a letter and goes on with letters, digits, - and _; at least two.")
            ) from None

    def clean(self) -> dict[str, Any]:
        """What it is for is kept where one is made."""
        data = super().clean() or {}
        other = data.get("action") not in {"", "make", None}
        if other and data.get("description") and was_named(self, "description"):
            self.add_error("description", _t("It counts only where a snapshot is made."))
        return data


class DestroyForm(GuestNameForm):
    """The second word before a guest is destroyed."""

    typed_name = forms.CharField(
        label=_("Type the guest's name"), max_length=255, widget=forms.TextInput(attrs=PLAIN)
    )
    stop_first = forms.BooleanField(
        label=_("Stop it first if it runs"),
        required=False,
        help_text=_("Without this, a guest that runs is not destroyed."),
    )
