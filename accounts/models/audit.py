"""The audit trail."""

from typing import Any

from django.db import models
from django.utils import timezone

from accounts.models.users import User


class AuditEntry(models.Model):
    """One change: who, when, from where, what, before and after. Written once, never changed."""

    at = models.DateTimeField(default=timezone.now, db_index=True)
    actor = models.ForeignKey(User, null=True, on_delete=models.SET_NULL, related_name="+")
    actor_name = models.CharField(max_length=120)
    address = models.GenericIPAddressField(null=True)
    verb = models.CharField(max_length=60, db_index=True)
    object_type = models.CharField(max_length=60, blank=True)
    object_id = models.CharField(max_length=40, blank=True)
    object_name = models.CharField(max_length=255, blank=True)
    before = models.JSONField(null=True)
    after = models.JSONField(null=True)

    class Meta:
        ordering = ["-at", "-pk"]
        indexes = [models.Index(fields=["object_type", "object_id"], name="audit_of_object")]

    def __str__(self) -> str:
        return f"{self.actor_name}: {self.verb} {self.object_name}"

    def save(self, *args: Any, **kwargs: Any) -> None:
        """Write it, once. Raises TypeError for an entry that is written already."""
        if self.pk is not None:
            raise TypeError("An audit entry is never changed.")
        super().save(*args, **kwargs)

    @property
    def differences(self) -> list[tuple[str, Any, Any]]:
        """Each field with its value before and after; None where there was or is none."""
        before, after = self.before or {}, self.after or {}
        names = [*after, *(name for name in before if name not in after)]
        rows = [(name.replace("_", " "), before.get(name), after.get(name)) for name in names]
        return [row for row in rows if any(value not in (None, "", []) for value in row[1:])]
