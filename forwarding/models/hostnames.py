"""Hostnames that nginx leads to servers, their destinations, and the names and ports that each claims."""

from typing import TYPE_CHECKING

from django.core.validators import MaxValueValidator, MinValueValidator
from django.db import models
from django.db.models import F, Q
from django.urls import reverse
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from forwarding.models.ports import LAST_PORT
from forwarding.validators import validate_domain, validate_pem_path
from pages.names import both_spellings
from servers.models import Server
from servers.validators import validate_text

if TYPE_CHECKING:
    from accounts.models import User
    from forwarding.certificate_states import Standing

MOST_DESTINATIONS = 16
MOST_WEIGHT = 100
MOST_BODY = 1024 * 1024  # MiB
MOST_FAILS = 1000
MOST_SECONDS = 3600
_PORTS = [MinValueValidator(1), MaxValueValidator(LAST_PORT)]


class Balancing(models.TextChoices):
    """How nginx chooses one of several destinations."""

    ROUND_ROBIN = "round_robin", _("in turn (round robin)")
    LEAST_CONN = "least_conn", _("the least busy (least connections)")
    IP_HASH = "ip_hash", _("by the visitor's address (ip_hash)")


class CertificateKind(models.TextChoices):
    """Where the certificate of a hostname comes from."""

    NONE = "none", _("none: plain HTTP")
    PATHS = "paths", _("files on the nginx server")
    UPLOADED = "uploaded", _("uploaded")
    ACME = "acme", _("by itself (ACME, such as Let's Encrypt)")


class HostnameForwardQuerySet(models.QuerySet["HostnameForward"]):
    """Queries over hostnames."""

    def visible_to(self, user: "User") -> "HostnameForwardQuerySet":
        """All for an admin; for an owner those that lead to his servers, or are served on his host."""
        if user.is_admin:
            return self
        own = Server.objects.visible_to(user).values("pk")
        leading = HostnameDestination.objects.filter(server__in=own).values("hostname")
        return self.filter(Q(host__in=own) | Q(pk__in=leading))

    def on_nginx(self, nginx: Server) -> "HostnameForwardQuerySet":
        """Those that this nginx server serves, switched off ones too."""
        return self.filter(host__nginx_server=nginx)


class HostnameForward(models.Model):
    """A domain that the nginx server of a Proxmox host leads to one or several servers.

    A hostname that is switched off keeps its name and ports, so that nothing is in the way when it is
    switched on again.
    """

    host = models.ForeignKey(
        Server, verbose_name=_("host"), on_delete=models.CASCADE, related_name="hostname_forwards"
    )
    # ASCII, lower case, international names in punycode; "*.example.org" for every name below example.org.
    domain = models.CharField(_("domain"), max_length=253, validators=[validate_domain])
    port = models.PositiveIntegerField(_("HTTP port"), default=80, validators=_PORTS)
    https_port = models.PositiveIntegerField(_("HTTPS port"), default=443, validators=_PORTS)
    destination_port = models.PositiveIntegerField(
        _("port of the destination"), default=80, validators=_PORTS
    )
    balancing = models.CharField(
        _("balancing"), max_length=12, choices=Balancing, default=Balancing.ROUND_ROBIN
    )
    max_fails = models.PositiveIntegerField(
        _("failures"),
        default=1,
        validators=[MaxValueValidator(MOST_FAILS)],
        help_text=_("After so many a destination is left out. 0: never."),
    )
    fail_timeout = models.PositiveIntegerField(
        _("seconds"),
        default=10,
        validators=[MinValueValidator(1), MaxValueValidator(MOST_SECONDS)],
        help_text=_("Within which they are counted, and for which it is left out."),
    )
    websockets = models.BooleanField(_("WebSockets"), default=True)
    body_size = models.PositiveIntegerField(
        _("largest upload"),
        default=64,
        validators=[MaxValueValidator(MOST_BODY)],
        help_text=_("In MiB. 0: no limit."),
    )
    force_https = models.BooleanField(_("force HTTPS"), default=False)
    is_default = models.BooleanField(_("default redirect"), default=False)
    certificate_kind = models.CharField(
        _("certificate"), max_length=8, choices=CertificateKind, default=CertificateKind.NONE
    )
    certificate_path = models.CharField(
        _("certificate file"), max_length=255, blank=True, validators=[validate_pem_path]
    )
    key_path = models.CharField(_("key file"), max_length=255, blank=True, validators=[validate_pem_path])
    active = models.BooleanField(_("active"), default=True)
    note = models.CharField(_("note"), max_length=200, blank=True, validators=[validate_text])
    created_at = models.DateTimeField(default=timezone.now, editable=False)
    # Grows with every change, so that two admins do not overwrite each other unknowingly.
    version = models.PositiveBigIntegerField(default=1, editable=False)
    # Why the nginx server, as it was last read, serves without this one; empty: it is not left out.
    left_out = models.TextField(blank=True, editable=False)
    # What answered when somebody last asked.
    answers = models.JSONField(null=True, editable=False)
    answers_at = models.DateTimeField(null=True, editable=False)

    objects = HostnameForwardQuerySet.as_manager()

    class Meta:
        ordering = ["domain", "port", "pk"]
        verbose_name = _("hostname")
        verbose_name_plural = _("hostnames")
        constraints = [
            models.CheckConstraint(
                condition=Q(port__gte=1, port__lte=LAST_PORT)
                & Q(https_port__gte=1, https_port__lte=LAST_PORT)
                & Q(destination_port__gte=1, destination_port__lte=LAST_PORT),
                name="hostname_ports_are_ports",
            ),
            models.CheckConstraint(
                condition=Q(certificate_kind="none") | ~Q(port=F("https_port")),
                name="hostname_port_is_plain_or_tls",
            ),
            models.CheckConstraint(
                condition=Q(balancing__in=Balancing.values) & Q(certificate_kind__in=CertificateKind.values),
                name="hostname_choices_are_known",
            ),
            models.CheckConstraint(
                condition=Q(
                    certificate_kind="paths", certificate_path__startswith="/", key_path__startswith="/"
                )
                | (~Q(certificate_kind="paths") & Q(certificate_path="", key_path="")),
                name="hostname_paths_of_their_kind_only",
            ),
            models.CheckConstraint(
                condition=Q(force_https=False) | ~Q(certificate_kind="none"),
                name="hostname_https_with_a_certificate",
            ),
            models.CheckConstraint(
                condition=Q(is_default=False) | ~Q(domain__startswith="*"),
                name="default_redirect_is_one_name",
            ),
        ]

    def __str__(self) -> str:
        return self.shown_domain if self.port == 80 else f"{self.shown_domain}:{self.port}"

    def get_absolute_url(self) -> str:
        """The hostname's page."""
        return reverse("forwarding:hostname", args=[self.pk])

    @property
    def shown_domain(self) -> str:
        """The domain in the letters of its language, with its spelling in DNS where that is another."""
        return both_spellings(self.domain)

    @property
    def is_wildcard(self) -> bool:
        """Whether it stands for every name below a domain."""
        return self.domain.startswith("*.")

    @property
    def certificate(self) -> "Standing":
        """How its certificate stands."""
        from forwarding.certificate_states import standing

        return standing(self)

    @property
    def wants_tls(self) -> bool:
        """Whether it is served by HTTPS as soon as its certificate is there."""
        return self.certificate_kind != CertificateKind.NONE


