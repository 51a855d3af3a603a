"""The repositories of GIT_REPOS ⚓: each with its secret, the calls that were accepted, and its pulls."""

from django.db import models
from django.urls import reverse
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from accounts.fields import EncryptedTextField
from accounts.shared_secrets import fresh_secret


class Repository(models.Model):
    """A repository that a git host may have pulled. Its folder is in the settings, its secret here."""

    key = models.CharField(max_length=60, unique=True)
    secret = EncryptedTextField(default=fresh_secret)
    branch = models.CharField(
        _("branch"),
        max_length=200,
        blank=True,
        help_text=_("Only pushes to it count. Empty: the branch that is checked out."),
    )

    class Meta:
        ordering = ["key"]

    def __str__(self) -> str:
        return self.key

    def get_absolute_url(self) -> str:
        """The repository's page."""
        return reverse("githooks:repository", args=[self.key])


class Call(models.Model):
    """An accepted call. `digest` of its body is unique, so that it cannot be sent again by somebody who saw it."""

    repository = models.ForeignKey(Repository, on_delete=models.CASCADE, related_name="calls")
    digest = models.CharField(max_length=64)
    at = models.DateTimeField(default=timezone.now, db_index=True)
    address = models.GenericIPAddressField(null=True)
    sender = models.CharField(max_length=20)
    event = models.CharField(max_length=60)
    ref = models.CharField(max_length=250, blank=True)

    class Meta:
        ordering = ["-at", "-pk"]
        constraints = [
            models.UniqueConstraint(fields=["repository", "digest"], name="call_once_a_repository")
        ]

    def __str__(self) -> str:
        return f"{self.sender} {self.event} {self.ref}"


class Pull(models.Model):
    """What one pull changed."""

    repository = models.ForeignKey(Repository, on_delete=models.CASCADE, related_name="pulls")
    at = models.DateTimeField(default=timezone.now)
    asked_by = models.CharField(max_length=120)
    before = models.CharField(max_length=64)
    after = models.CharField(max_length=64)
    error = models.TextField(blank=True)

    class Meta:
        ordering = ["-at", "-pk"]

    def __str__(self) -> str:
        return f"{self.repository}: {self.before[:10]} → {self.after[:10]}"

    @property
    def changed(self) -> bool:
        """Whether it brought anything."""
        return not self.error and self.before != self.after
