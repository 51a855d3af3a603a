"""The gate for what people type about guests: to which server one belongs."""

from ipaddress import ip_address
from typing import Any

from django import forms
from django.db.models import Q
from django.utils.translation import gettext as _t
from django.utils.translation import gettext_lazy as _

from pages.form_errors import RefusableForm
from pages.forms import CleanText
from proxmox.addresses import network_of
from proxmox.live_addresses import wanted
from proxmox.matching import names_of
from proxmox.models.seen import GuestSeen, Matched
from servers.forms import DomainNameField
from servers.models import Server


class LinkForm(CleanText, forms.Form):
    """To which server of its host a guest belongs."""

    server = forms.ModelChoiceField(
        label=_("Server"),
        queryset=Server.objects.none(),
        empty_label=_("Choose a server"),
        help_text=_(
            "Servers of the inventory that run on the same host and are linked to no other guest by hand."
        ),
    )

    def __init__(self, *args: Any, guest: GuestSeen, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        by_hand = GuestSeen.objects.present().filter(matched=Matched.HAND).exclude(pk=guest.pk)
        field = self.fields["server"]
        assert isinstance(field, forms.ModelChoiceField)  # noqa: S101 - for the type checker
        field.queryset = Server.objects.filter(vm_host=guest.host_id).exclude(
            pk__in=by_hand.filter(server__isnull=False).values("server")
        )


class AdoptForm(RefusableForm, CleanText, forms.ModelForm):
    """A new server of the inventory for a guest; what the guest tells is filled in."""

    name = DomainNameField(
        label=_("Name"),
        max_length=253,
        help_text=_("The domain name of the machine; the container keeps its own."),
    )

    class Meta:
        model = Server
        fields = ["name", "internal_ip", "external_ip", "ssh_connection"]

    def __init__(self, *args: Any, guest: GuestSeen, **kwargs: Any) -> None:
        first = {"name": guest.name.lower(), **proposed(guest)}
        self.guest = guest
        kwargs |= {"initial": first, "instance": Server(is_vm=True, vm_host=guest.host)}
        super().__init__(*args, **kwargs)
        for name in ("name", "ssh_connection"):
            self.fields[name].widget.attrs |= {"autocomplete": "off", "spellcheck": "false"}
        for name in ("internal_ip", "external_ip"):
            if first[name]:
                self.fields[name].help_text = came_from(guest, str(first[name]))

    @property
    def nothing_known(self) -> str:
        """Why no address is proposed, where the guest has one that nobody could tell; else empty."""
        guest = self.guest
        if guest.addresses or not (guest.config_at is None or wanted(guest.kind, guest.config)):
            return ""
        if guest.config_at is None:
            return _t("Its configuration has not been read yet. In a moment this page knows its addresses.")
        if not guest.running:
            return _t("It gets its address when it runs (DHCP), and it is off: which one is not known.")
        return _t("It gets its address by itself (DHCP), and does not say (yet) which one.")


def came_from(guest: GuestSeen, address: str) -> str:
    """Where a proposed address comes from."""
    if address in guest.live:
        return _t(
            "It says that it has this address now (DHCP or the like). Such an address may change: reserve it for this "
            "guest, or give the guest a fixed one."
        )
    return _t("From its configuration on the host.")


def proposed(guest: GuestSeen) -> dict[str, str | None]:
    """Of a guest's addresses the one inside its host, and one that others reach.

    Inside is what lies in the host's internal network, whatever card it is on; where the host says of none, the first
    private IPv4 address.
    """
    network = network_of(guest.host)
    found = [ip_address(text) for text in guest.addresses]
    if network is not None:
        inside = [one for one in found if one in network]
    else:
        inside = [one for one in found if one.version == 4 and not one.is_global]
    outside = [one for one in found if one.is_global and one not in inside[:1]]
    return {
        "internal_ip": str(inside[0]) if inside else None,
        "external_ip": str(outside[0]) if outside else None,
    }


def suggestions(guest: GuestSeen) -> list[Server]:
    """Servers that a guest without one may be: what was ambiguous, and what has its name or address."""
    fits = Q(pk__in=guest.candidates) | Q(internal_ip__in=guest.addresses)
    for name in names_of(guest.name) if guest.name else ():
        fits |= Q(name__iexact=name) | Q(name__istartswith=f"{name}.")
    return list(Server.objects.filter(fits, vm_host=guest.host_id)[:5])
