"""Sets: backups that run together, in their order, and never twice at once."""

from typing import TYPE_CHECKING, Any

from django.core.validators import MaxValueValidator
from django.db import models
from django.db.models import OuterRef, Q, Subquery
from django.urls import reverse
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from backups.models.plans import Backup
from backups.models.runs import BackupRun
from jobs.models import seconds_said
from servers.validators import validate_text

if TYPE_CHECKING:
    from accounts.models import User


class BackupSetQuerySet(models.QuerySet["BackupSet"]):
    """Queries over sets."""

    def visible_to(self, user: "User") -> "BackupSetQuerySet":
        """All for an admin; none for anyone else, since a set goes over many people's servers."""
        return self if user.is_admin else self.none()

    def with_last(self) -> Any:
        """With what became of the last run: `last_state`, `last_words`, `last_at`; None where there was none."""
        last = BackupSetRun.objects.filter(set=OuterRef("pk")).order_by("-started_at", "-pk")
        return self.annotate(
            last_state=Subquery(last.values("state")[:1]),
            last_words=Subquery(last.values("words")[:1]),
            last_at=Subquery(last.values("started_at")[:1]),
        )


class BackupSet(models.Model):
    """Backups in an order. One run of it at a time: while it runs, another one is not started, and that is said."""

    name = models.CharField(_("name"), max_length=80, unique=True, validators=[validate_text])
    active = models.BooleanField(
        _("runs by itself"), default=True, help_text=_("Every day at the time below. Off: only by hand.")
    )
    hour = models.PositiveSmallIntegerField(
        _("hour"),
        default=22,
        validators=[MaxValueValidator(23)],
        help_text=_("0 to 23, in the panel's time zone."),
    )
    minute = models.PositiveSmallIntegerField(_("minute"), default=0, validators=[MaxValueValidator(59)])
    side_by_side = models.BooleanField(
        _("side by side"),
        default=False,
        help_text=_("Start all at once, as far as the backup servers take them. Off: one after the other."),
    )
    go_on = models.BooleanField(
        _("go on after trouble"),
        default=True,
        help_text=_("When one backup does not end well, the next ones run all the same."),
    )
    created_at = models.DateTimeField(default=timezone.now, editable=False)
    # Since when it is to run at this time of day: what lies before it was not missed.
    timed_at = models.DateTimeField(default=timezone.now, editable=False)
    version = models.PositiveBigIntegerField(default=1, editable=False)

    objects = BackupSetQuerySet.as_manager()

    class Meta:
        ordering = ["name"]

    def __str__(self) -> str:
        return self.name

    def get_absolute_url(self) -> str:
        """The set's page."""
        return reverse("backups:set", args=[self.pk])

    @property
    def at(self) -> str:
        """The time of day at which it runs."""
        return f"{self.hour:02}:{self.minute:02}"


class BackupSetMember(models.Model):
    """A backup's place in a set."""

    set = models.ForeignKey(BackupSet, on_delete=models.CASCADE, related_name="members")
    backup = models.ForeignKey(Backup, on_delete=models.CASCADE, related_name="set_members")
    position = models.PositiveIntegerField()

    class Meta:
        ordering = ["position"]
        constraints = [models.UniqueConstraint(fields=["set", "backup"], name="a_backup_once_a_set")]

    def __str__(self) -> str:
        return f"{self.position}. {self.backup}"


class SetState(models.TextChoices):
    """What a set's run is at."""

    RUNNING = "running", _("running")
    DONE = "done", _("done")
    FAILED = "failed", _("failed")
    STOPPED = "stopped", _("stopped")
    NOT_STARTED = "not_started", _("not started")


class BackupSetRun(models.Model):
    """One run of a set, or the note that it could not start."""

    set = models.ForeignKey(BackupSet, on_delete=models.CASCADE, related_name="runs")
    state = models.CharField(max_length=12, choices=SetState, default=SetState.RUNNING)
    asked_by = models.CharField(max_length=120, blank=True)
    started_at = models.DateTimeField(default=timezone.now)
    ended_at = models.DateTimeField(null=True)
    words = models.TextField(blank=True)

    class Meta:
        ordering = ["-started_at", "-pk"]
        constraints = [
            models.UniqueConstraint(
                fields=["set"], condition=Q(state="running"), name="a_set_never_overlaps_itself"
            )
        ]

    def __str__(self) -> str:
        return f"{self.set} {self.started_at:%Y-%m-%d %H:%M}"

    @property
    def took(self) -> str:
        """How long it ran or has run, in words."""
        return seconds_said(((self.ended_at or timezone.now()) - self.started_at).total_seconds())


class BackupSetPart(models.Model):
    """One backup of a set's run, and the run that does it, once there is one."""

    set_run = models.ForeignKey(BackupSetRun, on_delete=models.CASCADE, related_name="parts")
    backup = models.ForeignKey(Backup, on_delete=models.CASCADE, related_name="+")
    run = models.ForeignKey(BackupRun, null=True, on_delete=models.SET_NULL, related_name="set_parts")
    position = models.PositiveIntegerField()

    class Meta:
        ordering = ["position"]

    def __str__(self) -> str:
        return f"{self.position}. {self.backup}"
