"""How servers are reached: the outcome of the last try, their host keys, the panel's own key."""

from django.db import models
from django.db.models import Q
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from accounts.fields import EncryptedTextField


class Contact(models.TextChoices):
    """How the last try to reach a server ended."""

    UNKNOWN = "unknown", _("not tried yet")
    OK = "ok", _("reachable")
    UNREACHABLE = "unreachable", _("unreachable")
    REFUSED = "refused", _("login refused")
    UNPINNED = "offered", _("host key not accepted yet")
    CHANGED = "changed", _("host key changed")


class HostKey(models.Model):
    """A host key that a server showed: accepted (pinned), or shown and waiting for an admin's word."""

    server = models.ForeignKey("servers.Server", on_delete=models.CASCADE, related_name="host_keys")
    key = models.TextField()  # as in known_hosts: "ssh-ed25519 AAAA…"
    fingerprint = models.CharField(max_length=80)
    seen_at = models.DateTimeField(default=timezone.now)
    pinned_at = models.DateTimeField(null=True)
    pinned_by = models.CharField(max_length=120, blank=True)

    class Meta:
        ordering = ["-pk"]
        constraints = [
            models.UniqueConstraint(fields=["server", "fingerprint"], name="host_key_once_a_server")
        ]

    def __str__(self) -> str:
        return self.fingerprint

    @property
    def type(self) -> str:
        """The key's type, as "ssh-ed25519"."""
        return self.key.partition(" ")[0]

    @property
    def file_on_host(self) -> str:
        """Where OpenSSH keeps the public part on the host itself, to compare fingerprints there."""
        kind = {"ssh-ed25519": "ed25519", "ssh-rsa": "rsa"}.get(self.type, "ecdsa")
        return f"/etc/ssh/ssh_host_{kind}_key.pub"


class PanelIdentity(models.Model):
    """The panel's own SSH key, with which it logs in to servers; one row, whose primary key is 1."""

    private_key = EncryptedTextField()  # OpenSSH PEM
    public_key = models.TextField()
    created_at = models.DateTimeField(default=timezone.now)

    class Meta:
        constraints = [models.CheckConstraint(condition=Q(pk=1), name="one_panel_identity")]

    def __str__(self) -> str:
        return self.public_key
