"""Rollouts: asked for, coalesced, one at a time on a server, applied, recorded, tried again."""

import threading

import pytest
from django.db import connection, transaction
from django.utils import timezone

from accounts.actors import Actor
from hosts.errors import CommandFailed
from hosts.host import Result
from hosts.state import File, State
from jobs.models import Job, JobState
from jobs.services import stop_job
from servers import contact, registry, rollouts, services, upkeep
from servers.claims import claim, claimed, release
from servers.models import Contact, Rollout, RolloutRecord, RolloutState, Server
from tests.servers.conftest import pin, work_off
from tests.servers.fleet import host_key

pytestmark = [pytest.mark.services, pytest.mark.django_db(transaction=True)]


def set_notes(server: Server, text: str) -> None:
    Server.objects.filter(pk=server.pk).update(notes=text)


def the_rollout() -> Rollout:
    return Rollout.objects.get()


def test_what_was_asked_for_is_on_the_host_and_in_the_history(make_reached, motd, actor):
    server, machine = make_reached("a.example.org", notes="hello")
    rollouts.ask(actor, server, ["motd"], "notes changed")
    assert the_rollout().state == RolloutState.WAITING
    (job,) = work_off()
    assert job.state == JobState.DONE
    assert machine.host.read("/etc/motd") == b"hello\n"
    row = the_rollout()
    assert (row.state, row.wanted, row.applied, row.diff, row.why) == (RolloutState.IN_SYNC, 1, 1, "", "")
    record = RolloutRecord.objects.get()
    assert (record.outcome, record.revision, record.asked_for, record.by_name) == (
        "applied",
        1,
        "notes changed",
        "test",
    )
    assert "+hello" in record.diff
    assert record.job == job


def test_asking_again_without_a_change_writes_nothing_and_says_so(make_reached, motd, actor):
    server, machine = make_reached("a.example.org", notes="hello")
    for _turn in range(2):
        rollouts.ask(actor, server, ["motd"], "again")
        work_off()
    assert [record.outcome for record in RolloutRecord.objects.all()] == ["nothing", "applied"]
    assert [argv for argv in machine.host.ran if argv == ("use-motd",)] == [("use-motd",)]


@pytest.mark.parametrize("fails", [False, True])
def test_what_a_kind_says_afterwards_is_in_the_history_and_its_trouble_spoils_nothing(
    make_reached, motd, actor, fails
):
    def afterwards(server, host):
        if fails:
            raise CommandFailed(server.name, "no such file", command="cat", code=1)
        return f"{host.read('/etc/motd').decode().strip()} is left out."

    kind = registry.RolloutKind("motd", "Message of the day", motd.desired, afterwards=afterwards)
    registry.register(registry.ServerPart("test-motd", kinds=(kind,)))
    server, _machine = make_reached("a.example.org", notes="hello")
    rollouts.ask(actor, server, ["motd"], "notes changed")
    work_off()
    assert the_rollout().state == RolloutState.IN_SYNC
    told = "no such file" if fails else "proved. hello is left out."
    assert told in RolloutRecord.objects.get().said


def test_quick_changes_become_one_job(make_reached, motd, actor):
    server, _machine = make_reached("a.example.org", notes="hello")
    for number in range(5):
        with transaction.atomic():
            set_notes(server, f"hello {number}")
            rollouts.ask(actor, server, ["motd"], f"change {number}")
    assert Job.objects.count() == 1
    work_off()
    assert the_rollout().applied == 5
    assert RolloutRecord.objects.count() == 1


def test_nothing_is_asked_for_when_the_change_is_rolled_back(make_reached, motd, actor):
    server, _machine = make_reached("a.example.org", notes="hello")
    with transaction.atomic():
        rollouts.ask(actor, server, ["motd"], "never happened")
        transaction.set_rollback(True)
    assert not Rollout.objects.exists()
    assert not Job.objects.exists()


def test_a_change_during_the_rollout_is_rolled_out_right_after_it(make_reached, motd, actor):
    server, machine = make_reached("a.example.org", notes="first")
    machine.host.answers({("use-motd",): Result(0)})
    rollouts.ask(actor, server, ["motd"], "first")

    plain = motd.desired

    def desired_then_changed(row):
        state = plain(row)
        if motd.calls == 1:
            set_notes(server, "second")
            rollouts.ask(actor, server, ["motd"], "second")
        return state

    kind = registry.RolloutKind("motd", "Message of the day", desired_then_changed)
    registry.register(registry.ServerPart("test-motd", kinds=(kind,)))
    work_off()
    assert machine.host.read("/etc/motd") == b"second\n"
    assert the_rollout().state == RolloutState.IN_SYNC
    assert the_rollout().applied == 2


