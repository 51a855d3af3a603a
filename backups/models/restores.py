"""What is done with a copy: its folders as they were read, restores from it, verifications of it."""

import secrets
from typing import TYPE_CHECKING, Any

from django.conf import settings
from django.db import models
from django.db.models import Q
from django.urls import reverse
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from backups.inside_copies import path_of, shown
from backups.models.plans import Backup
from jobs.models import seconds_said
from servers.models import Server

if TYPE_CHECKING:
    from accounts.models import User


def _name() -> str:
    return secrets.token_hex(8)


class CopyFolder(models.Model):
    """A folder of a copy as it was read last. Copies do not change, so it stays true as long as the copy is there."""

    backup = models.ForeignKey(Backup, on_delete=models.CASCADE, related_name="folders_read")
    at = (
        models.PositiveBigIntegerField()
    )  # when the copy was made, in seconds since 1970: names of copies move on
    path = models.TextField(blank=True)  # as inside_copies.token_of
    read_at = models.DateTimeField(null=True)  # None while it is being read
    error = models.TextField(blank=True)
    total = models.PositiveIntegerField(default=0)  # all that is in it; `entries` has only so many
    entries = models.JSONField(default=list)
    job = models.ForeignKey("jobs.Job", null=True, on_delete=models.SET_NULL, related_name="+")

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["backup", "at", "path"], name="a_folder_of_a_copy_once")
        ]

    def __str__(self) -> str:
        return f"{self.backup} {self.at} {shown(path_of(self.path))}"


class TaskState(models.TextChoices):
    """What a restore or a verification is at."""

    LOOKING = "looking", _("comparing")
    READY = "ready", _("waits for your word")
    RUNNING = "running", _("running")
    DONE = "done", _("done")
    INCOMPLETE = "incomplete", _("incomplete")
    FAILED = "failed", _("failed")
    STOPPED = "stopped", _("stopped")
    LOST = "lost", _("lost")


AT_WORK = (TaskState.LOOKING, TaskState.RUNNING)


class CopyTask(models.Model):
    """What restores and verifications share: work on the backup server that a job follows."""

    # Its folder and its unit on the backup server; a restore's preview has another.
    name = models.CharField(max_length=32, unique=True, default=_name, editable=False)
    at = models.PositiveBigIntegerField()  # the copy, as CopyFolder.at
    copy = models.CharField(max_length=40)  # its name when it was asked for
    asked_by = models.CharField(max_length=120, blank=True)
    owner = models.ForeignKey(
        settings.AUTH_USER_MODEL, null=True, on_delete=models.SET_NULL, related_name="+"
    )
    askers = models.JSONField(default=list)  # who asked for it, as Actor.asker
    asked_at = models.DateTimeField(default=timezone.now)
    state = models.CharField(max_length=10, choices=TaskState, default=TaskState.RUNNING)
    started_at = models.DateTimeField(null=True)
    ended_at = models.DateTimeField(null=True)
    begun = models.BooleanField(default=False)  # the backup server has it
    away_since = models.DateTimeField(null=True)
    stop_asked_at = models.DateTimeField(null=True)
    stop_asked_by = models.CharField(max_length=120, blank=True)
    job = models.ForeignKey("jobs.Job", null=True, on_delete=models.SET_NULL, related_name="+")
    live = models.JSONField(default=dict)
    code = models.CharField(max_length=30, blank=True)
    error = models.TextField(blank=True)
    figures = models.JSONField(default=dict)  # numbers of the end, by the runner's names
    output = models.TextField(blank=True)

    class Meta:
        abstract = True
        ordering = ["-asked_at", "-pk"]

    @property
    def at_work(self) -> bool:
        """Whether something is at work on the backup server."""
        return self.state in AT_WORK

    @property
    def took(self) -> str:
        """How long it ran or has run, in words; empty before it began."""
        if self.started_at is None:
            return ""
        return seconds_said(((self.ended_at or timezone.now()) - self.started_at).total_seconds())


class RestoreQuerySet(models.QuerySet["Restore"]):
    """Queries over restores."""

    def visible_to(self, user: "User") -> "RestoreQuerySet":
        """Those of the backups that the user may see, to servers that he may operate."""
        targets = Server.objects.visible_to(user).values("pk")
        return self.filter(backup__in=Backup.objects.visible_to(user).values("pk"), target__in=targets)


class Restore(CopyTask):
    """A file, a folder or all of a copy, brought to a server; first it says what that would change."""

    backup = models.ForeignKey(Backup, on_delete=models.CASCADE, related_name="restores")
    path = models.TextField(blank=True)  # what is restored, as inside_copies.token_of; empty: all
    target = models.ForeignKey(Server, on_delete=models.CASCADE, related_name="restores_to")
    # Empty: to where it was. Else the folder into which it comes.
    folder = models.CharField(max_length=1000, blank=True)
    checksum = models.BooleanField(default=True)
    delete_extra = models.BooleanField(default=False)
    looked_at = models.DateTimeField(null=True)
    changes = models.JSONField(default=list)  # the first of them: [what rsync says, name for people]
    counts = models.JSONField(default=dict)  # of the preview: new, changed, deleted, attributes
    there = models.BooleanField(default=False)  # something lies at the target already

    objects = RestoreQuerySet.as_manager()

    class Meta(CopyTask.Meta):
        constraints = [
            models.UniqueConstraint(
                fields=["target"], condition=Q(state="running"), name="one_restore_a_target"
            )
        ]

    def __str__(self) -> str:
        return f"{self.backup} {shown(path_of(self.path)) or '/'}"

    def get_absolute_url(self) -> str:
        """Its page."""
        return reverse("backups:restore", args=[self.pk])

    @property
    def what(self) -> str:
        """What is restored, for people."""
        return shown(path_of(self.path))

    @property
    def where(self) -> str:
        """The folder into which it comes, for people."""
        return shown(target_folder(self))

    @property
    def overwrites(self) -> bool:
        """Whether something at the target may be written over or deleted."""
        return self.there or bool(self.counts.get("changed") or self.counts.get("deleted"))


class Verification(CopyTask):
    """A test restore of a copy into a scratch folder, compared by checksum."""

    backup = models.ForeignKey(Backup, on_delete=models.CASCADE, related_name="verifications")

    class Meta(CopyTask.Meta):
        constraints = [
            models.UniqueConstraint(
                fields=["backup"], condition=Q(state="running"), name="one_verification_a_backup"
            )
        ]

    def __str__(self) -> str:
        return str(self.backup)

    def get_absolute_url(self) -> str:
        """Its page."""
        return reverse("backups:verification", args=[self.pk])


def target_folder(restore: Restore) -> bytes:
    """The folder at the target into which the item comes."""
    if restore.folder:
        return restore.folder.encode()
    parent = path_of(restore.path).rpartition(b"/")[0]
    whole = origin_of(restore).encode().rstrip(b"/")
    return whole + b"/" + parent if parent else whole or b"/"


def origin_of(restore: Restore) -> str:
    """The folder that its copy is of: the backup may have been given another one since, also meanwhile."""
    state = getattr(restore.backup, "state", None) if restore.at else None
    then = state.copied_then(restore.at) if state else None
    return str(then["folder"]) if then else restore.backup.source_folder


def facts_of_task(task: CopyTask) -> dict[str, Any]:
    """A restore or a verification in plain values, for programs."""
    names = (
        "at",
        "copy",
        "asked_by",
        "asked_at",
        "state",
        "started_at",
        "ended_at",
        "code",
        "error",
        "figures",
    )
    return {name: getattr(task, name) for name in names}
