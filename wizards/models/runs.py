"""Runs of wizards: what was asked, what was done, where it stands."""

from typing import TYPE_CHECKING, Any

from django.conf import settings
from django.db import models
from django.urls import reverse
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from jobs.models import Job
from wizards.fields import EncryptedJSONField

if TYPE_CHECKING:
    from accounts.models import User


class RunState(models.TextChoices):
    """What a run is at. RUNNING: a job carries it on, or waits for a worker. WAITING: for something outside."""

    ASKING = "asking", _("draft")
    RUNNING = "running", _("running")
    WAITING = "waiting", _("waiting")
    FAILED = "failed", _("failed")
    STOPPED = "stopped", _("stopped")
    DONE = "done", _("done")
    UNDONE = "undone", _("undone")


ACTIVE = (RunState.RUNNING, RunState.WAITING)
HALTED = (RunState.FAILED, RunState.STOPPED)
ENDED = (RunState.DONE, RunState.UNDONE)


class TaskState(models.TextChoices):
    """What a task of a run is at."""

    PLANNED = "planned", _("to do")
    OFF = "off", _("switched off")
    RUNNING = "running", _("running")
    WAITING = "waiting", _("waiting")
    DONE = "done", _("done")
    FAILED = "failed", _("failed")
    STOPPED = "stopped", _("stopped")
    UNDOING = "undoing", _("being undone")
    UNDONE = "undone", _("undone")


UNTOUCHED = (TaskState.PLANNED, TaskState.OFF)


class WizardRunQuerySet(models.QuerySet["WizardRun"]):
    """Runs, as pages ask for them."""

    def visible_to(self, user: "User") -> "WizardRunQuerySet":
        """All for an admin, none for anyone else."""
        return self if user.is_admin else self.none()


class WizardRun(models.Model):
    """One wizard, begun once: first a draft that is asked, then a plan that is carried out, perhaps undone.

    `answers` has for each step, by its number from 0 as text: `values`, `defaults` (as they were then), `shown` (label
    and text for pages, without secrets), `secret` (names of the values that are) and `typed` (what secret
    fields were told).
    """

    slug = models.CharField(max_length=80)
    name = models.CharField(max_length=200)
    about = models.CharField(max_length=200, blank=True)  # the first answer: tells runs of one wizard apart
    owner = models.ForeignKey(
        settings.AUTH_USER_MODEL, null=True, on_delete=models.SET_NULL, related_name="wizard_runs"
    )
    actor_name = models.CharField(max_length=120)
    state = models.CharField(max_length=10, choices=RunState, default=RunState.ASKING)
    undoing = models.BooleanField(default=False)  # it goes, or went, backwards
    reached = models.PositiveIntegerField(default=0)  # how many steps, from the first, are answered
    answers = EncryptedJSONField(blank=True, default=dict)
    why = models.TextField(blank=True)  # of a failure
    job = models.ForeignKey(Job, null=True, on_delete=models.SET_NULL, related_name="+")  # that carries it on
    awaited = models.ForeignKey(Job, null=True, on_delete=models.SET_NULL, related_name="+")
    revived = models.PositiveIntegerField(default=0)  # jobs lost since a task last ended
    created_at = models.DateTimeField(default=timezone.now)
    changed_at = models.DateTimeField(auto_now=True)
    started_at = models.DateTimeField(null=True)  # of the stretch that it is active in, or was last
    waits_since = models.DateTimeField(null=True)
    waits_seconds = models.FloatField(default=0.0)  # that a task asked for, where it waits for no job
    ended_at = models.DateTimeField(null=True)
    active_seconds = models.FloatField(default=0.0)  # of the stretches before that one
    outside_seconds = models.FloatField(
        default=0.0
    )  # of all of them: spent on hosts, Proxmox and other outsides

    objects = WizardRunQuerySet.as_manager()

    class Meta:
        ordering = ["-created_at", "-pk"]
        indexes = [models.Index(fields=["state"], name="wizard_run_state")]

    def __str__(self) -> str:
        return f"{self.name}: {self.about}" if self.about else self.name

    def get_absolute_url(self) -> str:
        """The run's page."""
        return reverse("wizards:run", args=[self.pk])

    @property
    def active(self) -> bool:
        """Whether it is being carried out, or undone, now."""
        return self.state in ACTIVE

    @property
    def total_seconds(self) -> float:
        """How long it has been active, in seconds: not while it was asked, had failed or was stopped."""
        current = 0.0
        if self.active and self.started_at:
            current = (timezone.now() - self.started_at).total_seconds()
        return self.active_seconds + current

    @property
    def own_seconds(self) -> float:
        """The panel's own share of that, in seconds: all that is not known to have been spent outside."""
        return max(0.0, self.total_seconds - self.outside_seconds)

    @property
    def own_percent(self) -> float:
        """The same in per cent, 0 before it began."""
        return 100 * self.own_seconds / self.total_seconds if self.total_seconds else 0.0

    def step_values(self, number: int) -> dict[str, Any]:
        """What a step (from 0) was told; empty before."""
        values: dict[str, Any] = self.answers.get(str(number), {}).get("values", {})
        return values


class WizardTask(models.Model):
    """One task of a run that was started."""

    run = models.ForeignKey(WizardRun, on_delete=models.CASCADE, related_name="tasks")
    number = models.PositiveIntegerField()
    slug = models.CharField(max_length=80)
    name = models.CharField(max_length=200)
    says = models.TextField(blank=True)
    state = models.CharField(max_length=10, choices=TaskState, default=TaskState.PLANNED)
    facts = EncryptedJSONField(blank=True, default=dict)
    why = models.TextField(blank=True)  # what it waits for, or why it failed
    job = models.ForeignKey(Job, null=True, on_delete=models.SET_NULL, related_name="+")  # awaited last
    started_at = models.DateTimeField(null=True)
    ended_at = models.DateTimeField(null=True)

    class Meta:
        ordering = ["number"]
        constraints = [models.UniqueConstraint(fields=["run", "number"], name="task_number_once_a_run")]

    def __str__(self) -> str:
        return self.name
