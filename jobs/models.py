"""Jobs, their steps and log lines: long work a person can watch."""

from typing import Any

from django.conf import settings
from django.db import models
from django.urls import reverse
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from accounts.fields import EncryptedTextField
from accounts.permissions import narrowed
from jobs.guarding import operated_by


class JobState(models.TextChoices):
    """What a job is at. The last four are ends."""

    WAITING = "waiting", _("waiting")
    RUNNING = "running", _("running")
    DONE = "done", _("done")
    FAILED = "failed", _("failed")
    STOPPED = "stopped", _("stopped")
    LOST = "lost", _("lost")  # its worker died


ENDED = (JobState.DONE, JobState.FAILED, JobState.STOPPED, JobState.LOST)


class Reach(models.TextChoices):
    """Whom a job concerns, besides admins."""

    ADMINS = "admins", _("admins")
    ASKER = "asker", _("who asked for it")
    SERVERS = "servers", _("who operates all servers that it touches")


def seconds_said(seconds: float) -> str:
    """A duration in words as short as they are true: 0.4 s, 12 s, 3 min 5 s, 2 h 10 min."""
    if seconds < 10:
        return f"{max(0.0, seconds):.1f} s"
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60} s"
    return f"{whole // 3600} h {whole % 3600 // 60} min"


class JobQuerySet(models.QuerySet["Job"]):
    """Jobs, as pages ask for them."""

    def visible_to(self, user: Any) -> "JobQuerySet":
        """All for an admin; for anyone else those that touch only servers that he operates, and mails and the like
        that he asked for; none for the anonymous.
        """
        return narrowed(self, user, _concerning)

    def unacknowledged(self) -> "JobQuerySet":
        """Those that went wrong and that nobody has looked at yet."""
        return self.filter(state__in=[JobState.FAILED, JobState.LOST], acknowledged_at=None)

    def of(self, subject: models.Model) -> "JobQuerySet":
        """Those about this row."""
        return self.filter(subject_type=subject._meta.label_lower, subject_id=str(subject.pk))


def _concerning(user: Any) -> models.Q:
    touches = JobTouch.objects.filter(job=models.OuterRef("pk"))
    others = touches.exclude(server__in=operated_by(user))
    own = models.Q(reach=Reach.SERVERS) & models.Exists(touches) & ~models.Exists(others)
    return own | models.Q(reach=Reach.ASKER, owner_id=user.pk)


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
    reach = models.CharField(max_length=10, choices=Reach, default=Reach.ADMINS)
    askers = models.JSONField(default=list)  # all who asked for it while it waited, as Actor.asker
    refused = models.BooleanField(
        default=False
    )  # it was not begun: who asked for it may no longer have it done
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
    outside_seconds = models.FloatField(default=0.0)  # spent on hosts and other outsides: see hosts/meter.py
    times_lost = models.PositiveIntegerField(default=0)
    secrets = EncryptedTextField(blank=True)  # JSON list of what to mask; emptied at the end
    once_key = models.CharField(max_length=64, blank=True)  # set while waiting, if started with once=True
    revision = models.PositiveBigIntegerField(default=0)  # counts what watchers would want to see
    acknowledged_at = models.DateTimeField(null=True)
    acknowledged_by = models.CharField(max_length=120, blank=True)

    objects = JobQuerySet.as_manager()

    class Meta:
        ordering = ["-created_at", "-pk"]
        constraints = [
            models.UniqueConstraint(
                fields=["once_key"],
                condition=models.Q(state="waiting") & ~models.Q(once_key=""),
                name="one_waiting_job_a_once_key",
            ),
        ]
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

    @property
    def percent(self) -> int | None:
        """Progress in whole per cent; None while the total is unknown."""
        if not self.total_units:
            return 100 if self.state == JobState.DONE else None
        return min(100, self.done_units * 100 // self.total_units)

    @property
    def took(self) -> str:
        """How long the last attempt took or has taken, in words; empty before it began."""
        if self.started_at is None:
            return ""
        if not self.ended and self.state != JobState.RUNNING:
            return ""
        return seconds_said(((self.ended_at or timezone.now()) - self.started_at).total_seconds())

    @property
    def current_step(self) -> str:
        """The name of the innermost step that runs."""
        step = self.steps.filter(state=JobState.RUNNING).last()
        return step.name if step else ""

    @property
    def last_lines(self) -> "list[JobLine]":
        """The end of its log, for a page that shows the job beside other things."""
        return list(self.lines.order_by("-pk")[:12])[::-1]

    @property
    def last_line(self) -> int:
        """The number of the last line that `last_lines` has."""
        last = self.lines.order_by("-pk").values_list("pk", flat=True).first()
        return last or 0

    @property
    def needs_look(self) -> bool:
        """Whether it went wrong and nobody has said that he has seen it."""
        return self.state in (JobState.FAILED, JobState.LOST) and self.acknowledged_at is None


class JobTouch(models.Model):
    """A server that a job touches, by its bare number: one that is gone still counts, and nobody's right is wider."""

    job = models.ForeignKey(Job, on_delete=models.CASCADE, related_name="touches")
    server = models.PositiveBigIntegerField()

    class Meta:
        constraints = [models.UniqueConstraint(fields=["job", "server"], name="a_job_touches_a_server_once")]

    def __str__(self) -> str:
        return f"{self.job_id}: {self.server}"


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


class ScheduleState(models.Model):
    """When a thing of the schedule ran last; the row by which one process claims the next run."""

    name = models.CharField(max_length=80, unique=True)
    last_started_at = models.DateTimeField(null=True)
    last_ended_at = models.DateTimeField(null=True)
    running_since = models.DateTimeField(null=True)
    error = models.TextField(blank=True)

    class Meta:
        ordering = ["name"]

    def __str__(self) -> str:
        return self.name


class WorkerState(models.Model):
    """A worker process that lives, or did: its last sign of life."""

    name = models.CharField(max_length=120, unique=True)
    started_at = models.DateTimeField(default=timezone.now)
    heartbeat_at = models.DateTimeField(default=timezone.now)
    queues = models.CharField(max_length=200, blank=True)

    class Meta:
        ordering = ["name"]

    def __str__(self) -> str:
        return self.name
