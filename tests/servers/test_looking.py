"""Looking for drift: found, shown, put back only when told."""

import pytest

from jobs.models import JobState
from servers import contact, rollouts, services
from servers.models import Contact, Rollout, RolloutState, Server
from servers.upkeep import start_looks
from tests.servers.conftest import work_off
from tests.servers.fleet import host_key

pytestmark = [pytest.mark.services, pytest.mark.django_db(transaction=True)]


@pytest.fixture
def rolled_out(make_reached, motd, actor):
    """A server whose message of the day is in sync."""
    server, machine = make_reached("a.example.org", notes="hello")
    rollouts.ask(actor, server, ["motd"], "on")
    work_off()
    return server, machine


def test_a_hand_edit_is_found_with_its_difference_and_left_alone(rolled_out):
    _server, machine = rolled_out
    machine.host.write("/etc/motd", b"hello\nby hand\n")
    start_looks()
    (job,) = work_off()
    assert job.state == JobState.DONE
    row = Rollout.objects.get()
    assert row.state == RolloutState.DRIFTED
    assert "/etc/motd" in row.why
    assert "-by hand" in row.diff
    assert machine.host.read("/etc/motd") == b"hello\nby hand\n"


@pytest.mark.parametrize("lets_in", [True, False], ids=["let in at once", "our key put there later"])
def test_a_server_that_was_reinstalled_is_looked_at_once_its_new_key_is_accepted(rolled_out, actor, lets_in):
    """It holds nothing of ours, was “in sync” for an hour, and “Roll out” said that there is nothing to roll out."""
    server, machine = rolled_out
    contact.check(server)
    machine.host.write("/etc/motd", b"debian\n")
    machine.key = host_key("reinstalled")
    contact.check(server)
    work_off()
    machine.refuses = not lets_in
    services.accept_host_key(actor, server.host_keys.get(pinned_at=None))
    work_off()
    machine.refuses = False
    contact.check(server)
    work_off()
    assert Rollout.objects.get().state == RolloutState.DRIFTED
    services.roll_out(actor, server, ["motd"])
    work_off()
    assert Rollout.objects.get().state == RolloutState.IN_SYNC


def test_another_look_says_what_differs_by_now_and_not_what_did_first(rolled_out):
    _server, machine = rolled_out
    machine.host.write("/etc/motd", b"by hand\n")
    since = Rollout.objects.get().since
    Rollout.objects.update(state=RolloutState.DRIFTED, why="Changed on the host: its mode")
    start_looks()
    work_off()
    row = Rollout.objects.get()
    assert (row.state, row.why, row.since) == ("drifted", "Changed on the host: /etc/motd", since)


def test_drift_is_put_back_when_told(rolled_out, actor):
    server, machine = rolled_out
    machine.host.write("/etc/motd", b"by hand\n")
    services.look_closer(actor, server)
    work_off()
    services.roll_out(actor, server, ["motd"])
    work_off()
    assert Rollout.objects.get().state == RolloutState.IN_SYNC
    assert machine.host.read("/etc/motd") == b"hello\n"


def test_drift_that_somebody_undid_is_in_sync_again(rolled_out):
    _server, machine = rolled_out
    for content, state in ((b"by hand\n", RolloutState.DRIFTED), (b"hello\n", RolloutState.IN_SYNC)):
        machine.host.write("/etc/motd", content)
        start_looks()
        work_off()
        assert Rollout.objects.get().state == state


def test_a_preview_shows_what_would_happen_and_changes_nothing(make_reached, motd, actor):
    server, machine = make_reached("a.example.org", notes="hello")
    machine.host.write("/etc/motd", b"debian\n")
    Rollout.objects.create(server=server, kind="motd", wanted=1, state=RolloutState.FAILED)
    services.look_closer(actor, server, ["motd"])
    work_off()
    row = Rollout.objects.get()
    assert row.state == RolloutState.FAILED
    assert "+hello" in row.diff
    assert row.foreign == ["/etc/motd"]
    assert machine.host.read("/etc/motd") == b"debian\n"


def test_one_server_out_of_reach_does_not_end_the_look_at_the_others(rolled_out, make_reached, actor):
    _server, machine = rolled_out
    other, other_machine = make_reached("b.example.org", notes="hi")
    rollouts.ask(actor, other, ["motd"], "on")
    work_off()
    other_machine.down = True
    machine.host.write("/etc/motd", b"by hand\n")
    start_looks()
    work_off()
    states = dict(Rollout.objects.values_list("server__name", "state"))
    assert states == {"a.example.org": RolloutState.DRIFTED, "b.example.org": RolloutState.IN_SYNC}
    assert Server.objects.get(name="b.example.org").contact == Contact.UNREACHABLE


def test_a_fault_of_one_kind_does_not_end_the_look(rolled_out, motd):
    motd.fail = True
    start_looks()
    (job,) = work_off()
    assert job.state == JobState.DONE
    assert Rollout.objects.get().state == RolloutState.IN_SYNC


def test_what_somebody_set_up_by_hand_as_it_should_be_is_no_drift(make_reached, motd, actor):
    server, machine = make_reached("a.example.org", notes="hello")
    machine.host.write("/etc/motd", b"hello\n")
    Rollout.objects.create(server=server, kind="motd", state=RolloutState.IN_SYNC)
    for content, state in ((b"hello\n", RolloutState.IN_SYNC), (b"by hand\n", RolloutState.DRIFTED)):
        machine.host.write("/etc/motd", content)
        services.look_closer(actor, server, ["motd"])
        work_off()
        row = Rollout.objects.get()
        assert row.checked_at
        assert (row.state, bool(row.diff), bool(row.why)) == (state, state == "drifted", state == "drifted")
