"""Servers, their unix users and tags."""

from collections.abc import Collection
from typing import TYPE_CHECKING

from django.conf import settings
from django.core.exceptions import ValidationError
from django.db import models
from django.db.models import F, Q
from django.db.models.functions import Lower
from django.urls import reverse
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from accounts.permissions import narrowed
from servers.models.contact import Contact
from servers.validators import (
    validate_connection,
    validate_folder,
    validate_interface,
    validate_ip,
    validate_keymanager_name,
    validate_node_name,
    validate_server_name,
    validate_text,
    validate_unix_name,
)

if TYPE_CHECKING:
    from accounts.models import User


class Tag(models.Model):
    """A word to find servers by."""

    name = models.SlugField(_("name"), max_length=40, unique=True, allow_unicode=True)

    class Meta:
        ordering = ["name"]

    def __str__(self) -> str:
        return self.name


class ServerQuerySet(models.QuerySet["Server"]):
    """Queries over servers."""

    def visible_to(self, user: "User") -> "ServerQuerySet":
        """All for an admin; an owner's own for anyone else."""
        owned = Server.owners.through.objects
        return narrowed(
            self, user, lambda owner: Q(pk__in=owned.filter(user_id=owner.pk).values("server_id"))
        )


class Server(models.Model):
    """A server, virtual machine or container, as the seed's server module describes it."""

    name = models.CharField(
        _("name"),
        max_length=253,
        unique=True,
        validators=[validate_server_name],
        help_text=_("The domain name of the machine."),
        error_messages={"unique": _("There is a server with this name already.")},
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
        unpack_ipv4=True,
        validators=[validate_ip],
        help_text=_("Empty for a container that is only on its host's internal network."),
    )
    internal_ip = models.GenericIPAddressField(
        _("internal IP"),
        null=True,
        blank=True,
        unpack_ipv4=True,
        validators=[validate_ip],
        help_text=_("On the internal network of its Proxmox host."),
    )
    vm_host = models.ForeignKey(
        "self",
        verbose_name=_("VM host"),
        null=True,
        blank=True,
        on_delete=models.PROTECT,
        related_name="guests",
        help_text=_("The server on which it runs."),
    )
    nginx_server = models.ForeignKey(
        "self",
        verbose_name=_("nginx server"),
        null=True,
        blank=True,
        on_delete=models.PROTECT,
        related_name="nginx_for",
        help_text=_("The guest that forwards HTTP requests to the others."),
    )
    ssh_connection = models.CharField(
        _("SSH connection from Gestion"),
        max_length=300,
        blank=True,
        validators=[validate_connection],
        help_text=_("As root@host, or -p 222 root@host. Empty: through its host, to the internal IP."),
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
        help_text=_("The one with the public address. Empty: vmbr0."),
    )
    is_proxmox = models.BooleanField(_("is a Proxmox host"), default=False)
    proxmox_node = models.CharField(
        _("Proxmox node name"),
        max_length=63,
        blank=True,
        validators=[validate_node_name],
        help_text=_("As Proxmox shows it. Empty: the first part of the server's name."),
    )
    external_hostname_for_vms = models.CharField(
        _("external hostname for VM creation"),
        max_length=253,
        blank=True,
        validators=[validate_server_name],
        help_text=_("Where its guests' forwarded ports are reached. Empty: the server's name."),
    )
    samba_management = models.BooleanField(_("manage Samba"), default=False)
    samba_base_folder = models.CharField(
        _("Samba base folder"),
        max_length=255,
        blank=True,
        validators=[validate_folder],
        help_text=_("Shares lie inside this folder, such as /srv/shares."),
    )
    owners = models.ManyToManyField(
        settings.AUTH_USER_MODEL,
        verbose_name=_("owners"),
        blank=True,
        related_name="owned_servers",
        help_text=_("See and operate this server; their keys are allowed on it."),
    )
    tags = models.ManyToManyField(Tag, verbose_name=_("tags"), blank=True, related_name="servers")
    notes = models.TextField(_("notes"), blank=True, max_length=20_000, validators=[validate_text])
    created_at = models.DateTimeField(default=timezone.now, editable=False)
    # Grows with every change by a person, so that two admins do not overwrite each other unknowingly.
    version = models.PositiveBigIntegerField(default=1, editable=False)

    contact = models.CharField(max_length=12, choices=Contact, default=Contact.UNKNOWN, editable=False)
    contact_why = models.TextField(blank=True, editable=False)
    contact_since = models.DateTimeField(null=True, editable=False)
    checked_at = models.DateTimeField(null=True, editable=False)
    last_contact_at = models.DateTimeField(null=True, editable=False)
    failed_checks = models.PositiveIntegerField(default=0, editable=False)
    next_check_at = models.DateTimeField(default=timezone.now, editable=False, db_index=True)
    # The job that rolls out on this server now: one at a time (see servers.claims).
    rollout_job = models.ForeignKey(
        "jobs.Job", null=True, on_delete=models.SET_NULL, related_name="+", editable=False
    )

    objects = ServerQuerySet.as_manager()

    class Meta:
        ordering = ["name"]
        verbose_name = _("server")
        verbose_name_plural = _("servers")
        constraints = [
            models.CheckConstraint(condition=Q(name=Lower("name")), name="server_name_is_lower_case"),
            models.UniqueConstraint(
                fields=["vm_host", "internal_ip"],
                condition=Q(vm_host__isnull=False, internal_ip__isnull=False),
                name="internal_ip_once_a_host",
            ),
            models.CheckConstraint(
                condition=Q(vm_host__isnull=True) | ~Q(vm_host=F("pk")), name="host_is_not_its_own_vm"
            ),
            models.CheckConstraint(
                condition=Q(nginx_server__isnull=True) | ~Q(nginx_server=F("pk")),
                name="host_is_not_its_own_nginx",
            ),
            models.CheckConstraint(
                condition=Q(is_vm=False, vm_host__isnull=True) | Q(is_vm=True, vm_host__isnull=False),
                name="a_vm_has_a_host",
            ),
            models.CheckConstraint(
                condition=Q(is_proxmox=True, proxmox_node__gt="", external_interface__gt="")
                | Q(
                    is_proxmox=False,
                    proxmox_node="",
                    external_interface="",
                    external_hostname_for_vms="",
                    nginx_server__isnull=True,
                ),
                name="proxmox_settings_of_proxmox_only",
            ),
            models.CheckConstraint(
                condition=Q(samba_management=False, samba_base_folder="")
                | Q(samba_management=True, samba_base_folder__gt=""),
                name="samba_with_a_folder",
            ),
        ]

    def __str__(self) -> str:
        return self.name

    def get_absolute_url(self) -> str:
        """The server's page."""
        return reverse("servers:server", args=[self.pk])

    def clean_fields(self, exclude: Collection[str] | None = None) -> None:
        """Bring what was typed into its one form and fill in what can be computed, then check each field.

        A wrong name is told by itself, not by what was computed from it as well.
        """
        from servers.rules import fill_in

        computed = fill_in(self)
        try:
            super().clean_fields(exclude)
        except ValidationError as error:
            if "name" not in error.error_dict:
                raise
            told = {field: said for field, said in error.error_dict.items() if field not in computed}
            raise ValidationError(told) from None

    def clean(self) -> None:
        """Check every rule between fields; errors by the field."""
        from servers.rules import problems

        if found := problems(self):
            raise ValidationError(found)


class UnixUser(models.Model):
    """A unix user of a server whose authorized_keys2 the keymanager fills."""

    server = models.ForeignKey(Server, on_delete=models.CASCADE, related_name="unix_users")
    name = models.CharField(_("name"), max_length=32, validators=[validate_unix_name])

    class Meta:
        ordering = ["name"]
        constraints = [
            models.UniqueConstraint(fields=["server", "name"], name="unix_user_once_a_server"),
            models.CheckConstraint(
                condition=Q(name__gt="") & ~Q(name__startswith="-"), name="unix_user_is_no_option"
            ),
        ]

    def __str__(self) -> str:
        return f"{self.name}@{self.server.name}"
