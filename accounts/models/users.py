"""Panel users."""

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
    # How many links that set a password this person was sent, of each kind: only the last one of a kind counts.
    resets_sent = models.PositiveIntegerField(default=0, editable=False)
    invites_sent = models.PositiveIntegerField(default=0, editable=False)
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

    def save(self, *args: Any, **kwargs: Any) -> None:
        """API tokens end with a new password on any way, such as `manage.py changepassword`."""
        new_password = self.pk is not None and getattr(self, "_password", None) is not None
        super().save(*args, **kwargs)
        if new_password:
            self.api_tokens.all().delete()

    @property
    def initials(self) -> str:
        """One or two letters for the picture that stands for this person."""
        words = str(self).replace(".", " ").replace("_", " ").split()
        return "".join(word[0] for word in (words[:1] + words[1:][-1:])).upper()

    def get_absolute_url(self) -> str:
        """The page about this user."""
        return reverse("accounts:user", args=[self.pk])
