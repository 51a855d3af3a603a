"""Containers that Gestion was asked to create: what was wanted, how far it is, what came of it."""

import secrets

from django.db import models
from django.db.models import Q
from django.urls import reverse
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from servers.models import Server


class CreationState(models.TextChoices):
    """How a create stands."""

    WAITING = "waiting", _("waiting")
    RUNNING = "running", _("being created")
    DONE = "done", _("created")
    FAILED = "failed", _("failed")
    STOPPED = "stopped", _("stopped")


OPEN = (CreationState.WAITING, CreationState.RUNNING)


def new_marker() -> str:
    """A word that no other container has in its description."""
    return f"gestion-create-{secrets.token_hex(8)}"


class Creation(models.Model):
    """One container that was asked for, on one host, for one server of the inventory.

    Sizes: `disk` in GiB, `memory` and `swap` in MiB. `vmid` is written before Proxmox is asked, so that
    whoever comes after a lost answer knows where to look; `marker` is in the container's description, so that
    he knows whether what he finds is what we made.
    """

    host = models.ForeignKey(Server, on_delete=models.CASCADE, related_name="creations")
    server = models.ForeignKey(Server, on_delete=models.CASCADE, related_name="created_by")
    marker = models.CharField(max_length=40, unique=True, default=new_marker)

    hostname = models.CharField(_("name"), max_length=253)
    template = models.CharField(_("template"), max_length=255)
    storage = models.CharField(_("storage"), max_length=100)
    disk = models.PositiveIntegerField(_("disk"))
    memory = models.PositiveIntegerField(_("memory"))
    swap = models.PositiveIntegerField(_("swap"))
    cores = models.PositiveIntegerField(_("cores"))
    address = models.GenericIPAddressField(_("address"), unpack_ipv4=True)
    prefix_length = models.PositiveSmallIntegerField()
    gateway = models.GenericIPAddressField(_("gateway"), null=True, unpack_ipv4=True)
    bridge = models.CharField(_("bridge"), max_length=15)
    name_servers = models.JSONField(_("name servers"), default=list)
    ssh_keys = models.TextField(_("SSH keys"), blank=True)
    unprivileged = models.BooleanField(_("unprivileged"), default=True)
    onboot = models.BooleanField(_("start at boot"), default=True)
    nesting = models.BooleanField(_("nesting"), default=False)
    start = models.BooleanField(_("start now"), default=True)

    state = models.CharField(max_length=8, choices=CreationState, default=CreationState.WAITING)
    why = models.TextField(blank=True)  # a sentence
    errors = models.JSONField(default=dict)  # by the form's field, what Proxmox said
    vmid = models.PositiveIntegerField(null=True)
    made = models.BooleanField(default=False)  # its create task went well
    create_upid = models.CharField(max_length=200, blank=True)
    fingerprints = models.JSONField(default=list)  # of its SSH host keys, as Proxmox's task log told them
    password_host = models.CharField(max_length=253, blank=True)
    password_server = models.CharField(max_length=253, blank=True)
    password_mark = models.CharField(max_length=16, blank=True)
    job = models.ForeignKey("jobs.Job", null=True, on_delete=models.SET_NULL, related_name="+")
    asked_at = models.DateTimeField(default=timezone.now)
    asked_by = models.CharField(max_length=150)
    ended_at = models.DateTimeField(null=True)

    class Meta:
        ordering = ["-pk"]
        constraints = [
            models.UniqueConstraint(
                fields=["server"], condition=Q(state__in=OPEN), name="one_open_create_a_server"
            ),
            # Of two hosts that are no cluster both could have the id; skipping one then does no harm.
            models.UniqueConstraint(
                fields=["vmid"], condition=Q(state__in=OPEN, vmid__isnull=False), name="one_open_create_an_id"
            ),
        ]

    def __str__(self) -> str:
        return self.hostname

    def get_absolute_url(self) -> str:
        """The page of this create."""
        return reverse("proxmox:creation", args=[self.pk])

    @property
    def open(self) -> bool:
        """Whether it waits or runs."""
        return self.state in OPEN


class Offer(models.Model):
    """What a Proxmox host has for new containers, as it was when last read; pages never ask the host itself.

    `templates`: [volume id, bytes]; `storages`: [name, type, free bytes]; `bridges`: [name, CIDR];
    `addresses`: [id, name, address] of every guest, all read at `addresses_at`. `words`: why the last reading
    failed, or empty.
    """

    host = models.OneToOneField(Server, on_delete=models.CASCADE, related_name="offer")
    templates = models.JSONField(default=list)
    storages = models.JSONField(default=list)
    bridges = models.JSONField(default=list)
    addresses = models.JSONField(default=list)
    addresses_at = models.DateTimeField(null=True)
    read_at = models.DateTimeField(null=True)
    tried_at = models.DateTimeField(null=True)
    words = models.TextField(blank=True)

    def __str__(self) -> str:
        return f"offer of {self.host}"
