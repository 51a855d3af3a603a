"""Shares: a folder of a Samba server, with a user and a password of its own."""

import uuid
from typing import TYPE_CHECKING

from django.db import models
from django.db.models import Q
from django.urls import reverse
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from samba.names import (
    BAD_COMMENT,
    BAD_FOLDER,
    BAD_NAME,
    LONGEST_NAME,
    LONGEST_USER,
    PREFIX,
    RESERVED,
    validate_comment,
    validate_share_folder,
    validate_share_name,
)
from servers.models import Server

if TYPE_CHECKING:
    from accounts.models import User

_RESERVED = "^({})$".format("|".join(name.replace("$", r"\$") for name in RESERVED))


class ShareQuerySet(models.QuerySet["Share"]):
    """Queries over shares."""

    def visible_to(self, user: "User") -> "ShareQuerySet":
        """All for an admin; for an owner those of his servers."""
        if user.is_admin:
            return self
        return self.filter(server__in=Server.objects.visible_to(user).values("pk"))


class Share(models.Model):
    """A folder that one user with one password reaches over the network.

    The name is what clients see. Server, user and folder stay what they were when it was made, also when the name
    changes: the data and the unix user hang on them.
    """

    # What the password is computed from: a share made anew under an old name has another password.
    uuid = models.UUIDField(default=uuid.uuid4, unique=True, editable=False)
    server = models.ForeignKey(
        Server, verbose_name=_("server"), on_delete=models.CASCADE, related_name="shares"
    )
    name = models.CharField(
        _("name"),
        max_length=LONGEST_NAME,
        validators=[validate_share_name],
        help_text=_(
            "What people see on the network, such as photos or Fotos José; with $ at its end it is hidden."
        ),
    )
    # SAMBA_USER_PREFIX and the name it was made with, as far as Linux takes that: see samba.names.free_user. A prefix
    # that is set later counts for shares made later.
    user = models.CharField(_("user"), max_length=LONGEST_USER, editable=False)
    folder = models.CharField(
        _("folder"),
        max_length=500,
        validators=[validate_share_folder],
        help_text=_("Inside the server's base folder. Empty: the share's name."),
    )
    adopt = models.BooleanField(
        _("take over a folder that is there"),
        default=False,
        help_text=_(
            "All in it is given to the share's user, but files with a second name (hard link), devices, and what is "
            "mounted there. The server records whose it was, so that it can be given back when the share is deleted. "
            "Without this, only a new folder is made."
        ),
    )
    read_only = models.BooleanField(
        _("read-only"), default=False, help_text=_("Nothing can be written over the network.")
    )
    comment = models.CharField(
        _("comment"),
        max_length=100,
        blank=True,
        validators=[validate_comment],
        help_text=_("Shown beside the share's name on the network."),
    )
    active = models.BooleanField(
        _("active"), default=True, help_text=_("Switched off, nobody gets in; folder and password stay.")
    )
    # Grows each time the share gets a new password.
    password_number = models.PositiveIntegerField(default=1, editable=False)
    # By which SAMBA_SECRET_KEY its password was computed: see samba.passwords.secret_mark.
    secret_mark = models.CharField(max_length=16, editable=False)
    # What the server has on record of who owned its folder before: how many things, and since when; nothing: no record.
    given_things = models.PositiveBigIntegerField(null=True, editable=False)
    given_at = models.DateTimeField(null=True, editable=False)
    created_at = models.DateTimeField(default=timezone.now, editable=False)
    # Grows with every change, so that two people do not overwrite each other unknowingly.
    version = models.PositiveBigIntegerField(default=1, editable=False)

    objects = ShareQuerySet.as_manager()

    class Meta:
        ordering = ["server__name", "name"]
        verbose_name = _("share")
        verbose_name_plural = _("shares")
        constraints = [
            models.UniqueConstraint(fields=["server", "name"], name="share_once_a_server"),
            models.UniqueConstraint(fields=["server", "user"], name="one_user_a_share"),
            models.UniqueConstraint(fields=["server", "folder"], name="one_share_a_folder"),
            models.CheckConstraint(
                condition=~Q(name__regex=BAD_NAME) & ~Q(name="") & ~Q(name__iregex=_RESERVED),
                name="share_name_is_plain",
            ),
            models.CheckConstraint(condition=~Q(folder__regex=BAD_FOLDER), name="share_folder_is_inside"),
            models.CheckConstraint(
                condition=Q(user__regex=f"^{PREFIX}$") & ~Q(user__contains="\n"), name="share_user_is_plain"
            ),
            models.CheckConstraint(condition=~Q(comment__regex=BAD_COMMENT), name="share_comment_is_a_line"),
        ]

    def __str__(self) -> str:
        return f"{self.name} on {self.server}"

    def get_absolute_url(self) -> str:
        """The share's page."""
        return reverse("samba:share", args=[self.pk])

    @property
    def path(self) -> str:
        """Where its folder is on the server."""
        return f"{self.server.samba_base_folder}/{self.folder}"
