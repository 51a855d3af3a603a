"""Folders that go back to whom they belonged, after their share was deleted."""

from django.db import models

from samba.names import LONGEST_USER
from servers.models import Server


class FolderReturn(models.Model):
    """A folder that its server shall give back at the next rollout; gone once that has ended well."""

    server = models.ForeignKey(Server, on_delete=models.CASCADE, related_name="folder_returns")
    user = models.CharField(max_length=LONGEST_USER)
    folder = models.CharField(max_length=500)

    class Meta:
        ordering = ["user"]
        constraints = [models.UniqueConstraint(fields=["server", "user"], name="one_return_a_user")]

    def __str__(self) -> str:
        return f"{self.folder} of {self.user}"
