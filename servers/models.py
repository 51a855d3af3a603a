"""The inventory: servers, their unix users and host keys, and what each should hold (rollouts)."""

from typing import TYPE_CHECKING, Any

from django.conf import settings
from django.core.exceptions import ValidationError
from django.db import models
from django.db.models import Q
from django.urls import reverse
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from accounts.fields import EncryptedTextField
from servers.validators import (
    validate_connection,
    validate_folder,
    validate_interface,
    validate_keymanager_name,
    validate_server_name,
    validate_unix_name,
)

if TYPE_CHECKING:
    from accounts.models import User


class Tag(models.Model):
    """A word to find servers by."""

    name = models.SlugField(_("name"), max_length=40, unique=True)

    class Meta:
        ordering = ["name"]

    def __str__(self) -> str:
        return self.name


class ServerQuerySet(models.QuerySet["Server"]):
    """Queries over servers."""

    def visible_to(self, user: "User") -> "ServerQuerySet":
        """All for an admin; an owner's own for anyone else."""
        if user.is_admin:
            return self
        return self.filter(pk__in=Server.owners.through.objects.filter(user_id=user.pk).values("server_id"))


class Contact(models.TextChoices):
    """How the last try to reach a server ended."""

    UNKNOWN = "unknown", _("not tried yet")
    OK = "ok", _("reachable")
    UNREACHABLE = "unreachable", _("unreachable")
    REFUSED = "refused", _("login refused")
    UNPINNED = "offered", _("host key not accepted yet")
    CHANGED = "changed", _("host key changed")


class Server(models.Model):
    """A server, virtual machine or container, as the seed's server module describes it."""

    name = models.CharField(
        _("name"),
        max_length=253,
        unique=True,
        validators=[validate_server_name],
        help_text=_("The domain name of the machine."),
    )
    keymanager_name = models.CharField(
        _("keymanager name"),
        max_length=253,
        db_index=True,
        blank=True,
        validators=[validate_keymanager_name],
        help_text=_("Servers with the same keymanager name share one key set. Empty: the server's name."),
    )
    is_vm = models.BooleanField(_("is a VM or container"), default=False)
    external_ip = models.GenericIPAddressField(
        _("external IP"),
        null=True,
        blank=True,
        help_text=_("Empty for a container that is only on its host's internal network."),
    )
    internal_ip = models.GenericIPAddressField(_("internal IP"), null=True, blank=True)
    vm_host = models.ForeignKey(
        "self",
        verbose_name=_("VM host"),
        null=True,
        blank=True,
        on_delete=models.PROTECT,
        related_name="guests",
    )
    nginx_server = models.ForeignKey(
        "self",
        verbose_name=_("nginx server"),
        null=True,
        blank=True,
        on_delete=models.SET_NULL,
        related_name="nginx_for",
        help_text=_("Of a Proxmox host: the guest that forwards HTTP requests."),
    )
    ssh_connection = models.CharField(
        _("SSH connection from Gestion"),
        max_length=300,
        blank=True,
        validators=[validate_connection],
        help_text=_("As root@host, or -p 222 root@host."),
    )
    backup_ssh_connection = models.CharField(
        _("SSH connection from the backup server"),
        max_length=300,
        blank=True,
        validators=[validate_connection],
        help_text=_("As root@host, or -p 222 root@host. Empty: as from Gestion."),
    )
    external_interface = models.CharField(
        _("external interface"),
        max_length=15,
        blank=True,
        validators=[validate_interface],
        help_text=_("Of a Proxmox host; usually vmbr0 or eth0."),
    )
    is_proxmox = models.BooleanField(_("is a Proxmox host"), default=False)
    proxmox_node = models.CharField(_("Proxmox node name"), max_length=63, blank=True)
    external_hostname_for_vms = models.CharField(
        _("external hostname for VM creation"),
        max_length=253,
        blank=True,
        validators=[validate_server_name],
        help_text=_("Empty: the server's name."),
    )
    samba_management = models.BooleanField(_("manage Samba"), default=False)
    samba_base_folder = models.CharField(
        _("Samba base folder"), max_length=255, blank=True, validators=[validate_folder]
    )
    owners = models.ManyToManyField(
        settings.AUTH_USER_MODEL,
        verbose_name=_("owners"),
        blank=True,
        related_name="owned_servers",
        help_text=_("See and operate this server; their keys are allowed on it."),
    )
    tags = models.ManyToManyField(Tag, verbose_name=_("tags"), blank=True, related_name="servers")
    notes = models.TextField(_("notes"), blank=True)
    created_at = models.DateTimeField(default=timezone.now, editable=False)

    contact = models.CharField(max_length=12, choices=Contact, default=Contact.UNKNOWN, editable=False)
    contact_why = models.TextField(blank=True, editable=False)
    checked_at = models.DateTimeField(null=True, editable=False)
    last_contact_at = models.DateTimeField(null=True, editable=False)

    objects = ServerQuerySet.as_manager()

    class Meta:
        ordering = ["name"]
        verbose_name = _("server")
        verbose_name_plural = _("servers")
        constraints = [
            models.UniqueConstraint(
                fields=["vm_host", "internal_ip"],
                condition=Q(vm_host__isnull=False, internal_ip__isnull=False),
                name="internal_ip_once_a_host",
                violation_error_message=_("Another server on this host has this internal IP."),
            ),
            models.CheckConstraint(
                condition=Q(vm_host__isnull=True) | ~Q(vm_host=models.F("pk")), name="host_is_not_its_own_vm"
            ),
            models.CheckConstraint(
                condition=Q(is_vm=False) | Q(vm_host__isnull=False), name="a_vm_has_a_host"
            ),
        ]

    def __str__(self) -> str:
        return self.name

    def get_absolute_url(self) -> str:
        """The server's page."""
        return reverse("servers:server", args=[self.pk])

    def clean(self) -> None:
        """Every rule between fields, with its error by the field."""
        self.keymanager_name = self.keymanager_name or self.name
        errors: dict[str, Any] = {}
        if self.is_vm and self.vm_host_id is None:
            errors["vm_host"] = _("A VM needs a host.")
        if not self.is_vm and self.vm_host_id is not None:
            errors["vm_host"] = _("Only a VM has a host. Tick “is a VM or container”, or leave this empty.")
        if self.pk is not None and self.vm_host_id == self.pk:
            errors["vm_host"] = _("A server is not its own host.")
        if errors:
            raise ValidationError(errors)


