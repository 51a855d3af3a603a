"""Runs of backups: one row each, from the wish to the result; and what is remembered of a backup between them."""

import secrets
from typing import TYPE_CHECKING, Any

from django.conf import settings
from django.db import models
from django.db.models import Q
from django.urls import reverse
from django.utils import timezone
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from backups.models.plans import Backup
from jobs.models import seconds_said

if TYPE_CHECKING:
    from accounts.models import User


class RunState(models.TextChoices):
    """What a run is at. All but the first two are ends; only "done" is green."""

    WAITING = "waiting", _("waiting")
    RUNNING = "running", _("running")
    DONE = "done", _("done")
    INCOMPLETE = "incomplete", _("incomplete")  # rotated, but some files could not be read
    FAILED = "failed", _("failed")
    HELD = "held", _("held")  # a guard wants a person's word before anything rotates
    STOPPED = "stopped", _("stopped")
    LOST = "lost", _("lost")  # nobody knows what became of it


WAITS = (5, 15, 45)  # minutes before a run that could not come about is tried again, and again
MOST_TRIES = len(WAITS) + 1
OPEN = (RunState.WAITING, RunState.RUNNING)
WRONG = (RunState.INCOMPLETE, RunState.FAILED, RunState.HELD, RunState.LOST)


class Why(models.TextChoices):
    """What made a run begin."""

    HAND = "hand", _("by hand")
    SCHEDULE = "schedule", _("by the panel's schedule")
    CRON = "cron", _("by cron")
    SET = "set", _("by a set")
    ACCEPTED = "accepted", _("released by hand")
    AGAIN = "again", _("by itself, once more")


class Hold(models.TextChoices):
    """Why the guards hold a run; the words are for the button's page."""

    SOURCE_EMPTY = "source_empty", _("The source came back empty")
    SOURCE_SHRUNK = "source_shrunk", _("The source shrank more than it may")
    SOURCE_UNMOUNTED = "source_unmounted", _("The source's disk is not mounted")
    SOURCE_MISSING = "source_missing", _("The source folder is not there")
    LOW_SPACE = "low_space", _("The destination's disk is nearly full")
    FOREIGN = "destination_foreign", _("The destination folder holds something else")
    UNMOUNTED = "destination_unmounted", _("The destination's disk is not mounted")
    GONE = "destination_gone", _("The destination has lost its marker: perhaps its disk is not mounted")
    MOVED = "destination_moved", _("The destination is on another file system than before")
    OTHER = "destination_other", _("The destination belongs to another backup")
    ROOT = "destination_root", _("The destination is the root folder")
    UNREADABLE = "destination_unreadable", _("The destination is not a folder")


# What a person may accept. Somebody else's folder and the root folder, nobody can.
ACCEPTABLE = frozenset(
    hold.value for hold in Hold if hold not in {Hold.OTHER, Hold.ROOT, Hold.UNREADABLE, Hold.SOURCE_MISSING}
)


class BackupRunQuerySet(models.QuerySet["BackupRun"]):
    """Queries over runs."""

    def visible_to(self, user: "User") -> "BackupRunQuerySet":
        """Those of the backups that the user may see."""
        return self.filter(backup__in=Backup.objects.visible_to(user).values("pk"))

    def open(self) -> "BackupRunQuerySet":
        """Those that wait or run."""
        return self.filter(state__in=OPEN)


def _name() -> str:
    return secrets.token_hex(8)


