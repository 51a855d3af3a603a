"""Fixtures for the tests of servers: a fleet in memory, servers in it, and a worker in this process."""

import pytest
from django.test import Client
from django.utils import timezone

from accounts.actors import Actor
from accounts.models import User
from hosts.state import Command, File, State
from jobs.execute import carry_out, claim
from jobs.models import Job, JobState
from jobs.pulse import pulse
from servers import registry
from servers.models import HostKey, Rollout, RolloutState, Server
from servers.services import create_server
from tests.servers import fleet as memory
from tests.servers.fleet import host_key

ACTOR = Actor.system("test")


@pytest.fixture
def actor() -> Actor:
    return ACTOR


@pytest.fixture
def memory_fleet(settings):
    """An empty fleet in memory, and the panel reaching it instead of the network."""
    settings.SERVERS_TRANSPORT = memory.PATH
    memory.FLEET.machines.clear()
    yield memory.FLEET
    memory.FLEET.machines.clear()


@pytest.fixture
def make_server(db):
    """Makes servers by the service; every setting may be given."""

    def make(name: str, **fields) -> Server:
        extra = {key: fields.pop(key) for key in ("unix_users", "owners", "tags") if key in fields}
        return create_server(ACTOR, Server(name=name, **fields), **extra)

    return make


@pytest.fixture
def make_reached(make_server, memory_fleet):
    """Makes servers whose machine is in the fleet and whose host key is accepted."""

    def make(name: str, **fields) -> tuple[Server, memory.Machine]:
        server = make_server(name, ssh_connection=f"root@{name}", **fields)
        machine = memory_fleet.add(f"root@{name}")
        pin(server, machine)
        Job.objects.all().delete()
        return server, machine

    return make


def pin(server: Server, machine: memory.Machine) -> HostKey:
    """Accept the machine's key as if an admin had."""
    return HostKey.objects.create(
        server=server,
        key=machine.key.key,
        fingerprint=machine.key.fingerprint,
        pinned_at=timezone.now(),
        pinned_by="ada",
    )


@pytest.fixture
def owner(db) -> User:
    """A person who is no admin, and whom tests make the owner of a server."""
    return User.objects.create_user("olga", "correct horse battery")


def work_off(most: int = 20) -> list[Job]:
    """Carry out what waits, also what waits for its time, as one worker would; gives the jobs in order."""
    try:
        return _work_off(most)
    finally:
        pulse.stop()


def _work_off(most: int) -> list[Job]:
    ended: list[Job] = []
    for _turn in range(most):
        job = Job.objects.filter(state=JobState.WAITING).order_by("not_before", "pk").first()
        if job is None:
            return ended
        Job.objects.filter(pk=job.pk).update(not_before=timezone.now())
        claimed = claim(job.pk)
        assert claimed is not None
        carry_out(claimed)
        ended.append(Job.objects.get(pk=job.pk))
    raise AssertionError(f"still working after {most} jobs: {[j.title for j in ended]}")


class Motd:
    """A kind for tests: one file, whose content each server's notes give; no notes, no file."""

    path = "/etc/motd"

    def __init__(self) -> None:
        self.fail = False
        self.calls = 0

    def desired(self, server: Server) -> State | None:
        self.calls += 1
        if self.fail:
            raise RuntimeError("a fault of the kind")
        if not server.notes:
            return None
        return State(
            kind="motd",
            items=(File(self.path, f"{server.notes}\n".encode()),),
            checks=(Command(("check-motd",)),),
            activate=(Command(("use-motd",)),),
        )


@pytest.fixture
def motd():
    """The kind, registered for one test."""
    kind = Motd()
    registry.register(
        registry.ServerPart(
            "test-motd", kinds=(registry.RolloutKind("motd", "Message of the day", kind.desired),)
        )
    )
    yield kind
    registry.unregister("test-motd")


@pytest.fixture
def owner_client(owner) -> Client:
    client = Client()
    client.force_login(owner)
    return client


@pytest.fixture
def owned(make_server, owner, motd):
    server = make_server("a.example.org", owners=[owner], notes="hello")
    Rollout.objects.create(server=server, kind="motd", state=RolloutState.FAILED, foreign=["/etc/motd"])
    shown = host_key("a")
    key = HostKey.objects.create(server=server, key=shown.key, fingerprint=shown.fingerprint)
    return server, key