def test_a_kind_that_is_no_longer_wanted_is_taken_away(make_reached, motd, actor):
    server, machine = make_reached("a.example.org", notes="hello")
    rollouts.ask(actor, server, ["motd"], "on")
    work_off()
    set_notes(server, "")
    rollouts.ask(actor, server, ["motd"], "off")
    work_off()
    assert machine.host.read("/etc/motd") is None
    assert the_rollout().state == RolloutState.IN_SYNC


def test_a_failed_check_leaves_the_old_state_and_the_hosts_words(make_reached, motd, actor):
    server, machine = make_reached("a.example.org", notes="hello")
    machine.host.answers({("check-motd",): Result(1, err=b"motd: line 1: no greeting\n")})
    rollouts.ask(actor, server, ["motd"], "on")
    (job,) = work_off()
    assert job.state == JobState.FAILED
    assert machine.host.read("/etc/motd") is None
    row = the_rollout()
    assert row.state == RolloutState.FAILED
    assert "line 1: no greeting" in row.why
    assert RolloutRecord.objects.get().outcome == "failed"


def test_one_kind_that_fails_does_not_keep_the_others(make_reached, motd, actor):
    server, machine = make_reached("a.example.org", notes="hello")
    motd.fail = True
    other = registry.RolloutKind(
        "issue", "Issue", lambda _server: State("issue", (File("/etc/issue", b"hi\n"),)), order=90
    )
    registry.register(registry.ServerPart("test-issue", kinds=(other,)))
    try:
        rollouts.ask(actor, server, ["motd", "issue"], "both")
        (job,) = work_off()
    finally:
        registry.unregister("test-issue")
    assert job.state == JobState.FAILED
    assert machine.host.read("/etc/issue") == b"hi\n"
    states = dict(Rollout.objects.values_list("kind", "state"))
    assert states == {"motd": RolloutState.FAILED, "issue": RolloutState.IN_SYNC}
    assert "a fault of the kind" in Rollout.objects.get(kind="motd").why


def test_a_kind_that_no_room_brings_any_more_is_not_removed_but_failed(make_reached, actor):
    server, machine = make_reached("a.example.org", notes="hello")
    rollouts.ask(actor, server, ["gone"], "on")
    work_off()
    assert the_rollout().state == RolloutState.FAILED
    assert machine.logins == 0


def test_an_unreachable_server_is_tried_again_later_and_when_it_is_back(make_reached, motd, actor):
    server, machine = make_reached("a.example.org", notes="hello")
    machine.down = True
    rollouts.ask(actor, server, ["motd"], "on")
    (job,) = work_off()
    assert job.state == JobState.FAILED
    row = the_rollout()
    assert row.state == RolloutState.UNREACHABLE
    assert row.retry_at
    assert row.retry_at > timezone.now()
    server.refresh_from_db()
    assert server.contact == Contact.UNREACHABLE
    machine.down = False
    contact.check(server)
    work_off()
    assert the_rollout().state == RolloutState.IN_SYNC
    assert machine.host.read("/etc/motd") == b"hello\n"


def test_waits_between_tries_grow(make_reached, motd, actor):
    server, machine = make_reached("a.example.org", notes="hello")
    machine.down = True
    rollouts.ask(actor, server, ["motd"], "on")
    waits = []
    for _turn in range(4):
        work_off()
        row = the_rollout()
        assert row.retry_at
        waits.append((row.retry_at - row.since).total_seconds())
        Rollout.objects.update(retry_at=timezone.now())
        upkeep.resume()
    assert waits == sorted(waits)
    assert waits[0] == pytest.approx(30, abs=2)
    assert waits[3] == pytest.approx(240, abs=2)


def test_after_a_day_it_is_given_up_and_says_so(make_reached, motd, actor):
    server, machine = make_reached("a.example.org", notes="hello")
    machine.down = True
    rollouts.ask(actor, server, ["motd"], "on")
    work_off()
    Rollout.objects.update(retry_until=timezone.now())
    upkeep.resume()
    assert the_rollout().state == RolloutState.FAILED
    assert not Job.objects.filter(state=JobState.WAITING).exists()


