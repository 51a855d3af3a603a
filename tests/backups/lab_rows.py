"""A backup server and a source of the lab as rows, and what tests do with them."""

from dataclasses import dataclass
from typing import Any

from django.utils import timezone

from accounts.actors import Actor
from backups.models import Backup, BackupRun, BackupState
from backups.services.runs import run_now
from jobs.models import Job, JobState
from lab import Fleet, LabHost
from servers import rollouts
from servers.models import HostKey, PanelIdentity, Rollout, RolloutState, Server
from tests.jobs.working import work_off
from tests.lab_fixtures import LabKey

SYSTEM = Actor.system("test")
SOURCE_FOLDER = "/srv/tree"
DESTINATION = "/backups/tree"
# KiB/s for 20 MB. What is cut off would take 50 seconds: on a busy machine a look, a login and a reboot take many, and
# they come before its end. What goes on to its end takes 20.
CUT_OFF = 400
TO_ITS_END = 1000


@dataclass
class Ground:
    """Two hosts of the lab and their rows; `backup1` pulls from `files1`."""

    fleet: Fleet
    server: Server
    source: Server

    @property
    def there(self) -> LabHost:
        """The backup server."""
        return self.fleet[self.server.name]

    @property
    def here(self) -> LabHost:
        """The source."""
        return self.fleet[self.source.name]

    def backup(self, **fields: Any) -> Backup:
        """A backup whose configuration is on the backup server."""
        fields = {"source_folder": SOURCE_FOLDER, "destination_folder": DESTINATION, **fields}
        backup = Backup.objects.create(source=self.source, destination=self.server, **fields)
        self.roll_out()
        return backup

    def roll_out(self) -> None:
        """Have the backup server hold what the rows say."""
        rollouts.ask(SYSTEM, self.server, ["rsnapshot"], "test")
        work_off()
        rollout = Rollout.objects.get(server=self.server, kind="rsnapshot")
        assert rollout.state == RolloutState.IN_SYNC, rollout.why

    def run(self, backup: Backup, **levels: Any) -> BackupRun:
        """Run it to its end, in this process, as a worker would."""
        run = run_now(SYSTEM, backup)
        if levels:
            BackupRun.objects.filter(pk=run.pk).update(**levels)
        return self.carry_out(run)

    def carry_out(self, run: BackupRun) -> BackupRun:
        """Work a run off to its end, also where the host cannot be asked for a moment."""
        for _time in range(3):
            work_off()
            run.refresh_from_db()
            if run.ended or run.job is None:
                break
            # The host could not be asked for a moment: what the job does by itself after a while.
            Job.objects.filter(pk=run.job.pk, state=JobState.WAITING).update(not_before=timezone.now())
        return run


def ground(fleet: Fleet, key: LabKey, server: str = "backup1", source: str = "files1") -> Ground:
    """The rows of two hosts; the backup server's own key is let in by the source."""
    if not PanelIdentity.objects.exists():
        PanelIdentity.objects.create(pk=1, private_key=key.private, public_key=key.public)
    rows = {name: _row(fleet[name]) for name in (server, source)}
    there, here = fleet[server], fleet[source]
    sh(there, '[ -e ~/.ssh/id_ed25519 ] || ssh-keygen -q -t ed25519 -N "" -f ~/.ssh/id_ed25519')
    public = sh(there, "cat ~/.ssh/id_ed25519.pub")
    here.trust([public])
    sh(here, f"mkdir -p {SOURCE_FOLDER}")
    return Ground(fleet, rows[server], rows[source])


def _row(host: LabHost) -> Server:
    server = Server.objects.create(
        name=host.name, keymanager_name=host.name, ssh_connection=host.connection, external_ip=host.address
    )
    HostKey.objects.create(
        server=server, key=host.host_key, fingerprint=f"of {host.name}", pinned_at=timezone.now()
    )
    return server


def sh(host: LabHost, script: str, stdin: bytes = b"", *, check: bool = False, timeout: float = 120) -> str:
    """What a script of the test prints on a host."""
    done = host.exec(["sh", "-c", script], stdin=stdin, timeout=timeout)
    assert not check or done.returncode == 0, done.stderr.decode(errors="replace")
    return done.stdout.decode(errors="replace").removesuffix("\n")


def state(backup: Backup) -> BackupState:
    """What is remembered of it now."""
    return BackupState.objects.get_or_create(backup=backup)[0]
