"""What was last seen of Proxmox hosts and their guests. Written by proxmox.noting and proxmox.matched alone."""

from typing import TYPE_CHECKING

from django.db import models
from django.db.models import Q
from django.urls import reverse
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from servers.models import Server

if TYPE_CHECKING:
    from accounts.models import User


class NodeState(models.TextChoices):
    """How a host's API was when it was last looked at."""

    UNKNOWN = "unknown", _("not looked at yet")
    ANSWERS = "ok", _("answers")
    SLOW = "warning", _("slow")
    DOWN = "unreachable", _("down")
    REFUSED = "refused", _("refuses")
    OFFERED = "offered", _("certificate not accepted yet")
    CHANGED = "changed", _("certificate changed")
    NO_ACCESS = "no_access", _("no access set")


TROUBLE = (NodeState.CHANGED, NodeState.DOWN, NodeState.REFUSED, NodeState.OFFERED, NodeState.SLOW)


class NodeSeen(models.Model):
    """A Proxmox host as its API described it. Sizes in bytes, processor use as a share from 0 to 1."""

    host = models.OneToOneField(Server, on_delete=models.CASCADE, related_name="node_seen")
    state = models.CharField(max_length=12, choices=NodeState, default=NodeState.UNKNOWN)
    error = models.TextField(blank=True)
    since = models.DateTimeField(default=timezone.now)  # of this state
    looking_since = models.DateTimeField(null=True)  # somebody is looking now: see proxmox.looking
    look_again = models.BooleanField(default=False)  # something was done there meanwhile
    looked_at = models.DateTimeField(null=True)
    answered_at = models.DateTimeField(null=True)  # the age of all that is known of its guests
    failed_looks = models.PositiveIntegerField(default=0)
    next_look_at = models.DateTimeField(default=timezone.now, db_index=True)
    seconds = models.FloatField(null=True)  # that the last answer took

    version = models.CharField(max_length=40, blank=True)
    uptime = models.PositiveBigIntegerField(null=True)  # seconds
    cpu = models.FloatField(null=True)
    cores = models.FloatField(null=True)
    memory_used = models.PositiveBigIntegerField(null=True)
    memory = models.PositiveBigIntegerField(null=True)
    swap_used = models.PositiveBigIntegerField(null=True)
    swap = models.PositiveBigIntegerField(null=True)
    disk_used = models.PositiveBigIntegerField(null=True)
    disk = models.PositiveBigIntegerField(null=True)
    storages = models.JSONField(default=list)  # [{"storage", "type", "content", "used", "total", "active"}]
    storages_at = models.DateTimeField(null=True)

    def __str__(self) -> str:
        return f"{self.host}: {self.state}"

    @property
    def in_trouble(self) -> bool:
        """Whether it is not as it should be."""
        return self.state in TROUBLE


class Kind(models.TextChoices):
    """The kinds of guests, as Proxmox calls them."""

    CONTAINER = "lxc", _("container")
    MACHINE = "qemu", _("virtual machine")


class Matched(models.TextChoices):
    """How a guest came to its server, or why it has none."""

    NOT = "", _("no server")
    HAND = "hand", _("by hand")
    ADDRESS = "address", _("by its internal address")
    NAME = "name", _("by its name")
    AMBIGUOUS = "ambiguous", _("ambiguous")
    APART = "apart", _("kept apart by hand")


class GuestSeenQuerySet(models.QuerySet["GuestSeen"]):
    """Queries over guests."""

    def visible_to(self, user: "User") -> "GuestSeenQuerySet":
        """All for an admin; for an owner the guests that are his servers."""
        if user.is_admin:
            return self
        return self.filter(server__in=Server.objects.visible_to(user).values("pk"))

    def present(self) -> "GuestSeenQuerySet":
        """Those that were there when their host last answered."""
        return self.filter(gone_at=None)


class GuestSeen(models.Model):
    """A container or virtual machine as its host described it. Sizes in bytes, processor use from 0 to 1."""

    host = models.ForeignKey(Server, on_delete=models.CASCADE, related_name="guests_seen")
    vmid = models.PositiveIntegerField()
    kind = models.CharField(max_length=4, choices=Kind, default=Kind.CONTAINER)
    name = models.CharField(max_length=255, blank=True)
    status = models.CharField(max_length=20, default="unknown")  # "running", "stopped", …
    uptime = models.PositiveBigIntegerField(default=0)  # seconds
    cpu = models.FloatField(null=True)
    cores = models.FloatField(null=True)
    memory_used = models.PositiveBigIntegerField(null=True)
    memory = models.PositiveBigIntegerField(null=True)
    swap_used = models.PositiveBigIntegerField(null=True)
    swap = models.PositiveBigIntegerField(null=True)
    disk_used = models.PositiveBigIntegerField(null=True)
    disk = models.PositiveBigIntegerField(null=True)
    tags = models.CharField(max_length=1000, blank=True)  # separated by ";"
    lock = models.CharField(max_length=40, blank=True)
    template = models.BooleanField(default=False)
    first_seen_at = models.DateTimeField(default=timezone.now)
    seen_at = models.DateTimeField(default=timezone.now)
    gone_at = models.DateTimeField(null=True)  # not there any more since then

    config = models.JSONField(default=dict)
    config_at = models.DateTimeField(null=True)  # None: it changed, or was never read
    addresses = models.JSONField(default=list)  # of its interfaces, without prefix length: fixed, then live
    live = models.JSONField(default=list)  # those that it says it has while it runs (DHCP): they may change
    live_at = models.DateTimeField(null=True)  # when it was last asked; None: since it runs it was not
    mac = models.CharField(max_length=17, blank=True)  # of net0
    onboot = models.BooleanField(default=False)

    server = models.ForeignKey(Server, null=True, on_delete=models.SET_NULL, related_name="guest_seen")
    matched = models.CharField(max_length=10, choices=Matched, default=Matched.NOT, blank=True)
    candidates = models.JSONField(default=list)  # ids of the servers that it might be

    objects = GuestSeenQuerySet.as_manager()

    class Meta:
        ordering = ["host__name", "vmid"]
        verbose_name = _("guest")
        verbose_name_plural = _("guests")
        constraints = [
            models.UniqueConstraint(fields=["host", "vmid"], name="guest_once_a_host"),
            models.CheckConstraint(condition=Q(kind__in=Kind.values), name="guest_kind_is_known"),
            models.CheckConstraint(condition=Q(matched__in=Matched.values), name="guest_match_is_known"),
        ]

    def __str__(self) -> str:
        return f"{self.vmid} {self.name}".strip()

    def get_absolute_url(self) -> str:
        """The guest's page."""
        return reverse("proxmox:guest", args=[self.pk])

    @property
    def running(self) -> bool:
        """Whether it runs."""
        return self.status == "running"

    @property
    def tag_list(self) -> list[str]:
        """Its tags."""
        return [tag for tag in self.tags.replace(",", ";").split(";") if tag]

    @property
    def should_run(self) -> bool:
        """Whether it starts with its host and yet does not run."""
        return self.onboot and self.status == "stopped" and not (self.template or self.lock or self.gone_at)