class HostnameDestination(models.Model):
    """A server to which a hostname leads; `backup` ones get requests only while no other answers."""

    hostname = models.ForeignKey(HostnameForward, on_delete=models.CASCADE, related_name="destinations")
    server = models.ForeignKey(
        Server, verbose_name=_("destination"), on_delete=models.CASCADE, related_name="hostname_destinations"
    )
    weight = models.PositiveIntegerField(
        _("weight"), default=1, validators=[MinValueValidator(1), MaxValueValidator(MOST_WEIGHT)]
    )
    backup = models.BooleanField(_("spare"), default=False)
    position = models.PositiveIntegerField(default=0)

    class Meta:
        ordering = ["position", "pk"]
        constraints = [
            models.UniqueConstraint(fields=["hostname", "server"], name="hostname_leads_to_a_server_once"),
            models.CheckConstraint(
                condition=Q(weight__gte=1, weight__lte=MOST_WEIGHT), name="destination_weight_is_a_weight"
            ),
        ]

    def __str__(self) -> str:
        return str(self.server)

    @property
    def address(self) -> str | None:
        """Where the host's nginx server reaches it; None where nothing known leads there."""
        return address_of(self.server, self.hostname.host_id)


def address_of(server: Server, host_id: int) -> str | None:
    """Where a server is reached from the internal network of a Proxmox host: an IP address or a name.

    Internal addresses count on their own host alone: another host's network may have the same ones.
    """
    if server.internal_ip and host_id in {server.vm_host_id, server.pk}:
        return server.internal_ip
    if server.external_ip:
        return server.external_ip
    return None if server.is_vm else server.name


class HostnameClaim(models.Model):
    """A name and port of an nginx server that a hostname has; the database lets no other have it.

    The empty domain is the default redirect of that port. Written with the hostname, in its transaction, by
    forwarding.services.hostnames alone.
    """

    hostname = models.ForeignKey(HostnameForward, on_delete=models.CASCADE, related_name="claims")
    nginx = models.ForeignKey(Server, on_delete=models.CASCADE, related_name="+", db_index=False)
    domain = models.CharField(max_length=253, blank=True)
    port = models.PositiveIntegerField()
    tls = models.BooleanField()

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["nginx", "domain", "port"], name="one_hostname_a_name_and_port")
        ]

    def __str__(self) -> str:
        return f"{self.domain or '*'}:{self.port}"
