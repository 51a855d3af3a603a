"""The Samba server of the lab as a row, and what clients on it get."""

import subprocess
from dataclasses import dataclass
from typing import Any

from django.utils import timezone

from accounts.actors import Actor
from lab import Fleet, LabHost
from samba.desired_shares import KIND
from samba.models import Share
from samba.passwords import share_password
from samba.services.shares import create_share
from servers import rollouts
from servers.models import HostKey, PanelIdentity, Rollout, RolloutState, Server
from tests.jobs.working import work_off
from tests.lab_fixtures import LabKey

SYSTEM = Actor.system("test")
BASE = "/srv/shares"


@dataclass
class Ground:
    """files1 of the lab and its row; `client` is another host that has smbclient."""

    host: LabHost
    client: LabHost
    server: Server

    def share(self, name: str, **fields: Any) -> Share:
        """A share, asked for and not rolled out yet."""
        return create_share(SYSTEM, Share(server=self.server, name=name, **fields))

    def roll_out(self) -> Rollout:
        """Work off what waits, and give how it ended."""
        work_off()
        return Rollout.objects.get(server=self.server, kind=KIND)

    def in_sync(self) -> None:
        """Roll out; it must end well."""
        rollout = self.roll_out()
        assert rollout.state == RolloutState.IN_SYNC, rollout.why

    def again(self) -> Rollout:
        """Ask for another rollout, and give how it ended."""
        rollouts.ask(SYSTEM, self.server, [KIND], "test")
        return self.roll_out()

    def sh(self, script: str) -> str:
        """What a script prints on the server."""
        done = self.host.exec(["sh", "-c", script], timeout=60)
        return (done.stdout + done.stderr).decode(errors="replace").strip()

    def smb(self, share: str, command: str, user: str, password: str) -> "subprocess.CompletedProcess[bytes]":
        """Run smbclient's commands on another host of the lab; user and password go by standard input."""
        login = f"username = {user}\npassword = {password}\n".encode()
        target = f"//{self.host.address}/{share}"
        return self.client.exec(["smbclient", target, "-A", "/dev/stdin", "-c", command], stdin=login)

    def as_user(
        self, share: Share, command: str, of: Share | None = None
    ) -> "subprocess.CompletedProcess[bytes]":
        """The same with the right password of the share, or at the share `of`."""
        return self.smb((of or share).name, command, share.user, password_of(share))


def password_of(share: Share) -> str:
    """Its password now."""
    share.refresh_from_db()
    return share_password(share.uuid, share.password_number)


def ground(fleet: Fleet, key: LabKey) -> Ground:
    """files1, which Gestion has never seen, enlisted."""
    host = fleet["files1"]
    made = f"mkdir -p {BASE}; cp -a /etc/samba/smb.conf /root/smb.conf"  # Debian's own, to go back to
    host.exec(["sh", "-c", made]).check_returncode()
    PanelIdentity.objects.get_or_create(pk=1, defaults={"private_key": key.private, "public_key": key.public})
    server = Server.objects.create(
        name="files1", keymanager_name="files1", ssh_connection=host.connection, external_ip=host.address,
        samba_management=True, samba_base_folder=BASE,
    )  # fmt: skip
    HostKey.objects.create(
        server=server, key=host.host_key, fingerprint="of files1", pinned_at=timezone.now()
    )
    return Ground(host, fleet["backup1"], server)
