"""The gate for what people type about guests: to which server one belongs."""

from typing import Any

from django import forms
from django.db.models import Q
from django.utils.translation import gettext_lazy as _

from pages.form_errors import RefusableForm
from pages.forms import CleanText
from proxmox.matching import names_of
from proxmox.models.seen import GuestSeen, Matched
from proxmox.proposing import came_from, nothing_known, proposal
from servers.forms import DomainNameField
from servers.models import Server


class GuestForm(CleanText):
    """A form about one guest, which is refused where its id belongs to another one since the form was shown."""

    guest: GuestSeen

    def about(self, guest: GuestSeen) -> None:
        """This guest; programs leave `seen` out."""
        self.guest = guest
        self.fields["seen"] = forms.CharField(required=False, max_length=40, widget=forms.HiddenInput)
        self.initial["seen"] = guest.first_seen_at.isoformat()

    def clean(self) -> dict[str, Any]:
        """Not of another guest than the person has seen."""
        data = super().clean() or {}
        if data.pop("seen", "") not in {"", self.initial["seen"]}:
            words = _("The id belongs to another guest by now: %s. Open this page anew.")
            self.add_error(None, words % self.guest)
        return data


class LinkForm(GuestForm, forms.Form):
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
        self.about(guest)
        by_hand = GuestSeen.objects.present().filter(matched=Matched.HAND).exclude(pk=guest.pk)
        field = self.fields["server"]
        assert isinstance(field, forms.ModelChoiceField)  # noqa: S101 - for the type checker
        field.queryset = Server.objects.filter(vm_host=guest.host_id).exclude(
            pk__in=by_hand.filter(server__isnull=False).values("server")
        )


class AdoptForm(RefusableForm, GuestForm, forms.ModelForm):
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
        found = proposal(guest)
        first = {"internal_ip": found.inside, "external_ip": found.outside}
        self.nothing_known = nothing_known(guest)
        self.left = found.left
        kwargs |= {"initial": {"name": guest.name.lower(), **first}}
        kwargs |= {"instance": Server(is_vm=True, vm_host=guest.host)}
        super().__init__(*args, **kwargs)
        self.about(guest)
        for name in ("name", "ssh_connection"):
            self.fields[name].widget.attrs |= {"autocomplete": "off", "spellcheck": "false"}
        for name, address in first.items():
            if address:
                self.fields[name].help_text = came_from(guest, address)


def suggestions(guest: GuestSeen) -> list[Server]:
    """Servers that a guest without one may be: what was ambiguous, and what has its name or address."""
    fits = Q(pk__in=guest.candidates) | Q(internal_ip__in=guest.addresses)
    for name in names_of(guest.name) if guest.name else ():
        fits |= Q(name__iexact=name) | Q(name__istartswith=f"{name}.")
    return list(Server.objects.filter(fits, vm_host=guest.host_id)[:5])
