"""What each server should hold of each kind, how it stands, and what was applied."""

from django.conf import settings
from django.db import models
from django.db.models import F, Q
from django.urls import reverse
from django.utils import timezone
from django.utils.translation import gettext_lazy as _


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

    server = models.ForeignKey("servers.Server", on_delete=models.CASCADE, related_name="rollouts")
    kind = models.CharField(max_length=40)
    wanted = models.PositiveBigIntegerField(default=0)
    applied = models.PositiveBigIntegerField(default=0)
    state = models.CharField(max_length=12, choices=RolloutState, default=RolloutState.WAITING, db_index=True)
    since = models.DateTimeField(default=timezone.now)
    why = models.TextField(blank=True)
    # The last look at the host: what differs there from what it should hold.
    checked_at = models.DateTimeField(null=True)
    diff = models.TextField(blank=True)
    foreign = models.JSONField(default=list)  # paths where something lies that is not ours
    adopt = models.JSONField(default=list)  # those of them that a person said to adopt
    # Trying again when the server could not be reached.
    tries = models.PositiveIntegerField(default=0)
    retry_at = models.DateTimeField(null=True)
    retry_until = models.DateTimeField(null=True)
    asked_for = models.CharField(max_length=255, blank=True)
    asked_at = models.DateTimeField(default=timezone.now)
    asked_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, null=True, on_delete=models.SET_NULL, related_name="+"
    )
    asked_by_name = models.CharField(max_length=120, blank=True)
    job = models.ForeignKey("jobs.Job", null=True, on_delete=models.SET_NULL, related_name="+")

    class Meta:
        ordering = ["kind"]
        constraints = [
            models.UniqueConstraint(fields=["server", "kind"], name="rollout_once_a_kind"),
            models.CheckConstraint(condition=Q(applied__lte=F("wanted")), name="applied_was_wanted"),
        ]

    def __str__(self) -> str:
        return f"{self.kind} on {self.server}"

    def get_absolute_url(self) -> str:
        """The rollout's page: what differs, what was applied, the buttons."""
        return reverse("servers:rollout", args=[self.server_id, self.kind])

    @property
    def title(self) -> str:
        """The kind's title."""
        from servers.registry import kind_title

        return kind_title(self.kind)


class Outcome(models.TextChoices):
    """How one rollout ended."""

    APPLIED = "applied", _("applied")
    NOTHING = "nothing", _("nothing to do")
    FAILED = "failed", _("failed, the old state is there")
    ROLLBACK_FAILED = "rollback_failed", _("putting back failed")


class RolloutRecord(models.Model):
    """What was applied, when, for whom, with the diff."""

    server = models.ForeignKey("servers.Server", on_delete=models.CASCADE, related_name="rollout_records")
    kind = models.CharField(max_length=40)
    revision = models.PositiveBigIntegerField()
    at = models.DateTimeField(default=timezone.now)
    asked_for = models.CharField(max_length=255, blank=True)
    by = models.ForeignKey(settings.AUTH_USER_MODEL, null=True, on_delete=models.SET_NULL, related_name="+")
    by_name = models.CharField(max_length=120, blank=True)
    outcome = models.CharField(max_length=20, choices=Outcome)
    said = models.TextField(blank=True)
    diff = models.TextField(blank=True)
    job = models.ForeignKey("jobs.Job", null=True, on_delete=models.SET_NULL, related_name="+")

    class Meta:
        ordering = ["-at", "-pk"]
        indexes = [models.Index(fields=["server", "kind", "-at"], name="record_of_rollout")]

    def __str__(self) -> str:
        return f"{self.kind} on {self.server}: {self.outcome}"

    @property
    def mood(self) -> str:
        """The outcome as the name of a state that has a colour."""
        return {Outcome.APPLIED: "success", Outcome.NOTHING: "nothing"}.get(Outcome(self.outcome), "failed")
