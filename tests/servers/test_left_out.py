"""What cannot be written of one row is told, and keeps nothing else from being rolled out."""

import pytest

from hosts.state import File, State
from jobs.models import JobState
from servers import contact, registry, rollouts
from servers.configs import NotWritable
from servers.models import Contact, Rollout, RolloutRecord, RolloutState, Server
from servers.shell import attention
from tests.servers.conftest import work_off

pytestmark = [pytest.mark.services, pytest.mark.django_db(transaction=True)]


def kind_of(desired, name="lists"):
    registry.register(
        registry.ServerPart(f"test-{name}", kinds=(registry.RolloutKind(name, name.title(), desired),))
    )


@pytest.fixture
def kinds():
    yield kind_of
    registry.unregister("test-lists")


def test_what_is_left_out_is_told_and_the_rest_is_rolled_out(make_reached, kinds, actor, rf, admin):
    def desired(server):
        left_out = ("The row b cannot be written.",) if server.notes else ()
        return State(kind="lists", items=(File("/etc/lists", b"a\n"),), left_out=left_out)

    kinds(desired)
    server, machine = make_reached("a.example.org", notes="b")
    rollouts.ask(actor, server, ["lists"], "a and b")
    (job,) = work_off()
    assert machine.host.read("/etc/lists") == b"a\n"
    row = Rollout.objects.get()
    assert (row.state, row.applied, row.diff) == (RolloutState.FAILED, 1, "")
    assert "The row b cannot be written." in row.why
    assert RolloutRecord.objects.get().outcome == "applied"
    assert job.state == JobState.FAILED
    assert "The row b cannot be written." in job.error
    request = rf.get("/")
    request.user = admin
    assert [notice.url for notice in attention(request) if notice.level == "danger"] == [
        row.get_absolute_url()
    ]

    Server.objects.filter(pk=server.pk).update(notes="")
    rollouts.ask(actor, server, ["lists"], "b is mended")
    work_off()
    assert Rollout.objects.get().state == RolloutState.IN_SYNC


def test_a_kind_of_which_nothing_can_be_written_touches_nothing_and_says_why(
    make_reached, motd, kinds, actor
):
    def desired(_server):
        raise NotWritable("The folder cannot be written.")

    kinds(desired)
    server, machine = make_reached("a.example.org", notes="hello")
    rollouts.ask(actor, server, ["lists", "motd"], "both")
    work_off()
    assert machine.host.read("/etc/motd") == b"hello\n"
    row = Rollout.objects.get(kind="lists")
    assert (row.state, row.why) == (RolloutState.FAILED, "The folder cannot be written.")


@pytest.mark.parametrize("text", ["root@fe80::1%eth0", "root@2001:db8::1%a;b", "x y"])
def test_a_connection_that_an_earlier_version_stored_is_told_and_breaks_no_page(
    make_server, client, admin, text
):
    server = make_server("a.example.org")
    Server.objects.filter(pk=server.pk).update(ssh_connection=text)
    server.refresh_from_db()
    assert contact.check(server) != Contact.OK
    server.refresh_from_db()
    assert "SSH connection" in server.contact_why
    client.force_login(admin)
    assert client.get(server.get_absolute_url()).status_code == 200
