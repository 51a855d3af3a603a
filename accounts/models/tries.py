"""Tries that are counted, such as wrong passwords."""

from django.db import models
from django.utils import timezone


class Try(models.Model):
    """One try of a kind, by a key such as an address. Deleted after a day."""

    kind = models.CharField(max_length=20)
    key = models.CharField(max_length=150)
    at = models.DateTimeField(default=timezone.now, db_index=True)

    class Meta:
        indexes = [models.Index(fields=["kind", "key", "at"], name="tries_of_key")]

    def __str__(self) -> str:
        return f"{self.kind} {self.key}"
