"""The second factor: an authenticator's secret, and recovery codes."""

from django.db import models
from django.utils import timezone

from accounts.fields import EncryptedTextField
from accounts.models.users import User


class SecondFactor(models.Model):
    """A person's authenticator (TOTP, RFC 6238). It counts once a code of it has confirmed it."""

    user = models.OneToOneField(User, on_delete=models.CASCADE, related_name="second_factor")
    secret = EncryptedTextField(blank=True)
    # One that waits for its first code; the other counts meanwhile, so that a new telephone locks nobody out.
    next_secret = EncryptedTextField(blank=True)
    created_at = models.DateTimeField(default=timezone.now)
    confirmed_at = models.DateTimeField(null=True)
    # The 30-second step of the last code that was taken: neither it nor an older one is taken again.
    last_step = models.BigIntegerField(default=0)

    def __str__(self) -> str:
        return f"second factor of {self.user}"


class RecoveryCode(models.Model):
    """A code for who has lost the authenticator. Only a hash is kept, and it counts once."""

    user = models.ForeignKey(User, on_delete=models.CASCADE, related_name="recovery_codes")
    digest = models.CharField(max_length=64)
    used_at = models.DateTimeField(null=True)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["user", "digest"], name="recovery_code_once")]

    def __str__(self) -> str:
        return f"recovery code of {self.user}"
