"""What jobs have asked of Proxmox: so that a job whose worker died does nothing twice."""

from django.db import models
from django.utils import timezone


class AskedTask(models.Model):
    """One task that a job asks Proxmox for, written before it is asked.

    `known` are the tasks of that guest before; `upid` is ours, once we know it; `identity` tells which guest
    was meant (proxmox.identity).
    """

    job = models.ForeignKey("jobs.Job", on_delete=models.CASCADE, related_name="+")
    action = models.CharField(max_length=40)
    vmid = models.PositiveIntegerField()
    known = models.JSONField(default=list)
    identity = models.CharField(max_length=64, blank=True)
    upid = models.CharField(max_length=300, blank=True)
    asked_at = models.DateTimeField(default=timezone.now)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["job", "action", "vmid"], name="asked_once_a_job_and_action")
        ]

    def __str__(self) -> str:
        return self.upid or f"{self.action} {self.vmid}"


class GuestReading(models.Model):
    """A guest's configuration as it was last read for somebody who wants to change it."""

    host = models.ForeignKey("servers.Server", on_delete=models.CASCADE, related_name="+")
    kind = models.CharField(max_length=4)
    vmid = models.PositiveIntegerField()
    name = models.CharField(max_length=255, blank=True)
    runs = models.BooleanField(default=False)
    config = models.JSONField(default=dict)
    pending = models.JSONField(default=dict)  # what waits for the next start; null: is deleted then
    snapshots = models.JSONField(default=list)  # [{"name", "description", "snaptime"}]
    read_at = models.DateTimeField(default=timezone.now)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["host", "kind", "vmid"], name="guest_read_once")]

    def __str__(self) -> str:
        return f"{self.vmid} {self.name}"
