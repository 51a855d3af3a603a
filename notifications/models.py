"""Who wants to hear of what, what was told, and whether it arrived."""

from typing import Any

from django.conf import settings
from django.db import models
from django.urls import reverse
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from accounts.fields import EncryptedTextField
from accounts.shared_secrets import fresh_secret


class Subscription(models.Model):
    """A person wants to hear of a topic by mail."""

    person = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="subscriptions"
    )
    topic = models.CharField(max_length=60)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["person", "topic"], name="topic_once_a_person")]

    def __str__(self) -> str:
        return f"{self.person}: {self.topic}"


class Webhook(models.Model):
    """A program that wants to hear of topics: each message is posted to its URL, signed with its secret."""

    name = models.CharField(_("name"), max_length=80, unique=True)
    url = EncryptedTextField(_("URL"))  # many services put their password into it
    secret = EncryptedTextField(default=fresh_secret)
    topics = models.JSONField(_("topics"), default=list)
    active = models.BooleanField(_("active"), default=True)
    created_at = models.DateTimeField(default=timezone.now, editable=False)

    class Meta:
        ordering = ["name"]

    def __str__(self) -> str:
        return self.name

    def get_absolute_url(self) -> str:
        """The page about this web hook."""
        return reverse("notifications:webhook", args=[self.pk])


class Message(models.Model):
    """One piece of news. Written once; what happened to it is in its deliveries."""

    topic = models.CharField(max_length=60)
    title = models.CharField(max_length=200)
    text = models.TextField(blank=True)
    path = models.CharField(max_length=300, blank=True)  # of the page about it, within the panel
    at = models.DateTimeField(default=timezone.now, db_index=True)

    class Meta:
        ordering = ["-at", "-pk"]

    def __str__(self) -> str:
        return self.title

    @property
    def url(self) -> str:
        """The page about it, in full."""
        return settings.GESTION_URL.rstrip("/") + self.path if self.path else settings.GESTION_URL


class DeliveryState(models.TextChoices):
    """What became of a message on its way to one receiver."""

    WAITING = "waiting", _("waiting")
    SENT = "sent", _("sent")
    FAILED = "failed", _("failed")


class Delivery(models.Model):
    """A message on its way to one person or one web hook."""

    message = models.ForeignKey(Message, on_delete=models.CASCADE, related_name="deliveries")
    person = models.ForeignKey(
        settings.AUTH_USER_MODEL, null=True, on_delete=models.CASCADE, related_name="deliveries"
    )
    webhook = models.ForeignKey(Webhook, null=True, on_delete=models.CASCADE, related_name="deliveries")
    state = models.CharField(max_length=10, choices=DeliveryState, default=DeliveryState.WAITING)
    error = models.TextField(blank=True)
    ended_at = models.DateTimeField(null=True)

    class Meta:
        ordering = ["pk"]
        constraints = [
            models.CheckConstraint(
                condition=models.Q(person=None) ^ models.Q(webhook=None), name="delivery_to_one_receiver"
            )
        ]
        indexes = [models.Index(fields=["state"], name="delivery_state")]

    def __str__(self) -> str:
        return f"{self.message} → {self.person or self.webhook}"

    def end(self, state: str, error: str = "") -> None:
        """Note what became of it."""
        self.state, self.error, self.ended_at = state, error, timezone.now()
        self.save(update_fields=["state", "error", "ended_at"])


def waiting(**receiver: Any) -> models.QuerySet[Delivery]:
    """What has not reached this receiver yet, oldest first."""
    rows = Delivery.objects.filter(state=DeliveryState.WAITING, **receiver)
    return rows.select_related("message").order_by("pk")
