"""Forwarded ports, the ports that each of them claims, and what a host was last seen to listen on."""

from typing import TYPE_CHECKING

from django.db import models
from django.db.models import F, Q
from django.urls import reverse
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from servers.models import Server
from servers.validators import validate_text

if TYPE_CHECKING:
    from accounts.models import User

LAST_PORT = 65535


class Protocol(models.TextChoices):
    """What can be forwarded by its port."""

    TCP = "tcp", "TCP"
    UDP = "udp", "UDP"


class PortForwardQuerySet(models.QuerySet["PortForward"]):
    """Queries over forwarded ports."""

    def visible_to(self, user: "User") -> "PortForwardQuerySet":
        """All for an admin; for an owner those that lead to his servers, or from them."""
        if user.is_admin:
            return self
        own = Server.objects.visible_to(user).values("pk")
        return self.filter(Q(host__in=own) | Q(destination__in=own))

    def on_port(self, number: int) -> "PortForwardQuerySet":
        """Those in which this port occurs, on the host or at the destination."""
        return self.filter(
            Q(first_port__lte=number, last_port__gte=number)
            | Q(destination_first__lte=number, destination_last__gte=number)
        )


class PortForward(models.Model):
    """A port (or a range) of a Proxmox host that leads to one of its guests.

    A range leads to a range of the same length, port by port, or to one single port. A rule that is
    switched off keeps its ports, so that nothing is in the way when it is switched on again.
    """

    host = models.ForeignKey(
        Server, verbose_name=_("host"), on_delete=models.CASCADE, related_name="port_forwards"
    )
    protocol = models.CharField(_("protocol"), max_length=3, choices=Protocol, default=Protocol.TCP)
    first_port = models.PositiveIntegerField(_("port of the host"))
    last_port = models.PositiveIntegerField()
    destination = models.ForeignKey(
        Server, verbose_name=_("destination"), on_delete=models.CASCADE, related_name="forwarded_ports"
    )
    destination_first = models.PositiveIntegerField(_("port of the destination"))
    destination_last = models.PositiveIntegerField()
    active = models.BooleanField(
        _("active"), default=True, help_text=_("Switched off, the rule stays here and keeps its ports.")
    )
    note = models.CharField(_("note"), max_length=200, blank=True, validators=[validate_text])
    created_at = models.DateTimeField(default=timezone.now, editable=False)
    # Grows with every change, so that two admins do not overwrite each other unknowingly.
    version = models.PositiveBigIntegerField(default=1, editable=False)
    # What answered when somebody last asked: see forwarding.answering.
    answers = models.JSONField(null=True, editable=False)
    answers_at = models.DateTimeField(null=True, editable=False)

    objects = PortForwardQuerySet.as_manager()

    class Meta:
        ordering = ["host__name", "protocol", "first_port"]
        verbose_name = _("forwarded port")
        verbose_name_plural = _("forwarded ports")
        constraints = [
            models.CheckConstraint(condition=Q(protocol__in=Protocol.values), name="port_protocol_is_known"),
            models.CheckConstraint(
                condition=Q(first_port__gte=1, first_port__lte=F("last_port"), last_port__lte=LAST_PORT),
                name="ports_are_a_range",
            ),
            models.CheckConstraint(
                condition=Q(
                    destination_first__gte=1,
                    destination_first__lte=F("destination_last"),
                    destination_last__lte=LAST_PORT,
                ),
                name="destination_ports_are_a_range",
            ),
            models.CheckConstraint(
                condition=Q(destination_first=F("destination_last"))
                | Q(destination_last=F("destination_first") + F("last_port") - F("first_port")),
                name="destination_ports_fit",
            ),
            models.CheckConstraint(condition=~Q(host=F("destination")), name="a_port_leads_to_a_guest"),
        ]

    def __str__(self) -> str:
        return f"{self.protocol} {self.ports} → {self.destination}:{self.destination_ports}"

    def get_absolute_url(self) -> str:
        """The rule's page."""
        return reverse("forwarding:port", args=[self.pk])

    @property
    def ports(self) -> str:
        """The host's port or range, as it is typed."""
        return ports_text(self.first_port, self.last_port)

    @property
    def destination_ports(self) -> str:
        """The destination's port or range, as it is typed."""
        return ports_text(self.destination_first, self.destination_last)

    def port_at_destination(self, port: int) -> int:
        """Where this port of the host leads."""
        if self.destination_first == self.destination_last:
            return self.destination_first
        return self.destination_first + port - self.first_port


def ports_text(first: int, last: int) -> str:
    """A port or a range as people write it: 80, 9000-9010."""
    return str(first) if first == last else f"{first}-{last}"


class PortClaim(models.Model):
    """One port of a host that a rule has; the database lets no other rule have it.

    Written with the rule, in its transaction, by forwarding.services.ports alone.
    """

    rule = models.ForeignKey(PortForward, on_delete=models.CASCADE, related_name="claims")
    host = models.ForeignKey(Server, on_delete=models.CASCADE, related_name="+", db_index=False)
    protocol = models.CharField(max_length=3)
    port = models.PositiveIntegerField()

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["host", "protocol", "port"], name="one_destination_a_port")
        ]

    def __str__(self) -> str:
        return f"{self.protocol} {self.port}"


class PortReading(models.Model):
    """What a host itself was using of its ports when it was last read.

    `listening` and `foreign` are lists of [protocol, first port, last port, by whom]: sockets that listen on
    the outside, and ports that rules other than ours forward.
    """

    host = models.OneToOneField(Server, on_delete=models.CASCADE, related_name="port_reading")
    read_at = models.DateTimeField(default=timezone.now)
    listening = models.JSONField(default=list)
    foreign = models.JSONField(default=list)

    def __str__(self) -> str:
        return f"ports of {self.host}"
