"""What looks and fetches found in authorized_keys2 that this panel did not put there."""

from django.db import models
from django.db.models import Q
from django.utils import timezone

from servers.models import Server


class KeyLook(models.Model):
    """The last look at the authorized_keys2 of a server's unix users, by the panel's own connection."""

    server = models.OneToOneField(Server, on_delete=models.CASCADE, related_name="key_look")
    looked_at = models.DateTimeField(default=timezone.now)
    differs = models.TextField(blank=True)  # what was otherwise than written, as gestion-keys --look says it

    def __str__(self) -> str:
        return f"look at the keys of {self.server}"


class FoundLine(models.Model):
    """A line that somebody put into an authorized_keys2 by hand. Of a key its fingerprint is kept, never the line.

    It stays when the line is gone. `fingerprint` is empty for what is no key.
    """

    server = models.ForeignKey(Server, on_delete=models.CASCADE, related_name="found_lines")
    unix_user = models.CharField(max_length=64)
    type = models.CharField(max_length=60, blank=True)
    fingerprint = models.CharField(max_length=80, blank=True, db_index=True)
    has_options = models.BooleanField(default=False)
    comment = models.CharField(max_length=80, blank=True)
    first_seen_at = models.DateTimeField(default=timezone.now)
    seen_at = models.DateTimeField(default=timezone.now)
    gone_at = models.DateTimeField(null=True)  # when a fetch took it out, or a look saw it no more
    times = models.PositiveIntegerField(default=1)  # that it came
    told_at = models.DateTimeField(null=True)

    class Meta:
        ordering = ["-seen_at", "-pk"]
        constraints = [
            models.UniqueConstraint(
                fields=["server", "unix_user", "fingerprint"],
                condition=Q(gone_at=None),
                name="found_once_while_it_is_there",
            )
        ]

    def __str__(self) -> str:
        return f"{self.fingerprint or 'a line that is no key'} of {self.unix_user} on {self.server}"