class BackupRun(models.Model):
    """One run of one backup. Figures are of the whole source, in bytes and files, and None until they are known."""

    backup = models.ForeignKey(Backup, on_delete=models.CASCADE, related_name="runs")
    # Its folder and its unit on the backup server: never the same twice, whatever becomes of our database.
    name = models.CharField(max_length=32, unique=True, default=_name, editable=False)
    why = models.CharField(max_length=10, choices=Why, default=Why.HAND)
    asked_by = models.CharField(max_length=120, blank=True)
    owner = models.ForeignKey(
        settings.AUTH_USER_MODEL, null=True, on_delete=models.SET_NULL, related_name="+"
    )
    askers = models.JSONField(default=list)  # all who asked for it while it waited, as Actor.asker
    asked_at = models.DateTimeField(default=timezone.now)
    levels = models.JSONField(default=list)  # to rotate, the highest first; the lowest one copies as well
    accepts = models.JSONField(default=list)  # holds that a person said to pass
    state = models.CharField(max_length=10, choices=RunState, default=RunState.WAITING)
    started_at = models.DateTimeField(null=True)
    ended_at = models.DateTimeField(null=True)
    begun = models.BooleanField(default=False)  # the backup server has it
    away_since = models.DateTimeField(null=True)  # the backup server cannot be asked
    attempt = models.PositiveSmallIntegerField(default=1)  # how often it was tried with this one
    again_at = models.DateTimeField(null=True)  # it failed for a reason that may pass: tried again then
    stop_asked_at = models.DateTimeField(null=True)
    stop_asked_by = models.CharField(max_length=120, blank=True)
    job = models.ForeignKey("jobs.Job", null=True, on_delete=models.SET_NULL, related_name="+")
    live = models.JSONField(default=dict)  # while it runs: phase, percent, rate, left, bytes
    rotated = models.JSONField(default=list)  # levels
    code = models.CharField(max_length=30, blank=True)  # why it ended so, as the runner calls it; a Hold
    error = models.TextField(blank=True)
    exit_code = models.IntegerField(null=True)  # of rsync
    files = models.PositiveBigIntegerField(null=True)
    files_transferred = models.PositiveBigIntegerField(null=True)
    bytes = models.PositiveBigIntegerField(null=True)
    bytes_transferred = models.PositiveBigIntegerField(null=True)
    grown_bytes = models.BigIntegerField(null=True)  # of the destination's disk, while it copied
    grown_inodes = models.BigIntegerField(null=True)
    free_bytes = models.PositiveBigIntegerField(null=True)  # there, before
    free_inodes = models.PositiveBigIntegerField(null=True)
    output = models.TextField(blank=True)  # the end of what rsnapshot and rsync said

    objects = BackupRunQuerySet.as_manager()

    class Meta:
        ordering = ["-asked_at", "-pk"]
        constraints = [
            models.UniqueConstraint(
                fields=["backup"], condition=Q(state="running"), name="one_running_run_a_backup"
            ),
            models.UniqueConstraint(
                fields=["backup"], condition=Q(state="waiting"), name="one_waiting_run_a_backup"
            ),
        ]
        indexes = [models.Index(fields=["backup", "-ended_at"], name="last_run_of_a_backup")]

    def __str__(self) -> str:
        return str(self.backup)

    def get_absolute_url(self) -> str:
        """The run's page."""
        return reverse("backups:run", args=[self.pk])

    @property
    def ended(self) -> bool:
        """Whether it came to an end."""
        return self.state not in OPEN

    @property
    def copies(self) -> bool:
        """Whether it copies, and does not only rotate."""
        return self.backup.lowest.value in self.levels

    @property
    def took(self) -> str:
        """How long it ran or has run, in words; empty before it began."""
        if self.started_at is None:
            return ""
        return seconds_said(((self.ended_at or timezone.now()) - self.started_at).total_seconds())

    @property
    def again_words(self) -> str:
        """That it is tried again, when, and how often yet; empty if it is not."""
        if self.again_at is None:
            return ""
        at = timezone.localtime(self.again_at)
        words = {"at": f"{at:%H:%M}", "number": self.attempt + 1, "all": MOST_TRIES}
        return gettext("It is tried again at %(at)s (%(number)d of %(all)d).") % words

    @property
    def can_accept(self) -> bool:
        """Whether a person may let it pass as it was found."""
        return self.state == RunState.HELD and self.code in ACCEPTABLE

    @property
    def accepted(self) -> list[str]:
        """What a person said to pass, in words."""
        return [str(Hold(code).label) for code in self.accepts if code in Hold.values]

    @property
    def hold(self) -> str:
        """What the guard found, in words for people."""
        return str(Hold(self.code).label) if self.code in Hold.values else ""


class BackupState(models.Model):
    """What is remembered of a backup from run to run. Running, changing and watching write it."""

    backup = models.OneToOneField(Backup, on_delete=models.CASCADE, related_name="state")
    last = models.ForeignKey(BackupRun, null=True, on_delete=models.SET_NULL, related_name="+")
    good_at = models.DateTimeField(null=True)  # the end of the last run that was done
    # Of that run: what the next one is compared with.
    good_files = models.PositiveBigIntegerField(null=True)
    good_bytes = models.PositiveBigIntegerField(null=True)
    rotated = models.JSONField(default=dict)  # level: when a run that rotated it began, as ISO text
    copies = models.JSONField(default=list)  # [name, seconds since 1970], as they were after the last run
    # Mount point, type and identity of the file systems, as backup-run writes them.
    destination_place = models.TextField(blank=True)
    source_place = models.TextField(blank=True)
    # Of its copies: what was copied until a change of the backup, the oldest first, and when those were made that lack
    # what their run could not read; see earlier.
    earlier = models.JSONField(default=list)
    incomplete = models.JSONField(default=list)
    # Since when people know that it is late; see watching_stale.
    stale_since = models.DateTimeField(null=True)

    def __str__(self) -> str:
        return str(self.backup)

    def copied_then(self, at: int) -> dict[str, Any] | None:
        """What the copy of this time is of, where the backup was changed since; else nothing."""
        return next((entry["copied"] for entry in self.earlier if at <= entry["until"]), None)


def facts_of(run: BackupRun) -> dict[str, Any]:
    """The run in plain values, for programs and the audit trail."""
    names = (
        *(
            "why",
            "attempt",
            "again_at",
            "asked_by",
            "asked_at",
            "levels",
            "accepts",
            "state",
            "started_at",
            "ended_at",
            "rotated",
        ),
        *("code", "error", "exit_code", "files", "files_transferred", "bytes", "bytes_transferred"),
        *("grown_bytes", "free_bytes", "free_inodes"),
    )
    return {"backup": run.backup_id, **{name: getattr(run, name) for name in names}}
