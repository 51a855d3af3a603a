"""API tokens, and what they were used for last."""

import hashlib
import secrets

from django.db import models
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from accounts.models.users import User

PREFIX = "gst_"  # by which one is known where it does not belong


class ApiToken(models.Model):
    """A program's way in, as its user, as far as its scopes go: `Authorization: Bearer …`. Only a hash is kept.

    What a scope opens stands in `accounts.token_scopes`. A token's scopes are never changed.
    """

    user = models.ForeignKey(User, on_delete=models.CASCADE, related_name="api_tokens")
    name = models.CharField(
        _("name"), max_length=80, help_text=_("What uses it, so that you can find it again.")
    )
    digest = models.CharField(max_length=64, unique=True, editable=False)
    scopes = models.JSONField(default=list, editable=False)
    created_at = models.DateTimeField(default=timezone.now, editable=False)
    last_used_at = models.DateTimeField(null=True, editable=False)
    expires_at = models.DateTimeField(_("ends"), null=True, blank=True)

    class Meta:
        ordering = ["name"]
        constraints = [models.UniqueConstraint(fields=["user", "name"], name="token_name_once_a_user")]

    def __str__(self) -> str:
        return self.name

    @property
    def expired(self) -> bool:
        """Whether it has ended."""
        return self.expires_at is not None and self.expires_at <= timezone.now()

    @staticmethod
    def digest_of(token: str) -> str:
        """What is kept of a token. It has 256 random bits, so a fast hash is enough."""
        return hashlib.sha256(token.encode()).hexdigest()

    @staticmethod
    def fresh() -> str:
        """A new token's text."""
        return f"{PREFIX}{secrets.token_urlsafe(32)}"


class UseKind(models.TextChoices):
    """What a use came to."""

    READ = "read", _("read")
    CHANGED = "changed", _("changed")
    REFUSED = "refused", _("refused")


class TokenUse(models.Model):
    """What a token was used for: the same request from the same place within a minute is one row."""

    token = models.ForeignKey(ApiToken, on_delete=models.CASCADE, related_name="uses")
    at = models.DateTimeField(default=timezone.now)
    kind = models.CharField(max_length=10, choices=UseKind.choices)
    address = models.GenericIPAddressField(null=True)
    method = models.CharField(max_length=10)
    path = models.CharField(max_length=200)
    status = models.PositiveSmallIntegerField()

    class Meta:
        ordering = ["-at", "-pk"]
        indexes = [models.Index(fields=["token", "kind", "-at"], name="uses_of_token")]

    def __str__(self) -> str:
        return f"{self.method} {self.path}: {self.status}"