class UnixUser(models.Model):
    """A unix user of a server whose authorized_keys2 the keymanager fills."""

    server = models.ForeignKey(Server, on_delete=models.CASCADE, related_name="unix_users")
    name = models.CharField(_("name"), max_length=32, validators=[validate_unix_name])

    class Meta:
        ordering = ["name"]
        constraints = [models.UniqueConstraint(fields=["server", "name"], name="unix_user_once_a_server")]

    def __str__(self) -> str:
        return f"{self.name}@{self.server.name}"


class HostKey(models.Model):
    """A host key that a server showed: accepted (pinned), or shown and waiting for an admin's word."""

    server = models.ForeignKey(Server, on_delete=models.CASCADE, related_name="host_keys")
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


class PanelIdentity(models.Model):
    """The panel's own SSH key, with which it logs in to servers; one row."""

    private_key = EncryptedTextField()
    public_key = models.TextField()
    created_at = models.DateTimeField(default=timezone.now)

    def __str__(self) -> str:
        return self.public_key


class RolloutState(models.TextChoices):
    """How a server stands to what it should hold."""

    IN_SYNC = "in_sync", _("in sync")
    WAITING = "waiting", _("waiting")
    APPLYING = "applying", _("applying")
    FAILED = "failed", _("failed")
    DRIFTED = "drifted", _("drifted")
    UNREACHABLE = "unreachable", _("unreachable")


class Rollout(models.Model):
    """What one server should hold of one kind: revision wanted, revision applied, and how it stands."""

    server = models.ForeignKey(Server, on_delete=models.CASCADE, related_name="rollouts")
    kind = models.CharField(max_length=40)
    wanted = models.PositiveBigIntegerField(default=0)
    applied = models.PositiveBigIntegerField(default=0)
    state = models.CharField(max_length=12, choices=RolloutState, default=RolloutState.WAITING)
    since = models.DateTimeField(default=timezone.now)
    why = models.TextField(blank=True)
    diff = models.TextField(blank=True)  # of a drift: what differs on the host
    checked_at = models.DateTimeField(null=True)
    asked_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, null=True, on_delete=models.SET_NULL, related_name="+"
    )
    asked_by_name = models.CharField(max_length=120, blank=True)
    job = models.ForeignKey("jobs.Job", null=True, on_delete=models.SET_NULL, related_name="+")

    class Meta:
        ordering = ["kind"]
        constraints = [models.UniqueConstraint(fields=["server", "kind"], name="rollout_once_a_kind")]

    def __str__(self) -> str:
        return f"{self.kind} on {self.server}"


class RolloutRecord(models.Model):
    """What was applied, when, by whom, with the diff."""

    server = models.ForeignKey(Server, on_delete=models.CASCADE, related_name="rollout_records")
    kind = models.CharField(max_length=40)
    revision = models.PositiveBigIntegerField()
    at = models.DateTimeField(default=timezone.now)
    by = models.ForeignKey(settings.AUTH_USER_MODEL, null=True, on_delete=models.SET_NULL, related_name="+")
    by_name = models.CharField(max_length=120, blank=True)
    outcome = models.CharField(max_length=20)  # applied, nothing, failed, rolled_back, rollback_failed …
    said = models.TextField(blank=True)
    diff = models.TextField(blank=True)
    job = models.ForeignKey("jobs.Job", null=True, on_delete=models.SET_NULL, related_name="+")

    class Meta:
        ordering = ["-at", "-pk"]

    def __str__(self) -> str:
        return f"{self.kind} on {self.server}: {self.outcome}"
