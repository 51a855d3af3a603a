"""SSH keys of people and servers, groups, and what each server fetched."""

from typing import TYPE_CHECKING, Any

from django.conf import settings
from django.core.validators import MaxValueValidator
from django.db import models
from django.db.models import Q
from django.urls import reverse
from django.utils import timezone
from django.utils.formats import date_format
from django.utils.translation import gettext_lazy as _

from accounts.fields import EncryptedTextField
from jobs.models import Job
from keymanager.key_options import Limits, is_sent, limits_of
from keymanager.lines import RSA_MOST_BITS
from keymanager.look_models import FoundLine, KeyLook  # noqa: F401 - so that Django knows them
from keymanager.openssh import RSA_GOOD_BITS
from servers.models import Server, UnixUser

if TYPE_CHECKING:
    from accounts.models import User


class KeyQuerySet(models.QuerySet["Key"]):
    """Queries over keys."""

    def opening(self) -> "KeyQuerySet":
        """Those with which one gets a shell now, from anywhere."""
        unread = Q(
            type="ssh-rsa", bits__gt=RSA_MOST_BITS
        )  # of an older version, whose `opens_shell` says otherwise
        return self.filter(Q(ends_at=None) | Q(ends_at__gt=timezone.now()), ~unread, opens_shell=True)


class Key(models.Model):
    """A public SSH key: a person's, or that of a server's unix user."""

    person = models.ForeignKey(
        settings.AUTH_USER_MODEL, null=True, blank=True, on_delete=models.CASCADE, related_name="ssh_keys"
    )
    unix_user = models.ForeignKey(
        UnixUser, null=True, blank=True, on_delete=models.CASCADE, related_name="ssh_keys"
    )
    options = models.TextField(_("options"), blank=True)  # as in sshd(8), AUTHORIZED_KEYS FILE FORMAT
    type = models.CharField(max_length=60)
    blob = models.TextField()  # base64
    comment = models.CharField(_("comment"), max_length=255, blank=True)
    bits = models.PositiveIntegerField()
    fingerprint = models.CharField(max_length=80, db_index=True)
    added_at = models.DateTimeField(default=timezone.now)
    added_by = models.CharField(max_length=120, blank=True)
    # What the options say, and whether servers get it, for queries: written by save.
    ends_at = models.DateTimeField(null=True, editable=False)
    opens_shell = models.BooleanField(default=True, editable=False)

    objects = KeyQuerySet.as_manager()

    class Meta:
        ordering = ["pk"]
        constraints = [
            models.CheckConstraint(
                condition=Q(person__isnull=False, unix_user__isnull=True)
                | Q(person__isnull=True, unix_user__isnull=False),
                name="key_has_one_owner",
            ),
            models.UniqueConstraint(
                fields=["fingerprint"], condition=Q(person__isnull=False), name="key_of_one_person"
            ),
            models.UniqueConstraint(fields=["unix_user", "fingerprint"], name="key_once_a_unix_user"),
        ]

    def __str__(self) -> str:
        return f"{self.comment or self.type} {self.fingerprint}"

    def save(self, *args: Any, **kwargs: Any) -> None:
        """With what the options say."""
        limits = self.limits
        self.ends_at, self.opens_shell = limits.ends_at, limits.opens_shell and self.sent
        super().save(*args, **kwargs)

    @property
    def limits(self) -> Limits:
        """What its options leave of it."""
        return limits_of(self.options)

    @property
    def limited(self) -> str:
        """The same in words; empty for a key that opens a shell from anywhere, without an end."""
        if not self.sent:
            return str(_("no server takes it"))
        said, now = [], timezone.now()
        if (end := self.limits.ends_at) is not None:
            text = _("until %s") if end > now else _("expired on %s")
            said.append(text % date_format(timezone.localtime(end), "Y-m-d H:i"))
        if self.limits.sources:
            said.append(_("only from %s") % self.limits.sources)
        if self.limits.command:
            said.append(_("runs only “%s”") % self.limits.command)
        return ", ".join(str(text) for text in said)

    @property
    def owner(self) -> "User | UnixUser":
        """The person or unix user that has the private key."""
        owner = self.person or self.unix_user
        assert owner is not None  # noqa: S101  # the constraint key_has_one_owner
        return owner

    @property
    def weak(self) -> bool:
        """Whether it counts, but should be replaced (BSI TR-02102-1)."""
        return self.type == "ssh-rsa" and self.bits < RSA_GOOD_BITS

    @property
    def line(self) -> str:
        """The key as a line of authorized_keys."""
        return " ".join(part for part in (self.options, self.type, self.blob, self.comment) if part)

    @property
    def sent(self) -> bool:
        """Whether servers get it: not when an older version took a line that they would refuse."""
        return is_sent(self.options, self.line)


