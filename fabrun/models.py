"""Runs of scripts: what was run with which arguments, and how it ended on each server."""

from typing import TYPE_CHECKING

from django.conf import settings
from django.db import models
from django.urls import reverse
from django.utils import timezone

from jobs.models import Job, JobState
from servers.models import Server

if TYPE_CHECKING:
    from accounts.models import User


class ScriptRunQuerySet(models.QuerySet["ScriptRun"]):
    """Runs, as pages ask for them."""

    def visible_to(self, user: "User") -> "ScriptRunQuerySet":
        """All for an admin, none for anyone else: a script does anything as root."""
        return self if user.is_admin else self.none()


class ScriptRun(models.Model):
    """One script, asked for once, on one or more servers."""

    script = models.CharField(max_length=120)
    arguments = models.JSONField(default=dict)
    unix_user = models.CharField(max_length=32, blank=True)  # fab_user, for scripts that need one
    seconds = models.PositiveIntegerField()
    owner = models.ForeignKey(
        settings.AUTH_USER_MODEL, null=True, on_delete=models.SET_NULL, related_name="script_runs"
    )
    actor_name = models.CharField(max_length=120)
    asked_at = models.DateTimeField(default=timezone.now)

    objects = ScriptRunQuerySet.as_manager()

    class Meta:
        ordering = ["-asked_at", "-pk"]

    def __str__(self) -> str:
        return self.script

    def get_absolute_url(self) -> str:
        """The run's page."""
        return reverse("fabrun:run", args=[self.pk])


class ServerRun(models.Model):
    """A run's part on one server. Its output is its job's log."""

    run = models.ForeignKey(ScriptRun, on_delete=models.CASCADE, related_name="parts")
    server = models.ForeignKey(Server, null=True, on_delete=models.SET_NULL, related_name="script_runs")
    server_name = models.CharField(max_length=253)
    job = models.OneToOneField(Job, null=True, on_delete=models.SET_NULL, related_name="script_run")

    class Meta:
        ordering = ["server_name", "pk"]

    def __str__(self) -> str:
        return f"{self.run} @ {self.server_name}"

    def get_absolute_url(self) -> str:
        """The page of the whole run."""
        return self.run.get_absolute_url()

    @property
    def state(self) -> JobState | None:
        """Its job's; None when the job is deleted, which the run soon is, too."""
        return JobState(self.job.state) if self.job else None
