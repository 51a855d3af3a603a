"""What people type about a hostname."""

from collections.abc import Iterable
from typing import Any

from django import forms
from django.utils.functional import cached_property
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from forwarding.forms.dangers import DangerForm
from forwarding.forms.destinations import BLANK_ROWS, DestinationsField, Row
from forwarding.forms.fields import DomainField, NumberField, UsualChoiceField
from forwarding.models import Balancing, CertificateKind, HostnameForward
from forwarding.models.hostnames import (
    MOST_BODY,
    MOST_DESTINATIONS,
    MOST_FAILS,
    MOST_SECONDS,
    address_of,
)
from forwarding.models.ports import LAST_PORT
from forwarding.validators import validate_pem_path
from pages.names import in_letters
from pages.sent import was_named
from servers.models import Server


class HostField(forms.ModelChoiceField):
    """A Proxmox host with its nginx server."""

    def label_from_instance(self, obj: Any) -> str:
        """As "pve1 – nginx on proxy"."""
        return _("%(host)s – nginx on %(nginx)s") % {"host": obj.name, "nginx": obj.nginx_server}


def _box(label: Any, hint: Any = "", **kwargs: Any) -> forms.BooleanField:
    return forms.BooleanField(label=label, help_text=hint, required=False, **kwargs)


