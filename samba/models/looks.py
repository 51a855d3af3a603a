"""What lies in the base folder of a Samba server, as somebody last looked."""

from django.db import models
from django.utils import timezone

from servers.models import Server


class FolderLook(models.Model):
    """The last look into a server's base folder: each entry as samba.looking.Entry, in plain values."""

    server = models.OneToOneField(Server, on_delete=models.CASCADE, related_name="folder_look")
    base = models.CharField(max_length=500)
    looked_at = models.DateTimeField(default=timezone.now)
    # Whether nobody but root may write in the base folder: else nothing in it is taken over.
    safe = models.BooleanField(default=True)
    entries = models.JSONField(default=list)
    # How many names there were; of more than samba.looking.MOST only the first are kept.
    names = models.PositiveIntegerField(default=0)

    class Meta:
        ordering = ["server"]

    def __str__(self) -> str:
        return f"{self.base} on {self.server}"

    @property
    def not_kept(self) -> int:
        """How many names there were beyond those that are kept."""
        return max(0, self.names - len(self.entries))
