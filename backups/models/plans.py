"""Backups: what is copied from where to where, how many copies are kept, and the data that deleted ones left."""

import uuid
from collections.abc import Collection
from datetime import timedelta
from typing import TYPE_CHECKING

from django.core.serializers.json import DjangoJSONEncoder
from django.core.validators import MaxValueValidator, MinValueValidator
from django.db import models
from django.db.models import Q
from django.urls import reverse
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from accounts.permissions import narrowed
from backups.folders import RUNNING_SYSTEM, excluded, validate_destination, validate_excludes, validate_source
from servers.models import Server
from servers.validators import normal_folder, validate_text

if TYPE_CHECKING:
    from accounts.models import User
    from backups.models.runs import BackupRun

MOST_KEPT = 400
RECENT_RUNS = 8  # on the page of a backup


class Level(models.TextChoices):
    """The levels of copies, as rsnapshot and `backup_cron` name them; the lowest first."""

    HOURLY = "hourly", _("hourly")
    DAILY = "daily", _("daily")
    WEEKLY = "weekly", _("weekly")
    MONTHLY = "monthly", _("monthly")

    @property
    def every(self) -> timedelta:
        """The longest time between two copies of this level; "hourly" is every four hours."""
        return _EVERY[self.value]


_EVERY = {
    "hourly": timedelta(hours=4),
    "daily": timedelta(days=1),
    "weekly": timedelta(weeks=1),
    "monthly": timedelta(days=31),
}


class VerifyEvery(models.TextChoices):
    """How often a backup's newest copy is restored for a test."""

    OFF = "off", _("only by hand")
    WEEKLY = "weekly", _("every week")
    MONTHLY = "monthly", _("every month")

    @property
    def every(self) -> timedelta | None:
        """The time between two; None: never by itself."""
        return _EVERY.get(self.value)


class BackupQuerySet(models.QuerySet["Backup"]):
    """Queries over backups."""

    def visible_to(self, user: "User") -> "BackupQuerySet":
        """All for an admin; for an owner those of his own servers.

        Who owns only the backup server learns how many copies of others lie there, not of whom, nor what is in them.
        """
        return narrowed(self, user, lambda owner: Q(source__in=Server.objects.visible_to(owner).values("pk")))


