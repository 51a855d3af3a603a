"""A populated fleet: two servers with everything that hangs on one, a backup server, and people with little right.

Each server's texts hold a mark of its own (`World.mark`), so that whoever reads a mark that is not his has been told
too much. What lies between both servers holds `BETWEEN`; what only admins may read, `ADMINS`.
"""

from dataclasses import dataclass, replace

from django.utils import timezone

from accounts.actors import Actor
from accounts.models import AuditEntry, User
from backups.models import Backup, BackupState, Restore, TaskState
from backups.services.restores import RESTORE
from forwarding.models import HostnameDestination, HostnameForward
from jobs.models import Job, JobLine, JobTouch
from jobs.services import start_job
from servers.models import HostKey, Outcome, Rollout, RolloutRecord, Server, UnixUser
from tests.gestion.url_arguments import ADMINS, MAKERS, World

BETWEEN, STORE = "between-mark", "store-mark"
EVERY_MARK = {"alpha-mark", "beta-mark", BETWEEN, STORE, ADMINS}


@dataclass(frozen=True)
class Visitor:
    """Somebody, and the marks that this person may read."""

    user: User
    reads: frozenset[str]


@dataclass(frozen=True)
class Fleet:
    """One world for each server, who visits them, and what lies between the servers."""

    a: World
    b: World
    visitors: dict[str, Visitor]
    restore: Restore  # from a's copy to b, asked for by the admin
    jobs: dict[str, Job]
    store: Server
    shared: HostnameForward  # leads to a and to b


def _person(name: str, *owned: Server) -> User:
    person = User.objects.create_user(name, "correct horse battery", email=f"{name}@example.org")
    for server in owned:
        server.owners.add(person)
    return person


def _server(mark: str) -> Server:
    server = Server.objects.create(
        name=f"{mark}-web.example.org", keymanager_name=f"{mark}-web", notes=f"notes {mark}"
    )
    UnixUser.objects.create(server=server, name="root")
    return server


def _job(mark: str, work: str, *servers: Server, **fields: object) -> Job:
    fields = {
        "title": f"{work} {mark}",
        "actor_name": "ada",
        "reach": "servers" if servers else "admins",
        **fields,
    }
    subject = {"subject_type": "servers.server", "subject_id": str(servers[0].pk)} if servers else {}
    job = Job.objects.create(work=work, **{**subject, **fields})
    for server in servers:
        JobTouch.objects.create(job=job, server=server.pk)
    JobLine.objects.create(job=job, text=f"said {mark}")
    return job


def _told_of_others(server: Server, kind: str, mark: str) -> None:
    """A rollout that only admins may roll out: its files name other people's servers."""
    said = {"diff": f"+{mark}", "asked_for": f"the change of {mark}"}
    Rollout.objects.create(server=server, kind=kind, state="failed", why=mark, foreign=[f"/{mark}"], **said)
    RolloutRecord.objects.create(
        server=server, kind=kind, revision=1, outcome=Outcome.FAILED, said=f"failed at {mark}", **said
    )


def populate() -> Fleet:
    """Rows only; nothing is reached."""
    admin = User.objects.create_superuser("ada", "correct horse battery")
    a, b = _server("alpha-mark"), _server("beta-mark")
    store = Server.objects.create(name="backup1", keymanager_name="backup1", notes=f"notes {STORE}")
    owner, other, former = _person("olu", a), _person("pat", b), _person("fay", a)
    keeper = _person("kim", store)
    world = World(admin, _person("mel"), other, a, "alpha-mark")
    worlds = (world, replace(world, owner=owner, server=b, mark="beta-mark"))
    for one in worlds:
        for make in MAKERS.values():
            make(one)
    for server in (a, b, store):
        HostKey.objects.create(
            server=server, key="ssh-ed25519 BBBB", fingerprint="SHA256:y", pinned_at=timezone.now()
        )
    for server in (a, b):
        server.refresh_from_db()
    shared = HostnameForward.objects.create(host=Server.objects.get(name="pve1"), domain="shared.example.org")
    for server in (a, b):
        HostnameDestination.objects.create(hostname=shared, server=server)
    jobs = _jobs_of(admin, former, a, b, store)
    a.owners.remove(former)
    AuditEntry.objects.create(
        actor_name="ada", verb="server.change", object_name=ADMINS, after={"note": ADMINS}
    )
    _told_of_others(store, "rsnapshot", "alpha-mark")
    host = Server.objects.get(name="pve1")
    Server.objects.filter(pk__in=[host.pk, host.nginx_server_id]).update(notes=ADMINS)
    _told_of_others(host, "nat", ADMINS)
    _told_of_others(Server.objects.get(name="proxy1"), "nginx", ADMINS)
    visitors = {
        "owner of this server": Visitor(owner, frozenset({"alpha-mark"})),
        "owner of another": Visitor(other, frozenset({"beta-mark"})),
        "former owner": Visitor(former, frozenset()),
        "destination's owner": Visitor(keeper, frozenset({STORE})),
    }
    return Fleet(*worlds, visitors, _between(admin, a, b), jobs, store, shared)


def _jobs_of(admin: User, former: User, a: Server, b: Server, store: Server) -> dict[str, Job]:
    """Jobs that wait, run and have ended, asked for by the former owner, by admins and by the panel."""
    running = {"state": "running", "started_at": timezone.now(), "heartbeat_at": timezone.now()}
    failed = {"state": "failed", "error": "error alpha-mark", "ended_at": timezone.now()}
    nginx = Server.objects.get(name="proxy1")
    return {
        "asked by the former owner, running": _job("alpha-mark", "servers.look", a, owner=former, **running),
        "asked by the former owner, failed": _job("alpha-mark", "servers.check", a, owner=former, **failed),
        "asked by the admin, waiting": _job("alpha-mark", "servers.roll_out", a, owner=admin),
        "of the backup server": _job(STORE, "servers.roll_out", store, owner=admin, **running),
        "of the host's nginx": _job(ADMINS, "servers.roll_out", nginx, owner=admin, **running),
        "of both servers": _job(BETWEEN, "backups.restore", a, b, owner=admin, **running),
        "of before": _job(ADMINS, "servers.check", owner=former, **failed),
        "of a script": _job(
            ADMINS, "fabrun.run", owner=admin, subject_type="servers.server", subject_id=str(a.pk)
        ),
    }


def _between(admin: User, a: Server, b: Server) -> Restore:
    """A preview of a restore from a's copy to b."""
    backup = Backup.objects.get(source=a)
    state = BackupState.objects.get(backup=backup)
    name, at = state.copies[0]
    restore = Restore.objects.create(
        backup=backup, at=at, copy=name, target=b, folder=f"/{BETWEEN}", state=TaskState.READY, owner=admin,
        changes=[[">f+++++++++", f"{BETWEEN}-file"]], counts={"new": 1}, looked_at=timezone.now(),
        output=f"rsync: {BETWEEN}", asked_by="ada",
    )  # fmt: skip
    restore.job = start_job(
        Actor(admin, "ada"),
        RESTORE,
        f"Restore {BETWEEN}",
        {"restore": restore.pk},
        subject=backup,
        queue="backups",
    )
    restore.save()
    JobLine.objects.create(job=restore.job, text=f"said {BETWEEN}")
    return restore
