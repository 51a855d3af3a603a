"""What people type about a forwarded port."""

import re
from typing import Any

from django import forms
from django.core.exceptions import ValidationError
from django.utils.translation import gettext_lazy as _

from forwarding.forms.dangers import DangerForm
from forwarding.models import PortForward, Protocol
from forwarding.models.ports import LAST_PORT
from servers.models import Server

_PORTS = re.compile(r"([0-9]{1,5})(?:\s*[-:–]\s*([0-9]{1,5}))?", re.ASCII)


class PortsField(forms.CharField):
    """A port, or a range such as 9000-9010; gives (first, last)."""

    def to_python(self, value: Any) -> Any:
        """(first, last), or None where nothing was typed."""
        text = super().to_python(value)
        if not text:
            return None
        match = _PORTS.fullmatch(text)
        if match is None:
            raise ValidationError(_("Enter a port such as 8080, or a range such as 9000-9010."))
        first = int(match[1])
        last = int(match[2] or first)
        if not 1 <= first <= last <= LAST_PORT:
            raise ValidationError(_("Ports go from 1 to 65535, the lower one first."))
        return first, last


class GuestField(forms.ModelChoiceField):
    """A guest with the address and the host where it is."""

    def label_from_instance(self, obj: Any) -> str:
        """As "web1 – 10.0.0.102 on pve1"."""
        return f"{obj.name} – {obj.internal_ip} · {obj.vm_host.name}"


class PortForwardForm(DangerForm):
    """A rule. The host is the one on which the destination runs."""

    host = forms.ModelChoiceField(
        Server.objects.filter(is_proxmox=True), label=_("Host"), required=False, widget=forms.HiddenInput
    )
    destination = GuestField(
        Server.objects.none(),
        label=_("Destination"),
        help_text=_("The server that gets the connections. Its host is the one whose port it is."),
        error_messages={
            "invalid_choice": _("Choose a server that runs on a Proxmox host and has an internal IP there.")
        },
    )
    protocol = forms.ChoiceField(label=_("Protocol"), choices=Protocol.choices, initial=Protocol.TCP)
    ports = PortsField(
        label=_("Port of the host"),
        max_length=20,
        help_text=_("One such as 8080, or a range such as 9000-9010."),
    )
    destination_ports = PortsField(
        label=_("Port of the destination"),
        max_length=20,
        required=False,
        help_text=_("Empty: the same. A range goes to as many ports, one by one, or all to a single port."),
    )
    note = forms.CharField(label=_("Note"), max_length=200, required=False)
    version = forms.IntegerField(required=False, widget=forms.HiddenInput)

    field_order = (
        *("host", "destination", "protocol", "ports", "destination_ports"),
        *("note", "version", "confirm"),
    )

    def __init__(
        self, *args: Any, host: Server | None = None, rule: PortForward | None = None, **kwargs: Any
    ) -> None:
        self.rule = rule
        if rule is not None:
            host = rule.host
            kwargs.setdefault(
                "initial",
                {
                    "destination": rule.destination_id,
                    "protocol": rule.protocol,
                    "ports": rule.ports,
                    "destination_ports": rule.destination_ports,
                    "note": rule.note,
                    "version": rule.version,
                },
            )
        super().__init__(*args, **kwargs)
        guests = Server.objects.filter(vm_host__is_proxmox=True, internal_ip__isnull=False)
        if host is not None:
            guests = guests.filter(vm_host=host)
        field = self.fields["destination"]
        field.queryset = guests.select_related("vm_host").order_by("vm_host__name", "name")  # type: ignore[attr-defined]

    def clean(self) -> dict[str, Any]:
        """The host, and that the destination runs on it."""
        data = super().clean() or {}
        guest = data.get("destination")
        if guest is not None:
            if data.get("host") not in {None, guest.vm_host}:
                self.add_error(
                    "destination",
                    _("%(guest)s does not run on %(host)s.") % {"guest": guest, "host": data["host"]},
                )
            data["host"] = guest.vm_host
        if self.rule is not None and data.get("version") is None:
            data["version"] = self.rule.version
        return data

    def filled(self) -> PortForward:
        """The rule as it was typed, not saved; a copy where there is one already."""
        data = self.cleaned_data
        rule = PortForward.objects.get(pk=self.rule.pk) if self.rule else PortForward()
        rule.host = self.rule.host if self.rule else data["host"]
        rule.destination = data["destination"]
        rule.protocol = data["protocol"]
        rule.first_port, rule.last_port = data["ports"]
        rule.destination_first, rule.destination_last = data["destination_ports"] or data["ports"]
        rule.note = data["note"]
        return rule