def test_before_the_host_key_is_accepted_nothing_starts_and_then_all_of_it(
    make_server, memory_fleet, motd, actor
):
    server = make_server("a.example.org", ssh_connection="root@a.example.org", notes="hello")
    machine = memory_fleet.add("root@a.example.org")
    work_off()  # the check after it was added
    server.refresh_from_db()
    assert server.contact == Contact.UNPINNED
    rollouts.ask(actor, server, ["motd"], "on")
    assert not Job.objects.filter(state=JobState.WAITING).exists()
    assert "accepted" in the_rollout().why
    services.accept_host_key(actor, server.host_keys.get())
    work_off()
    assert the_rollout().state == RolloutState.IN_SYNC
    assert machine.host.read("/etc/motd") == b"hello\n"


def test_a_changed_host_key_stops_rollouts_until_it_is_accepted(make_reached, motd, actor):
    server, machine = make_reached("a.example.org", notes="hello")
    machine.key = host_key("another machine")
    rollouts.ask(actor, server, ["motd"], "on")
    work_off()
    server.refresh_from_db()
    assert server.contact == Contact.CHANGED
    assert the_rollout().state == RolloutState.UNREACHABLE
    machine.key = host_key("root@a.example.org")  # the old key is back: still an admin must say so
    contact.check(server)
    work_off()
    server.refresh_from_db()
    assert server.contact == Contact.CHANGED
    assert machine.host.read("/etc/motd") is None
    services.reject_host_key(actor, server.host_keys.get(pinned_at=None))
    work_off()
    assert the_rollout().state == RolloutState.IN_SYNC


def test_a_foreign_file_is_shown_and_adopted_only_when_told(make_reached, motd, actor, admin):
    server, machine = make_reached("a.example.org", notes="hello")
    machine.host.write("/etc/motd", b"debian\n")
    rollouts.ask(actor, server, ["motd"], "on")
    work_off()
    row = the_rollout()
    assert (row.state, row.foreign) == (RolloutState.FAILED, ["/etc/motd"])
    assert "-debian" in row.diff
    assert machine.host.read("/etc/motd") == b"debian\n"
    services.adopt(Actor(admin, "ada"), row, ["/etc/motd"])
    work_off()
    row = the_rollout()
    assert (row.state, row.foreign, row.adopt) == (RolloutState.IN_SYNC, [], [])
    assert machine.host.read("/etc/motd") == b"hello\n"
    assert "kept" in RolloutRecord.objects.get(outcome="applied").said


def test_adopting_one_path_does_not_adopt_another_one(make_reached, motd, actor):
    server, machine = make_reached("a.example.org", notes="hello")
    machine.host.write("/etc/motd", b"debian\n")
    rollouts.ask(actor, server, ["motd"], "on")
    work_off()
    services.adopt(actor, the_rollout(), ["/etc/other"])
    work_off()
    assert machine.host.read("/etc/motd") == b"debian\n"
    assert the_rollout().state == RolloutState.FAILED


def test_a_second_job_leaves_the_server_to_the_first_which_does_its_work(make_reached, motd, actor):
    server, machine = make_reached("a.example.org", notes="first")
    machine.busy, machine.go_on = threading.Event(), threading.Event()
    rollouts.ask(actor, server, ["motd"], "first")

    def first_worker():
        try:
            work_off(1)
        except AssertionError:
            pass
        finally:
            connection.close()

    thread = threading.Thread(target=first_worker)
    thread.start()
    try:
        assert machine.busy.wait(20)
        set_notes(server, "second")
        rollouts.ask(actor, server, ["motd"], "second")
        (second,) = work_off()
        assert second.state == JobState.DONE
        assert machine.logins == 1  # it did not even connect
    finally:
        machine.go_on.set()
        thread.join(30)
    work_off()
    assert the_rollout().state == RolloutState.IN_SYNC
    assert the_rollout().applied == 2
    assert machine.host.read("/etc/motd") == b"second\n"


