"""The lab's hosts as rows of the inventory, and a backup server that is let in at the sources."""

from accounts.actors import Actor
from backups.models import Backup
from backups.services.plans import create_backup
from lab import LabHost
from servers.models import Server

SYSTEM = Actor.system("test")


def let_in(there: LabHost, *sources: LabHost) -> None:
    """Make root's key on the backup server, and put it where an administrator would put it on the sources."""
    key = "/root/.ssh/id_ed25519"
    make = f'[ -f {key} ] || {{ mkdir -p -m 700 /root/.ssh; ssh-keygen -q -t ed25519 -N "" -f {key}; }}; cat {key}.pub'
    public = there.exec(["sh", "-c", make]).stdout
    for source in sources:
        add = "cd /root/.ssh; cat >new; grep -qxFf new authorized_keys || cat new >>authorized_keys"
        source.exec(["sh", "-c", add], stdin=public)


def shut_out(source: LabHost, there: LabHost) -> None:
    """Take that key off a source again."""
    public = there.exec(["cat", "/root/.ssh/id_ed25519.pub"]).stdout
    keep = "cd /root/.ssh; cat >old; grep -vxFf old authorized_keys >new; cat new >authorized_keys"
    source.exec(["sh", "-c", keep], stdin=public)


def planned(rows: dict[str, Server], source: str, folder: str, **fields: object) -> Backup:
    """A backup of a lab host to backup1."""
    destination = f"/backups/{source}"
    backup = Backup(
        source=rows[source],
        source_folder=folder,
        destination=rows["backup1"],
        destination_folder=destination,
        **fields,
    )
    return create_backup(SYSTEM, backup)
