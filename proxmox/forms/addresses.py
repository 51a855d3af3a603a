"""What people type about a host's internal network."""

from ipaddress import IPv4Address, IPv6Address, ip_address
from typing import Any

from django import forms
from django.core.exceptions import ValidationError
from django.utils.translation import gettext_lazy as _

from pages.shown import ShownForm
from proxmox.addresses import network_of
from proxmox.forms.create import IPsField
from proxmox.models import InternalNetwork

MOST_RANGES = 100


class RangesField(forms.CharField):
    """Ranges of addresses, one a line: 10.0.0.100-10.0.0.199, or single ones; gives [first, last] as text."""

    widget = forms.Textarea(attrs={"rows": 3, "spellcheck": "false", "class": "mono"})

    def to_python(self, value: Any) -> Any:
        """The ranges."""
        found = []
        for line in (super().to_python(value) or "").splitlines():
            if not line.strip():
                continue
            first, _sign, last = (part.strip() for part in line.partition("-"))
            try:
                ends = ip_address(first), ip_address(last or first)
            except ValueError as error:
                raise ValidationError(_("“%s” is no range such as 10.0.0.100-10.0.0.199.") % line) from error
            found.append(_checked(line, *ends))
        if len(found) > MOST_RANGES:
            raise ValidationError(_("That are more than %d ranges.") % MOST_RANGES)
        return found

    def prepare_value(self, value: Any) -> Any:
        """As a person types them."""
        if isinstance(value, list):
            return "\n".join(first if first == last else f"{first}-{last}" for first, last in value)
        return value


def _checked(line: str, first: IPv4Address | IPv6Address, last: IPv4Address | IPv6Address) -> list[str]:
    if first.version != last.version or int(first) > int(last):
        raise ValidationError(_("“%s”: the lower address comes first.") % line)
    return [str(first), str(last)]


class NetworkForm(ShownForm):
    """The internal network of a host."""

    name_servers = IPsField(
        label=_("Name servers"),
        required=False,
        max_length=200,
        help_text=_("For new containers, separated by commas. Empty: those of the host."),
    )
    reserved = RangesField(
        label=_("Never handed out"),
        required=False,
        max_length=10_000,
        help_text=_("One a line, such as 10.0.0.100-10.0.0.199 for a DHCP server's addresses."),
    )

    class Meta:
        model = InternalNetwork
        fields = ["prefix_length", "gateway", "bridge", "name_servers", "reserved"]

    def clean(self) -> dict[str, Any]:
        """That all of it is about one network."""
        data = super().clean() or {}
        host = self.instance.host
        version = ip_address(host.internal_ip).version if host.internal_ip else 4
        lowest, highest = (8, 30) if version == 4 else (64, 126)
        prefix = data.get("prefix_length")
        if prefix is None:
            return data
        if not lowest <= prefix <= highest:
            self.add_error("prefix_length", _("Enter %d to %d.") % (lowest, highest))
            return data
        network = network_of(host, InternalNetwork(host=host, prefix_length=prefix))
        if network and data.get("gateway") and ip_address(data["gateway"]) not in network:
            self.add_error("gateway", _("This is no address of %s.") % network)
        for first, last in data.get("reserved") or ():
            if network and not (ip_address(first) in network and ip_address(last) in network):
                self.add_error(
                    "reserved", _("%(first)s-%(last)s is not in %(network)s.")
                    % {"first": first, "last": last, "network": network},
                )  # fmt: skip
        return data