def test_only_one_job_holds_a_server_and_a_dead_one_holds_nothing(make_server):
    server = make_server("a.example.org")
    first, second = (Job.objects.create(work="servers.roll_out", title=t) for t in "ab")
    assert claim(server, first)
    assert claim(server, first)
    assert not claim(server, second)
    assert claimed(server)
    Job.objects.filter(pk=first.pk).update(state=JobState.LOST)
    assert not claimed(server)
    assert claim(server, second)
    release(server, first)  # too late: not its claim any more
    assert not claim(server, first)
    release(server, second)
    assert claim(server, first)


def test_what_a_dead_worker_left_is_taken_up_again(make_reached, motd, actor):
    server, machine = make_reached("a.example.org", notes="hello")
    rollouts.ask(actor, server, ["motd"], "on")
    dead = Job.objects.get()
    Job.objects.update(state=JobState.LOST, once_key="")
    claim(server, dead)
    Rollout.objects.update(state=RolloutState.APPLYING, job=dead)
    upkeep.resume()
    work_off()
    assert the_rollout().state == RolloutState.IN_SYNC
    assert machine.host.read("/etc/motd") == b"hello\n"


def test_a_stopped_rollout_stays_stopped(make_reached, motd, actor):
    server, _machine = make_reached("a.example.org", notes="hello")
    rollouts.ask(actor, server, ["motd"], "on")
    stop_job(actor, Job.objects.get())
    row = the_rollout()
    assert row.state == RolloutState.FAILED
    assert "Stopped by test" in row.why
    upkeep.resume()
    assert not Job.objects.filter(state=JobState.WAITING).exists()


def test_a_guest_without_a_connection_is_reached_through_its_host(
    make_reached, make_server, memory_fleet, motd, actor
):
    host, _machine = make_reached("pve1.example.org", is_proxmox=True)
    guest = make_server("web.example.org", is_vm=True, vm_host=host, internal_ip="10.0.0.5", notes="hello")
    machine = memory_fleet.add("root@10.0.0.5")
    pin(guest, machine)
    rollouts.ask(actor, guest, ["motd"], "on")
    work_off()
    assert the_rollout().state == RolloutState.IN_SYNC
    assert set(machine.through) == {"root@pve1.example.org"}


def test_waiting_rollouts_of_the_fleet_are_asked_for_at_once_but_not_the_drifted(make_reached, motd, actor):
    rows = [make_reached(f"s{number}.example.org", notes="hello")[0] for number in range(3)]
    for row, state in zip(
        rows, (RolloutState.FAILED, RolloutState.DRIFTED, RolloutState.UNREACHABLE), strict=True
    ):
        Rollout.objects.create(server=row, kind="motd", state=state)
    assert services.roll_out_waiting(actor, Server.objects.all()) == 2
    work_off()
    states = sorted(Rollout.objects.values_list("state", flat=True))
    assert states == [RolloutState.DRIFTED, RolloutState.IN_SYNC, RolloutState.IN_SYNC]


def test_a_server_nobody_has_reached_yet_gets_no_job_that_could_only_fail(make_server, motd, actor):
    server = make_server("planned.example.org", notes="hello")
    work_off()
    rollouts.ask(actor, server, ["motd"], "on")
    upkeep.resume()
    assert not Job.objects.filter(state=JobState.WAITING).exists()
    assert the_rollout().state == RolloutState.WAITING
    assert "accepted" in the_rollout().why


def test_a_kind_cannot_roll_out_under_another_kinds_name(make_reached, motd, actor):
    server, machine = make_reached("a.example.org", notes="hello")
    kind = registry.RolloutKind("other", "Other", motd.desired)
    registry.register(registry.ServerPart("test-motd", kinds=(kind,)))
    rollouts.ask(actor, server, ["other"], "on")
    work_off()
    assert the_rollout().state == RolloutState.FAILED
    assert machine.host.read("/etc/motd") is None


def test_of_two_workers_at_the_same_moment_one_gets_the_server(make_server):
    server = make_server("a.example.org")
    jobs = [
        Job.objects.create(work="servers.roll_out", title=str(number), state="running") for number in range(4)
    ]
    got, ready = [], threading.Barrier(4)

    def ask(job):
        try:
            ready.wait(10)
            got.append(claim(server, job))
        finally:
            connection.close()

    threads = [threading.Thread(target=ask, args=[job]) for job in jobs]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert sorted(got) == [False, False, False, True]