class HostnameForm(DangerForm):
    """A hostname with its destinations."""

    host = HostField(
        Server.objects.filter(is_proxmox=True, nginx_server__isnull=False),
        label=gettext_lazy("Host"),
        required=False,
        empty_label=gettext_lazy("that of the destination"),
        help_text=gettext_lazy("Its nginx server gets the requests."),
        error_messages={"invalid_choice": gettext_lazy("Choose a Proxmox host that has an nginx server.")},
    )
    domain = DomainField(
        label=gettext_lazy("Domain"),
        max_length=253,
        help_text=gettext_lazy("Such as www.example.org, or *.example.org for all names below it."),
    )
    destinations = DestinationsField(label=gettext_lazy("Destination"))
    destination_port = NumberField(80, 1, LAST_PORT, label=gettext_lazy("Port of the destination"))
    balancing = UsualChoiceField(
        Balancing.ROUND_ROBIN, label=gettext_lazy("Which one answers"), choices=Balancing.choices
    )
    max_fails = NumberField(
        1,
        0,
        MOST_FAILS,
        label=gettext_lazy("Failures"),
        help_text=gettext_lazy("After so many a server is left out for a while. 0: never."),
    )
    fail_timeout = NumberField(
        10, 1, MOST_SECONDS, label=gettext_lazy("Seconds"), help_text=gettext_lazy("Is left out for so long.")
    )
    certificate_kind = UsualChoiceField(
        CertificateKind.NONE, label=gettext_lazy("Certificate"), choices=CertificateKind.choices
    )
    certificate_path = forms.CharField(
        label=gettext_lazy("Certificate file on the nginx server"),
        max_length=255,
        required=False,
        validators=[validate_pem_path],
        help_text=gettext_lazy("With the chain, as /etc/ssl/www.example.org/fullchain.pem."),
    )
    key_path = forms.CharField(
        label=gettext_lazy("Key file on the nginx server"),
        max_length=255,
        required=False,
        validators=[validate_pem_path],
    )
    force_https = _box(gettext_lazy("Send HTTP visitors on to HTTPS"))
    port = NumberField(80, 1, LAST_PORT, label=gettext_lazy("HTTP port"))
    https_port = NumberField(443, 1, LAST_PORT, label=gettext_lazy("HTTPS port"))
    body_size = NumberField(
        64,
        0,
        MOST_BODY,
        label=gettext_lazy("Largest upload in MiB"),
        help_text=gettext_lazy("0: no limit."),
    )
    websockets = _box(gettext_lazy("WebSockets"), initial=True)
    is_default = _box(
        gettext_lazy("Default redirect"),
        gettext_lazy("Visitors with a name that nobody has on this port are sent here."),
    )
    note = forms.CharField(label=gettext_lazy("Note"), max_length=200, required=False)
    version = forms.IntegerField(required=False, widget=forms.HiddenInput)

    # As they are on the row; the others need a word more.
    SAME = (
        *("domain", "destination_port", "balancing", "max_fails", "fail_timeout", "certificate_kind"),
        *("certificate_path", "key_path", "force_https", "port", "https_port", "body_size", "websockets"),
        *("is_default", "note"),
    )

    def __init__(
        self,
        data: Any = None,
        *,
        host: Server | None = None,
        hostname: HostnameForward | None = None,
        guest: Server | None = None,
    ) -> None:
        self.hostname = hostname
        self.fixed_host = hostname.host if hostname else host
        initial: dict[str, Any] = {"destinations": [(str(guest.pk), "1", "no")]} if guest else {}
        super().__init__(data, initial=self._initial(hostname) if hostname else initial)
        self.fields["host"].queryset = self.fields["host"].queryset.select_related("nginx_server")  # type: ignore[attr-defined]
        if self.fixed_host is not None:
            self.fields["host"].widget = forms.HiddenInput()

    def _initial(self, hostname: HostnameForward) -> dict[str, Any]:
        rows = [
            (str(one.server_id), str(one.weight), "yes" if one.backup else "no")
            for one in hostname.destinations.all()
        ]
        same = {name: getattr(hostname, name) for name in self.SAME}
        return {
            **same,
            "domain": in_letters(hostname.domain),
            "destinations": rows,
            "version": hostname.version,
        }

    def clean(self) -> dict[str, Any]:
        """The host: the one that is fixed, the chosen one, or the one on which the first destination runs."""
        data = super().clean() or {}
        self._refuse_nothing()
        destinations = data.get("destinations")
        if self.fixed_host is not None:
            if data.get("host") not in {None, self.fixed_host}:
                self.add_error("host", _("It is on %s here, and stays there.") % self.fixed_host)
            data["host"] = self.fixed_host
        elif destinations and not data.get("host") and "host" not in self.errors:
            data["host"] = destinations[0].server.vm_host
            if data["host"] is None or not data["host"].nginx_server_id:
                self.add_error("host", _("Choose the host whose nginx server gets the requests."))
        if data.get("certificate_kind") != CertificateKind.PATHS:
            for name in ("certificate_path", "key_path"):
                self._leave_out(name, "", _("It counts only where the certificate is a file."))
        if data.get("certificate_kind") == CertificateKind.NONE:
            why = _("There is no HTTPS without a certificate.")
            self._leave_out("force_https", False, why)
            usual = self.get_initial_for_field(self.fields["https_port"], "https_port")
            if was_named(self, "https_port") and data.get("https_port") not in {None, usual}:
                self.add_error("https_port", why)  # what the form shows may come back
        if self.hostname is not None and data.get("version") is None:
            data["version"] = self.hostname.version
        return data

    def _refuse_nothing(self) -> None:
        """Of a hostname that there is, null is no wish for the usual: one that was never set took its HTTPS away."""
        for name, field in self.fields.items():
            usual = isinstance(field, NumberField | UsualChoiceField)
            if self.hostname and usual and was_named(self, name) and not self.data.get(name):
                self.add_error(name, field.error_messages["required"])

    def _leave_out(self, name: str, nothing: Any, why: str) -> None:
        """What the page hides counts for nothing; a program that said it hears why."""
        if self.cleaned_data.get(name) and was_named(self, name):
            self.add_error(name, why)
        else:
            self.cleaned_data[name] = nothing

    def filled(self) -> HostnameForward:
        """The hostname as it was typed, not saved; a copy where there is one already."""
        data = self.cleaned_data
        pk = self.hostname.pk if self.hostname else None
        hostname = HostnameForward.objects.get(pk=pk) if pk else HostnameForward()
        hostname.host = data["host"]
        for name in self.SAME:
            setattr(hostname, name, data[name])
        return hostname

    @property
    def destination_rows(self) -> list[Row]:
        """The rows as they were typed, and some blank ones."""
        rows: list[Row] = list(self["destinations"].value() or [])
        blank = max(1 + BLANK_ROWS - len(rows), BLANK_ROWS)
        return (rows + [("", "1", "no")] * blank)[:MOST_DESTINATIONS]

    @property
    def has_several(self) -> bool:
        """Whether what only concerns several destinations should be open to see."""
        several = ("balancing", "max_fails", "fail_timeout")
        return len(self["destinations"].value() or []) > 1 or any(name in self.errors for name in several)

    @property
    def has_more(self) -> bool:
        """Whether what is rarely changed should be open to see."""
        rare = ("port", "https_port", "body_size", "websockets", "is_default")
        if self.is_bound:
            return any(name in self.errors for name in rare)
        return any(self[name].value() != self.fields[name].initial for name in rare) and bool(self.hostname)

    @cached_property
    def servers(self) -> Iterable[tuple[str, list[tuple[str, str]]]]:
        """The servers to choose from by the host on which they run: (group, [(number, label)])."""
        groups: dict[str, list[tuple[str, str]]] = {}
        rows = Server.objects.select_related("vm_host").order_by("vm_host__name", "name")
        for server in rows:
            host = self.fixed_host or server.vm_host
            address = address_of(server, host.pk if host else 0)
            if address is not None:
                group = _("on %s") % server.vm_host if server.vm_host else _("not in a host")
                groups.setdefault(group, []).append((str(server.pk), f"{server.name} – {address}"))
        return list(groups.items())
