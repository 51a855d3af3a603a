"""Jobs, their steps and log lines: long work a person can watch."""

from django.conf import settings
from django.db import models
from django.urls import reverse
from django.utils import timezone
from django.utils.translation import gettext_lazy as _


class JobState(models.TextChoices):
    """What a job is at. The last four are ends."""

    WAITING = "waiting", _("waiting")
    RUNNING = "running", _("running")
    DONE = "done", _("done")
    FAILED = "failed", _("failed")
    STOPPED = "stopped", _("stopped")
    LOST = "lost", _("lost")  # its worker died


ENDED = (JobState.DONE, JobState.FAILED, JobState.STOPPED, JobState.LOST)


class Job(models.Model):
    """One piece of long work. `work` names the registered function, `args` are its ids."""

    work = models.CharField(max_length=80)
    title = models.CharField(max_length=200)
    args = models.JSONField(default=dict)
    queue = models.CharField(max_length=40, default="default")
    owner = models.ForeignKey(
        settings.AUTH_USER_MODEL, null=True, on_delete=models.SET_NULL, related_name="jobs"
    )
    actor_name = models.CharField(max_length=120)
    address = models.GenericIPAddressField(null=True)
    subject_type = models.CharField(max_length=60, blank=True)
    subject_id = models.CharField(max_length=40, blank=True)
    state = models.CharField(max_length=10, choices=JobState, default=JobState.WAITING)
    done_units = models.PositiveBigIntegerField(default=0)
    total_units = models.PositiveBigIntegerField(default=0)
    created_at = models.DateTimeField(default=timezone.now)
    not_before = models.DateTimeField(default=timezone.now)
    started_at = models.DateTimeField(null=True)
    ended_at = models.DateTimeField(null=True)
    heartbeat_at = models.DateTimeField(null=True)
    worker = models.CharField(max_length=120, blank=True)
    stop_asked_at = models.DateTimeField(null=True)
    stop_asked_by = models.CharField(max_length=120, blank=True)
    attempt = models.PositiveIntegerField(default=0)
    retry_seconds = models.PositiveIntegerField(default=0)
    retry_until = models.DateTimeField(null=True)
    error = models.TextField(blank=True)

    class Meta:
        ordering = ["-created_at", "-pk"]
        indexes = [
            models.Index(fields=["state", "not_before"], name="job_to_run"),
            models.Index(fields=["subject_type", "subject_id"], name="job_of_subject"),
        ]

    def __str__(self) -> str:
        return self.title

    def get_absolute_url(self) -> str:
        """The job's page."""
        return reverse("jobs:job", args=[self.pk])

    @property
    def ended(self) -> bool:
        """Whether it came to an end."""
        return self.state in ENDED


class JobStep(models.Model):
    """A named part of a job."""

    job = models.ForeignKey(Job, on_delete=models.CASCADE, related_name="steps")
    number = models.PositiveIntegerField()
    name = models.CharField(max_length=200)
    state = models.CharField(max_length=10, choices=JobState, default=JobState.WAITING)
    started_at = models.DateTimeField(null=True)
    ended_at = models.DateTimeField(null=True)

    class Meta:
        ordering = ["number"]
        constraints = [models.UniqueConstraint(fields=["job", "number"], name="step_number_once_a_job")]

    def __str__(self) -> str:
        return self.name


class JobLine(models.Model):
    """One line of a job's log, saved as it came, secrets masked."""

    job = models.ForeignKey(Job, on_delete=models.CASCADE, related_name="lines")
    step = models.ForeignKey(JobStep, null=True, on_delete=models.SET_NULL, related_name="lines")
    at = models.DateTimeField(default=timezone.now)
    stream = models.CharField(max_length=4, default="info")  # info, out, err
    text = models.TextField()

    class Meta:
        ordering = ["pk"]

    def __str__(self) -> str:
        return self.text