class OfferedKey(models.Model):
    """A public key that was read from a server, and waits for an admin's word before it counts."""

    unix_user = models.ForeignKey(UnixUser, on_delete=models.CASCADE, related_name="offered_keys")
    line = models.TextField()
    fingerprint = models.CharField(max_length=80)
    path = models.CharField(max_length=255)  # where it lay on the server
    read_at = models.DateTimeField(default=timezone.now)

    class Meta:
        ordering = ["unix_user__name", "pk"]
        constraints = [
            models.UniqueConstraint(fields=["unix_user", "fingerprint"], name="offered_once_a_unix_user")
        ]

    def __str__(self) -> str:
        return self.fingerprint


class KeysFromUrl(models.Model):
    """What lay at an address that somebody named, for a while: for this person alone, and until it is chosen from.

    `lines` has each line that should be a key: `number`, and its `line` as parse_key writes it or why it was `refused`.
    """

    asked_by = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="+")
    person = models.ForeignKey(
        settings.AUTH_USER_MODEL, null=True, blank=True, on_delete=models.CASCADE, related_name="+"
    )
    unix_user = models.ForeignKey(UnixUser, null=True, blank=True, on_delete=models.CASCADE, related_name="+")
    url = models.CharField(max_length=500)
    job = models.ForeignKey(Job, null=True, on_delete=models.SET_NULL, related_name="+")
    asked_at = models.DateTimeField(default=timezone.now, db_index=True)
    fetched_at = models.DateTimeField(null=True)
    error = models.TextField(blank=True)
    lines = models.JSONField(default=list)

    class Meta:
        constraints = [
            models.CheckConstraint(
                condition=Q(person__isnull=False, unix_user__isnull=True)
                | Q(person__isnull=True, unix_user__isnull=False),
                name="keys_from_url_for_one_owner",
            )
        ]

    def __str__(self) -> str:
        return self.url

    def get_absolute_url(self) -> str:
        """Where one chooses from it."""
        return reverse("keymanager:from_url", args=[self.pk])

    @property
    def owner(self) -> "User | UnixUser":
        """Whose keys they would be."""
        owner = self.person or self.unix_user
        assert owner is not None  # noqa: S101  # the constraint keys_from_url_for_one_owner
        return owner

    @property
    def at_work(self) -> bool:
        """Whether it is still being fetched."""
        return self.fetched_at is None and self.job is not None and not self.job.ended


class Group(models.Model):
    """Members, whose keys count, and where they are allowed."""

    name = models.CharField(_("name"), max_length=80, unique=True)
    description = models.CharField(_("description"), max_length=255, blank=True)
    member_users = models.ManyToManyField(
        settings.AUTH_USER_MODEL, verbose_name=_("people"), blank=True, related_name="key_groups"
    )
    member_servers = models.ManyToManyField(
        Server, verbose_name=_("servers (all their keys)"), blank=True, related_name="key_groups"
    )
    member_keys = models.ManyToManyField(
        Key, verbose_name=_("single server keys"), blank=True, related_name="key_groups"
    )
    allowed_servers = models.ManyToManyField(
        Server,
        verbose_name=_("allowed on servers (every unix user)"),
        blank=True,
        related_name="allowed_groups",
    )
    allowed_unix_users = models.ManyToManyField(
        UnixUser, verbose_name=_("allowed on single unix users"), blank=True, related_name="allowed_groups"
    )
    includes_panel = models.BooleanField(
        _("the panel's own key"),
        default=False,
        help_text=_("The key with which Gestion logs in to servers is a member."),
    )

    class Meta:
        ordering = ["name"]

    def __str__(self) -> str:
        return self.name

    def get_absolute_url(self) -> str:
        """The group's page."""
        return reverse("keymanager:group", args=[self.pk])


