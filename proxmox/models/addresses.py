"""The internal network of a Proxmox host, and addresses of it that are handed out but not in use yet."""

from datetime import datetime, timedelta

from django.db import models
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from servers.models import Server
from servers.validators import validate_interface, validate_ip

CLAIM_LASTS = timedelta(hours=24)


class InternalNetwork(models.Model):
    """What an admin says of a host's internal network; without a row the defaults count.

    The network itself is computed from the host's internal IP: see proxmox.addresses.
    """

    host = models.OneToOneField(Server, on_delete=models.CASCADE, related_name="internal_network")
    prefix_length = models.PositiveSmallIntegerField(
        _("prefix length"),
        default=24,
        help_text=_("24 for a network such as 10.0.0.0/24, 64 for most IPv6 networks."),
    )
    gateway = models.GenericIPAddressField(
        _("gateway"),
        null=True,
        blank=True,
        unpack_ipv4=True,
        validators=[validate_ip],
        help_text=_("Empty: the host itself."),
    )
    bridge = models.CharField(
        _("bridge"), max_length=15, default="vmbr0", validators=[validate_interface], blank=True
    )
    name_servers = models.JSONField(_("name servers"), default=list, blank=True)  # addresses as text
    reserved = models.JSONField(_("reserved"), default=list, blank=True)  # [first, last] as text

    def __str__(self) -> str:
        return f"{self.host.internal_ip}/{self.prefix_length}"


class AddressClaimQuerySet(models.QuerySet["AddressClaim"]):
    """Queries over claimed addresses."""

    def active(self) -> "AddressClaimQuerySet":
        """Those that still count."""
        return self.filter(expires_at__gt=timezone.now())


def claim_expiry() -> datetime:
    """When a claim that is made now ends by itself."""
    return timezone.now() + CLAIM_LASTS


class AddressClaim(models.Model):
    """An address that a create under way has; the database lets no other create have it.

    Ends when the inventory has the address, or the create ends without a container; a forgotten one expires.
    """

    host = models.ForeignKey(Server, on_delete=models.CASCADE, related_name="address_claims", db_index=False)
    address = models.GenericIPAddressField(unpack_ipv4=True)
    creation = models.OneToOneField("proxmox.Creation", on_delete=models.CASCADE, related_name="claim")
    made_at = models.DateTimeField(default=timezone.now)
    expires_at = models.DateTimeField(default=claim_expiry)

    objects = AddressClaimQuerySet.as_manager()

    class Meta:
        constraints = [models.UniqueConstraint(fields=["host", "address"], name="one_create_an_address")]

    def __str__(self) -> str:
        return self.address
