"""Panel users and their API tokens."""

import hashlib
import secrets
from typing import Any, ClassVar

from django.contrib.auth.base_user import AbstractBaseUser, BaseUserManager
from django.contrib.auth.validators import UnicodeUsernameValidator
from django.db import models
from django.urls import reverse
from django.utils import timezone
from django.utils.translation import gettext_lazy as _


class UserManager(BaseUserManager["User"]):
    """Makes users the way Django's commands expect it."""

    def create_user(self, username: str, password: str | None = None, **fields: Any) -> "User":
        """A user who may sign in when a password is given."""
        user = self.model(username=self.model.normalize_username(username), **fields)
        user.set_password(password)
        user.save()
        return user

    def create_superuser(self, username: str, password: str | None = None, **fields: Any) -> "User":
        """An admin."""
        return self.create_user(username, password, **{**fields, "is_admin": True})


class User(AbstractBaseUser):
    """A person with an account. An admin uses the whole panel; anyone manages his own keys and profile."""

    username = models.CharField(
        _("user name"),
        max_length=64,
        unique=True,
        validators=[UnicodeUsernameValidator()],
        error_messages={"unique": _("There is a user with this name already.")},
    )
    full_name = models.CharField(_("full name"), max_length=120, blank=True)
    email = models.EmailField(_("e-mail"), blank=True)
    is_admin = models.BooleanField(
        _("admin"), default=False, help_text=_("May use the whole panel. Others see only what is their own.")
    )
    is_active = models.BooleanField(
        _("active"), default=True, help_text=_("Without this, no sign-in, and no key of this person counts.")
    )
    time_zone = models.CharField(_("time zone"), max_length=64, blank=True)
    date_joined = models.DateTimeField(_("since"), default=timezone.now, editable=False)

    USERNAME_FIELD = "username"
    REQUIRED_FIELDS: ClassVar[list[str]] = []
    EMAIL_FIELD = "email"
    objects = UserManager()

    class Meta:
        ordering = ["username"]
        verbose_name = _("user")
        verbose_name_plural = _("users")

    def __str__(self) -> str:
        return self.full_name or self.username

    @property
    def initials(self) -> str:
        """One or two letters for the picture that stands for this person."""
        words = str(self).replace(".", " ").replace("_", " ").split()
        return "".join(word[0] for word in (words[:1] + words[1:][-1:])).upper()

    def get_absolute_url(self) -> str:
        """The page about this user."""
        return reverse("accounts:user", args=[self.pk])


class ApiToken(models.Model):
    """A program's way in, as its user: `Authorization: Bearer …`. Only a hash is kept."""

    user = models.ForeignKey(User, on_delete=models.CASCADE, related_name="api_tokens")
    name = models.CharField(
        _("name"), max_length=80, help_text=_("What uses it, so that you can find it again.")
    )
    digest = models.CharField(max_length=64, unique=True, editable=False)
    created_at = models.DateTimeField(default=timezone.now, editable=False)
    last_used_at = models.DateTimeField(null=True, editable=False)
    expires_at = models.DateTimeField(_("expires"), null=True, blank=True)

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
        return f"gst_{secrets.token_urlsafe(32)}"
