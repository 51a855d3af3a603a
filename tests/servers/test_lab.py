"""Servers on real hosts: first contact, changed host keys, gateways, rollouts, drift, out of reach and back."""

from collections.abc import Iterator

import pytest

from hosts.state import Command, File, State
from jobs.models import JobState
from lab import Fleet, LabHost
from servers import contact, registry, rollouts, services
from servers.connect import connect
from servers.models import Contact, PanelIdentity, Rollout, RolloutRecord, RolloutState, Server
from servers.transport import transport
from tests.lab_fixtures import LabKey
from tests.servers.conftest import work_off

pytestmark = [pytest.mark.lab, pytest.mark.django_db(transaction=True)]
PATH = "/etc/gestion-test/greeting"


def desired(server: Server) -> State | None:
    """One file, checked and activated by programs that every host has; no notes, no file."""
    if not server.notes:
        return None
    return State(
        kind="greeting",
        items=(File(PATH, f"{server.notes}\n".encode()),),
        checks=(Command(("grep", "-q", "hello", PATH), in_place=True),),
        activate=(Command(("touch", "/run/greeting-used")),),
        proofs=(Command(("test", "-e", "/run/greeting-used"), always=True),),
    )


@pytest.fixture
def greeting() -> Iterator[None]:
    """The kind above, for one test."""
    kind = registry.RolloutKind("greeting", "Greeting", desired)
    registry.register(registry.ServerPart("test-greeting", kinds=(kind,)))
    yield
    registry.unregister("test-greeting")


@pytest.fixture
def panel(db, lab_key: LabKey) -> Iterator[None]:
    """The panel logs in with the key that the lab trusts, and keeps no connection beyond the test."""
    PanelIdentity.objects.create(pk=1, private_key=lab_key.private, public_key=lab_key.public)
    yield
    transport().pool.close_all()  # type: ignore[attr-defined]  # the real one, by SSH


@pytest.fixture
def files1(fleet: Fleet) -> Iterator[LabHost]:
    """A host, left without what these tests put on it."""
    host = fleet["files1"]
    yield host
    host.exec(["rm", "-rf", "/etc/gestion-test", "/run/greeting-used", "/var/lib/gestion"])


@pytest.fixture
def server(panel, make_server, files1: LabHost, actor) -> Server:
    """The host in the inventory, its key seen and accepted."""
    row = make_server("files1.example.org", ssh_connection=files1.connection, notes="hello")
    work_off()
    services.accept_host_key(actor, row.host_keys.get())
    work_off()
    row.refresh_from_db()
    assert row.contact == Contact.OK
    return row


def check(server: Server) -> str:
    contact.check(server)
    server.refresh_from_db()
    return server.contact


def test_first_contact_shows_the_hosts_own_key(panel, make_server, files1: LabHost, lab_key, actor):
    server = make_server("files1.example.org", ssh_connection=files1.connection)
    assert check(server) == Contact.UNPINNED
    key = server.host_keys.get()
    said = files1.exec(["ssh-keygen", "-lf", key.file_on_host]).stdout.decode()
    assert key.fingerprint in said
    services.accept_host_key(actor, key)
    assert check(server) == Contact.OK
    with connect(server) as host:
        assert host.run(["hostname"]).check().text == "files1"


def test_a_reinstalled_host_stops_until_its_new_key_is_accepted(server, files1: LabHost, actor):
    keys = "/etc/ssh"
    files1.exec(["cp", "-a", keys, "/root/ssh-before"])
    try:
        files1.exec(["sh", "-c", "rm /etc/ssh/ssh_host_*; ssh-keygen -q -A; systemctl restart ssh"])
        transport().pool.close_all()  # type: ignore[attr-defined]
        old = server.host_keys.get().fingerprint
        assert check(server) == Contact.CHANGED
        assert old in server.contact_why
        new = server.host_keys.get(pinned_at=None)
        services.accept_host_key(actor, new)
        assert check(server) == Contact.OK
        assert [key.fingerprint for key in server.host_keys.all()] == [new.fingerprint]
    finally:
        files1.exec(["sh", "-c", "rm -rf /etc/ssh; mv /root/ssh-before /etc/ssh; systemctl restart ssh"])


def test_a_container_is_reached_through_its_proxmox_host(panel, make_server, fleet: Fleet, actor):
    host = make_server("pve1.example.org", is_proxmox=True, ssh_connection=fleet["pve1"].connection)
    guest = make_server("web1.example.org", is_vm=True, vm_host=host, internal_ip=fleet["web1"].address)
    work_off()
    guest.refresh_from_db()
    assert guest.contact == Contact.UNREACHABLE
    assert "through pve1.example.org" in guest.contact_why
    services.accept_host_key(actor, host.host_keys.get())
    assert check(guest) == Contact.UNPINNED
    key = guest.host_keys.get()
    assert key.key == fleet["web1"].host_key
    services.accept_host_key(actor, key)
    assert check(guest) == Contact.OK
    with connect(guest) as reached:
        assert reached.run(["hostname"]).check().text == "web1"


def test_a_rollout_drift_and_putting_back(server, files1: LabHost, greeting, actor):
    rollouts.ask(actor, server, ["greeting"], "on")
    (job,) = work_off()
    assert job.state == JobState.DONE, job.error
    row = Rollout.objects.get()
    assert row.state == RolloutState.IN_SYNC
    assert files1.exec(["cat", PATH]).stdout == b"hello\n"

    files1.exec(["sh", "-c", f"echo by hand >> {PATH}"])
    services.look_closer(actor, server)
    work_off()
    row.refresh_from_db()
    assert row.state == RolloutState.DRIFTED
    assert "-by hand" in row.diff
    assert files1.exec(["cat", PATH]).stdout == b"hello\nby hand\n"

    services.roll_out(actor, server, ["greeting"])
    work_off()
    row.refresh_from_db()
    assert row.state == RolloutState.IN_SYNC
    assert files1.exec(["cat", PATH]).stdout == b"hello\n"

    Server.objects.update(notes="no such word")
    rollouts.ask(actor, server, ["greeting"], "a bad one")
    work_off()
    row.refresh_from_db()
    assert row.state == RolloutState.FAILED
    assert files1.exec(["cat", PATH]).stdout == b"hello\n"

    Server.objects.update(notes="")
    rollouts.ask(actor, server, ["greeting"], "off")
    work_off()
    row.refresh_from_db()
    assert row.state == RolloutState.IN_SYNC
    assert files1.exec(["test", "-e", PATH]).returncode == 1
    outcomes = list(RolloutRecord.objects.order_by("pk").values_list("outcome", flat=True))
    assert outcomes == ["applied", "applied", "failed", "applied"]


def test_a_host_out_of_reach_is_waited_for_and_served_when_it_is_back(server, files1, greeting, actor):
    files1.cut()
    try:
        rollouts.ask(actor, server, ["greeting"], "on")
        work_off()
        row = Rollout.objects.get()
        server.refresh_from_db()
        assert row.state == RolloutState.UNREACHABLE
        assert row.retry_at is not None
        assert server.contact == Contact.UNREACHABLE
    finally:
        files1.mend()
    files1.wait_ready()
    assert check(server) == Contact.OK
    work_off()
    row.refresh_from_db()
    assert row.state == RolloutState.IN_SYNC
    assert files1.exec(["cat", PATH]).stdout == b"hello\n"