class Backup(models.Model):
    """One folder of a server that the backup server copies into a folder of its own, again and again."""

    # Names its files on the backup server, and is what the marker in the destination folder says.
    uuid = models.UUIDField(default=uuid.uuid4, unique=True, editable=False)
    source = models.ForeignKey(
        Server, verbose_name=_("server"), on_delete=models.PROTECT, related_name="backups_from"
    )
    source_folder = models.CharField(
        _("folder"),
        max_length=1000,
        default="/",
        validators=[validate_source],
        help_text=_("What is copied, such as / or /srv."),
    )
    destination = models.ForeignKey(
        Server, verbose_name=_("backup server"), on_delete=models.PROTECT, related_name="backups_to"
    )
    destination_folder = models.CharField(
        _("folder there"),
        max_length=1000,
        validators=[validate_destination],
        help_text=_("A folder for this backup alone. It is made if it is not there."),
    )
    exclude_proc_sys = models.BooleanField(
        _("leave out /proc, /sys, /dev and /run"),
        default=True,
        help_text=_("Of a whole server: what is there only while it runs. It says nothing of other folders."),
    )
    excludes = models.TextField(
        _("leave out"),
        blank=True,
        max_length=10_000,
        validators=[validate_excludes],
        help_text=_(
            "Folders and files with commas between them, seen from the folder that is copied: for the copy of /, "
            "/the/game; for the copy of /the, /game. * and ? stand for other characters; write ? for a comma in a name."
        ),
    )
    one_file_system = models.BooleanField(
        _("stay on one file system"),
        default=False,
        help_text=_("Other disks and mounted shares below the folder are left out."),
    )
    as_root = models.BooleanField(
        _("read as root, by sudo"),
        default=False,
        help_text=_(
            "Where the backup server logs in as another user than root: that user is given a line for sudo there, "
            "by which this folder alone can be read, and nothing be written. Without it, only what that user may "
            "read is copied."
        ),
    )
    active = models.BooleanField(
        _("active"), default=True, help_text=_("Switched off, it runs only by hand, and keeps its copies.")
    )
    keep_hourly = models.PositiveIntegerField(
        _("copies of every four hours"), default=6, validators=[MaxValueValidator(MOST_KEPT)]
    )
    keep_daily = models.PositiveIntegerField(
        _("daily copies"), default=7, validators=[MaxValueValidator(MOST_KEPT)]
    )
    keep_weekly = models.PositiveIntegerField(
        _("weekly copies"), default=4, validators=[MaxValueValidator(MOST_KEPT)]
    )
    keep_monthly = models.PositiveIntegerField(
        _("monthly copies"), default=3, validators=[MaxValueValidator(MOST_KEPT)]
    )
    shrink_limit = models.PositiveIntegerField(
        _("may shrink by (percent)"),
        default=50,
        validators=[MinValueValidator(1), MaxValueValidator(100)],
        help_text=_(
            "When the folder has lost more of its files or bytes than this, the run is held before any copy is "
            "given up. 100: never."
        ),
    )
    verify = models.CharField(
        _("verified"),
        max_length=10,
        choices=VerifyEvery,
        default=VerifyEvery.MONTHLY,
        help_text=_("How often the newest copy is restored into a scratch folder and compared."),
    )
    note = models.CharField(_("note"), max_length=200, blank=True, validators=[validate_text])
    created_at = models.DateTimeField(default=timezone.now, editable=False)
    # Grows with every change by a person, so that two admins do not overwrite each other unknowingly.
    version = models.PositiveBigIntegerField(default=1, editable=False)
    # What was found when somebody last tried the way to the source: see backups.trying.
    tried = models.JSONField(null=True, editable=False)
    tried_at = models.DateTimeField(null=True, editable=False)

    objects = BackupQuerySet.as_manager()

    class Meta:
        ordering = ["source__name", "source_folder", "pk"]
        verbose_name = _("backup")
        verbose_name_plural = _("backups")
        constraints = [
            models.UniqueConstraint(
                fields=["destination", "destination_folder"], name="one_backup_a_destination"
            ),
            models.CheckConstraint(
                condition=Q(source_folder__startswith="/") & Q(destination_folder__startswith="/")
                & ~Q(destination_folder="/"),
                name="backup_folders_are_absolute",
            ),
            models.CheckConstraint(
                condition=Q(keep_hourly__gt=0) | Q(keep_daily__gt=0) | Q(keep_weekly__gt=0)
                | Q(keep_monthly__gt=0),
                name="a_backup_keeps_something",
            ),
            models.CheckConstraint(
                condition=Q(shrink_limit__gte=1, shrink_limit__lte=100), name="shrink_limit_is_percent"
            ),
        ]  # fmt: skip

    def __str__(self) -> str:
        return f"{self.source}:{self.source_folder}"

    def get_absolute_url(self) -> str:
        """The backup's page."""
        return reverse("backups:backup", args=[self.pk])

    def clean_fields(self, exclude: Collection[str] | None = None) -> None:
        """Bring what was typed into its one form, then check each field."""
        self.source_folder = normal_folder(self.source_folder)
        self.destination_folder = normal_folder(self.destination_folder)
        self.excludes = ", ".join(dict.fromkeys(excluded(self.excludes)))
        super().clean_fields(exclude)

    @property
    def keeps(self) -> dict[Level, int]:
        """How many copies of each level are kept; levels of which none is kept are left out."""
        counts = {level: getattr(self, f"keep_{level.value}") for level in Level}
        return {level: count for level, count in counts.items() if count}

    @property
    def kept(self) -> list[tuple[Level, int]]:
        """The same as pairs, for pages."""
        return list(self.keeps.items())

    @property
    def left_out(self) -> list[str]:
        """What is left out, seen from the source folder."""
        return [*(RUNNING_SYSTEM if self.leaves_out_system else ()), *excluded(self.excludes)]

    @property
    def leaves_out_system(self) -> bool:
        """Whether it leaves out what is there only while the server runs; only the copy of a whole server has that."""
        return self.exclude_proc_sys and self.source_folder == "/"

    @property
    def verify_every(self) -> timedelta | None:
        """The time between two verifications; None: only by hand."""
        return VerifyEvery(self.verify).every

    @property
    def recent_runs(self) -> "list[BackupRun]":
        """The last few runs, the newest first."""
        return list(self.runs.select_related("job").defer("output")[:RECENT_RUNS])

    def may_have_copies(self) -> bool:
        """Whether a run of it has ever begun, so that something may lie in its folder."""
        return hasattr(self, "state") or self.runs.filter(started_at__isnull=False).exists()

    @property
    def lowest(self) -> Level:
        """The level into which a new copy goes; the others are fed from the one below."""
        return next(iter(self.keeps))


class LeftData(models.Model):
    """The copies that a deleted backup left on its backup server, until somebody has them deleted, too."""

    uuid = models.UUIDField(unique=True)
    destination = models.ForeignKey(Server, on_delete=models.CASCADE, related_name="left_backups")
    folder = models.CharField(max_length=1000)
    of = models.CharField(max_length=1300)  # the deleted backup, as "web1:/srv"
    settings = models.JSONField(default=dict)  # its fields, to take it up again
    remembered = models.JSONField(default=dict, encoder=DjangoJSONEncoder)  # what its runs knew of the copies
    left_at = models.DateTimeField(default=timezone.now)
    left_by = models.CharField(max_length=120, blank=True)

    class Meta:
        ordering = ["-left_at"]
        constraints = [
            models.CheckConstraint(
                condition=~Q(folder="/") & Q(folder__startswith="/"), name="left_is_no_root"
            )
        ]

    def __str__(self) -> str:
        return f"{self.destination}:{self.folder}"

    def get_absolute_url(self) -> str:
        """Where it is shown."""
        return reverse("backups:left", args=[self.pk])