class KeySetRevision(models.Model):
    """When the answer for a keymanager name last changed; grows with every change, across restarts.

    Three names that no server can have: "" changes with every change, so that one small query tells that
    nothing did; "*tokens" changes when tokens, or the names of servers that have one, do; "*signing" with the
    signing key.
    """

    CLOCK = ""
    TOKENS = "*tokens"
    SIGNING = "*signing"

    name = models.CharField(max_length=253, primary_key=True)
    revision = models.PositiveBigIntegerField(db_index=True)

    def __str__(self) -> str:
        return f"{self.name} {self.revision}"


class FetchToken(models.Model):
    """A server's proof of who it is, at the endpoint. Encrypted, because the rollout writes it to the host.

    A server with a token is managed by the keymanager; one without is not.
    """

    server = models.OneToOneField(Server, on_delete=models.CASCADE, related_name="fetch_token")
    secret = EncryptedTextField()
    digest = models.CharField(max_length=64, unique=True)
    # After a rotation the old token counts until the host has used the new one.
    previous_digest = models.CharField(max_length=64, blank=True, db_index=True)
    minute = models.PositiveSmallIntegerField(
        _("minute of the hour"),
        null=True,
        blank=True,
        validators=[MaxValueValidator(59)],
        help_text=_("When the server fetches its keys. Empty: by its name, so that the fleet spreads out."),
    )
    push_wanted_at = models.DateTimeField(null=True, editable=False, db_index=True)
    created_at = models.DateTimeField(default=timezone.now)

    def __str__(self) -> str:
        return f"token of {self.server}"


class FetchReport(models.Model):
    """What a server last fetched, and what it says it holds."""

    server = models.OneToOneField(Server, on_delete=models.CASCADE, related_name="fetch_report")
    fetched_at = models.DateTimeField(null=True)
    status = models.PositiveIntegerField(default=0)  # the HTTP status it got
    holds = models.CharField(max_length=80, blank=True)  # the ETag of what it holds, without quotes
    problem = models.CharField(max_length=255, blank=True)  # the script's own word for what went wrong
    address = models.GenericIPAddressField(null=True)
    # When the last answer that it could prove was given; None: it never said.
    proved_at = models.DateTimeField(null=True)

    def __str__(self) -> str:
        return f"fetch of {self.server}"


class KeysOnly(models.Model):
    """A server whose sshd shall take no passwords; one without a row is let be."""

    server = models.OneToOneField(Server, on_delete=models.CASCADE, related_name="keys_only")
    since = models.DateTimeField(default=timezone.now)
    by = models.CharField(max_length=120)

    def __str__(self) -> str:
        return f"keys only: {self.server}"


class SigningKey(models.Model):
    """A key that signs answers, so that a host can prove them with `ssh-keygen -Y verify`.

    Hosts believe every key that is not retired; exactly one signs.
    """

    private_key = EncryptedTextField()
    public_key = models.TextField()
    signs = models.BooleanField(default=False)
    created_at = models.DateTimeField(default=timezone.now)
    retired_at = models.DateTimeField(null=True)

    class Meta:
        ordering = ["pk"]
        constraints = [
            models.UniqueConstraint(fields=["signs"], condition=Q(signs=True), name="one_key_signs"),
            models.CheckConstraint(
                condition=Q(signs=False) | Q(retired_at__isnull=True), name="a_retired_key_signs_nothing"
            ),
        ]

    def __str__(self) -> str:
        return self.public_key


class Departure(models.Model):
    """Somebody whose access was taken away, until the account is switched on again."""

    person = models.OneToOneField(
        settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="departure"
    )
    at = models.DateTimeField(default=timezone.now)
    job = models.ForeignKey(Job, null=True, on_delete=models.SET_NULL, related_name="+")

    def __str__(self) -> str:
        return f"departure of {self.person}"


class DepartureHost(models.Model):
    """A server that held keys of somebody who left, and whether it is known to hold them no more."""

    departure = models.ForeignKey(Departure, on_delete=models.CASCADE, related_name="hosts")
    server = models.ForeignKey(Server, on_delete=models.CASCADE, related_name="+")
    unix_users = models.JSONField(default=list)
    etag = models.CharField(max_length=80)  # of the first key set without the person's keys
    confirmed_at = models.DateTimeField(null=True, db_index=True)
    confirmed_by = models.CharField(max_length=120, blank=True)  # empty: the server said so itself

    class Meta:
        constraints = [models.UniqueConstraint(fields=["departure", "server"], name="departure_host_once")]

    def __str__(self) -> str:
        return f"{self.departure}: {self.server}"
