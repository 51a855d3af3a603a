"""The gate for what people type about guests: to which server one belongs."""

from ipaddress import ip_address
from typing import Any

from django import forms
from django.db.models import Q
from django.utils.translation import gettext_lazy as _

from pages.form_errors import RefusableForm
from pages.forms import CleanText
from proxmox.addresses import network_of
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
        kwargs |= {"initial": first, "instance": Server(is_vm=True, vm_host=guest.host)}
        super().__init__(*args, **kwargs)
        for name in ("name", "ssh_connection"):
            self.fields[name].widget.attrs |= {"autocomplete": "off", "spellcheck": "false"}


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
