"""How the API of a Proxmox host is reached, as whom, and which certificate it must show."""

from django.core.validators import MaxValueValidator, MinValueValidator
from django.db import models
from django.db.models import Q
from django.urls import reverse
from django.utils.translation import gettext_lazy as _

from accounts.fields import EncryptedTextField
from servers.models import Server

DEFAULT_PORT = 8006


class ProxmoxAccess(models.Model):
    """The access to one Proxmox host. Without a token or password here, those of the settings count.

    Without an accepted certificate the system's CAs decide. One that is offered waits for an admin's word, and
    while another is accepted, nothing is sent until he has given it.
    """

    server = models.OneToOneField(Server, on_delete=models.CASCADE, related_name="proxmox_access")
    address = models.CharField(
        _("address"),
        max_length=253,
        blank=True,
        help_text=_("A host name or IP. Empty: the server's external IP, its internal IP, or its name."),
    )
    port = models.PositiveIntegerField(
        _("port"), default=DEFAULT_PORT, validators=[MinValueValidator(1), MaxValueValidator(65535)]
    )
    user = models.CharField(
        _("token or user"),
        max_length=200,
        blank=True,
        help_text=_("A token, as gestion@pve!panel, or a user, as api@pam. Empty: what the settings say."),
    )
    secret = EncryptedTextField(_("secret or password"), blank=True)
    version = models.PositiveBigIntegerField(default=1, editable=False)

    # PEM of certificates; each with its SHA-256 as Proxmox shows it.
    certificate = models.TextField(blank=True, editable=False)
    fingerprint = models.CharField(max_length=95, blank=True, editable=False)
    accepted_by = models.CharField(max_length=120, blank=True, editable=False)
    accepted_at = models.DateTimeField(null=True, editable=False)
    offered_certificate = models.TextField(blank=True, editable=False)
    offered_fingerprint = models.CharField(max_length=95, blank=True, editable=False)
    offered_at = models.DateTimeField(null=True, editable=False)

    # What the last try found: a code of proxmox.client.errors ("" for well), and privileges by path.
    tried_at = models.DateTimeField(null=True, editable=False)
    tried_code = models.CharField(max_length=40, blank=True, editable=False)
    tried_words = models.TextField(blank=True, editable=False)
    tried_as = models.CharField(max_length=200, blank=True, editable=False)
    pve_version = models.CharField(max_length=40, blank=True, editable=False)
    rights = models.JSONField(null=True, editable=False)
    guests_seen = models.PositiveIntegerField(null=True, editable=False)

    class Meta:
        ordering = ["server__name"]
        verbose_name = _("Proxmox access")
        verbose_name_plural = _("Proxmox accesses")
        constraints = [
            models.CheckConstraint(condition=Q(port__gte=1, port__lte=65535), name="pve_port_is_a_port"),
            models.CheckConstraint(
                condition=Q(user="", secret="") | (~Q(user="") & ~Q(secret="")),
                name="pve_user_with_a_secret",
            ),
        ]

    def __str__(self) -> str:
        return _("Proxmox access of %s") % self.server

    def get_absolute_url(self) -> str:
        """The page of this access."""
        return reverse("proxmox:access", args=[self.server_id])

    @property
    def certificate_waits(self) -> bool:
        """Whether a changed certificate waits for an admin's word: nothing is sent until then."""
        return bool(self.fingerprint and self.offered_fingerprint)


def default_address(server: Server) -> str:
    """Where the API of a host is reached if nobody says otherwise."""
    return server.external_ip or server.internal_ip or server.name
