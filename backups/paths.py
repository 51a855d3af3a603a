"""Where everything of a backup lies on the backup server."""

from dataclasses import dataclass
from uuid import UUID

FOLDER = "/etc/gestion/backups"
MARKER = ".gestion-backup"  # in the destination folder; its first line is the backup's uuid
DATA = "data"  # in each copy: what the source folder held


@dataclass(frozen=True)
class Paths:
    """The files of one backup: made by desired_plans, but for `lock` and `marker`, which running makes."""

    uuid: UUID
    destination: str

    @property
    def config(self) -> str:
        """What `rsnapshot -c` reads."""
        return f"{FOLDER}/{self.uuid}.conf"

    @property
    def excludes(self) -> str:
        """What rsync leaves out (`--exclude-from`)."""
        return f"{FOLDER}/{self.uuid}.exclude"

    @property
    def ssh(self) -> str:
        """What `ssh -F` reads: how the source is reached, under the name "source"."""
        return f"{FOLDER}/{self.uuid}.ssh"

    @property
    def known_hosts(self) -> str:
        """The source's pinned host keys, and those of the hosts that lead to it."""
        return f"{FOLDER}/{self.uuid}.known_hosts"

    @property
    def lock(self) -> str:
        """rsnapshot's lock file; gone after a reboot."""
        return f"/run/gestion-backup-{self.uuid}.pid"

    @property
    def marker(self) -> str:
        """The file that says whose folder the destination is."""
        return f"{self.destination}/{MARKER}"

    @property
    def sync(self) -> str:
        """The newest copy before anything is rotated (`sync_first`)."""
        return f"{self.destination}/.sync"


SOURCE = "source"  # the source's name in the ssh configuration, so rsync reads source:/folder/
