"""A Samba server and a server of its own."""

from dataclasses import dataclass

import pytest

from accounts.actors import Actor
from samba.models import Share
from samba.services.shares import create_share
from servers.models import Server

SYSTEM = Actor.system("test")


@dataclass(frozen=True)
class Rows:
    """The servers, and a short way to a share."""

    files1: Server
    files2: Server
    web1: Server

    def unsaved(self, name: str = "photos", **fields: object) -> Share:
        """A share of files1 that is not saved."""
        return Share(**{"server": self.files1, "name": name, **fields})

    def share(self, name: str = "photos", **fields: object) -> Share:
        """The same, made by the service."""
        return create_share(SYSTEM, self.unsaved(name, **fields))


@pytest.fixture
def rows(db) -> Rows:
    """files1 and files2, both with Samba, and web1 without."""
    samba = {"samba_management": True, "samba_base_folder": "/srv/shares"}
    files1, files2, web1 = (
        Server.objects.create(name=name, keymanager_name=name, ssh_connection=f"root@{name}", **more)
        for name, more in (("files1", samba), ("files2", samba), ("web1", {}))
    )
    return Rows(files1, files2, web1)
