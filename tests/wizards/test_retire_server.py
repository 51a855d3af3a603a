"""A server leaves: everything that leads to it goes, what others stand on does not."""

from typing import Any

import pytest
from django.utils import timezone

from accounts.models import User
from backups.models import Backup, BackupRun, BackupSet, LeftData
from forwarding.models import HostnameDestination, HostnameForward, PortForward
from jobs.models import Job, JobState
from keymanager.models import Departure, DepartureHost, Group
from proxmox.models import GuestSeen
from servers.models import Server, UnixUser
from tests.forwarding.hostname_rows import hostname
from tests.keymanager.fleets import make_key, make_server
from tests.wizards.retiring import begin, start, work
from tests.wizards.walking import states
from wizards.models import WizardRun

pytestmark = pytest.mark.django_db(transaction=True)


def test_everything_of_it_goes_and_copies_stay(admin_client, leaving, pve):
    every = dict.fromkeys(("last_backup", "hostnames", "ports", "keys", "backups", "guest", "row"), "on")
    run = begin(admin_client, leaving, **every)
    page = admin_client.get(f"/wizards/runs/{run.pk}/review/").content.decode()
    assert "The copies of ct101:/ on store" in page
    start(admin_client, run)
    work()
    run.refresh_from_db()
    assert (run.state, run.why) == ("waiting", "")
    assert HostnameForward.objects.count() == 2  # nothing goes before the last backup is there
    BackupRun.objects.update(state="failed", error="disk full")
    Job.objects.filter(pk=run.job_id or 0).update(not_before=timezone.now())
    work()
    run.refresh_from_db()
    assert run.why == "The last backup did not end well: ct101:/: failed disk full"
    admin_client.post(f"/wizards/runs/{run.pk}/resume/")
    work()
    BackupRun.objects.exclude(state="failed").update(state="done")
    Job.objects.filter(pk=WizardRun.objects.get().job_id or 0).update(not_before=timezone.now())
    work()
    run.refresh_from_db()
    assert (run.state, run.why, states(run)) == ("done", "", ["done"] * 7)
    assert 101 not in pve.world.guests
    assert 102 in pve.world.guests
    assert not Server.objects.filter(name="ct101").exists()
    assert [row.domain for row in HostnameForward.objects.all()] == ["both.example.org"]
    assert [str(one) for one in HostnameForward.objects.get().destinations.all()] == ["ct102"]
    assert not PortForward.objects.exists()
    group = Group.objects.get()
    assert [row.name for row in group.allowed_servers.all()] == ["ct102"]
    assert LeftData.objects.get().folder == "/backups/ct101"
    assert admin_client.get(run.get_absolute_url()).status_code == 200


def test_a_hostname_to_which_only_a_spare_server_is_left_is_led_by_that(admin_client, leaving, pve):
    """The other hostnames were gone by then, and nothing said which one it was."""
    spare = HostnameDestination.objects.filter(hostname__domain="both.example.org").exclude(server=leaving)
    spare.update(backup=True)
    run = begin(admin_client, leaving, hostnames="on")
    start(admin_client, run)
    work()
    run.refresh_from_db()
    assert (run.state, run.why) == ("done", "")
    (left,) = HostnameForward.objects.get().destinations.all()
    assert (left.server.name, left.backup) == ("ct102", False)


def test_parts_depend_on_each_other_and_can_be_left(admin_client, leaving, pve):
    run = begin(admin_client, leaving)
    answer = admin_client.post(f"/wizards/runs/{run.pk}/steps/2/", {"row": "on", "ports": "on"})
    assert answer.status_code == 422
    assert "This needs as well: " in answer.content.decode()
    admin_client.post(f"/wizards/runs/{run.pk}/steps/2/", {"ports": "on"})
    assert "The machine itself" in admin_client.get(f"/wizards/runs/{run.pk}/review/").content.decode()
    start(admin_client, run)
    work()
    assert states(run) == ["off", "off", "done", "off", "off", "off", "off"]
    assert Server.objects.filter(name="ct101").exists()
    assert 101 in pve.world.guests


def test_a_rollout_that_still_runs_on_it_is_waited_for(admin_client, leaving, pve):
    """With its backups ends what let them read as root; that may still try to reach what is destroyed by then."""
    run = begin(
        admin_client, leaving, **dict.fromkeys(("hostnames", "ports", "keys", "backups", "row"), "on")
    )
    job = Job.objects.create(work="servers.roll_out", title="x", args={}, state=JobState.RUNNING)
    Server.objects.filter(pk=leaving.pk).update(rollout_job=job)
    start(admin_client, run)
    work()
    run.refresh_from_db()
    assert (run.state, Server.objects.filter(pk=leaving.pk).exists()) == ("waiting", True), run.why
    Job.objects.filter(pk=job.pk).update(state=JobState.FAILED)
    Job.objects.filter(pk=run.job_id or 0).update(not_before=timezone.now())
    work()
    run.refresh_from_db()
    assert (run.state, Server.objects.filter(pk=leaving.pk).exists()) == ("done", False), run.why


def test_all_that_goes_is_named_with_links_and_what_is_made_since_is_looked_at_anew(
    admin_client, leaving, host, pve
):
    nightly = BackupSet.objects.create(name="nightly")
    nightly.members.create(backup=Backup.objects.get(source=leaving), position=1)
    every = dict.fromkeys(("hostnames", "ports", "keys", "backups", "guest", "row"), "on")
    run = begin(admin_client, leaving, **every)
    page = f"/wizards/runs/{run.pk}/review/"
    shown = admin_client.get(page)
    said = shown.content.decode()
    rows: list[Any] = [
        *HostnameForward.objects.all(),
        *PortForward.objects.all(),
        *Backup.objects.all(),
        nightly,
        GuestSeen.objects.get(),  # which one it is, is told by an address, and that may have been typed wrong
    ]
    for row in [*rows, Group.objects.get()]:
        assert f'<a href="{row.get_absolute_url()}">' in said, row
    goes = admin_client.get(page, headers={"Accept": "application/json"}).json()["goes"]
    assert "Its place in the set nightly" in goes
    late = hostname(host, "late.example.org", leaving)
    again = admin_client.post(page, {"seen": shown.context["seen"]}, follow=True)
    assert "Something else would be done by now" in again.content.decode()
    assert f'<a href="{late.get_absolute_url()}">' in again.content.decode()
    run.refresh_from_db()
    assert run.state == "asking"


def test_a_program_too_says_what_it_has_looked_over(admin_client, leaving, host, pve):
    run = begin(admin_client, leaving, hostnames="on")
    page, as_json = f"/wizards/runs/{run.pk}/review/", {"Accept": "application/json"}

    def post(**said: str) -> tuple[int, dict[str, Any]]:
        answer = admin_client.post(page, said, content_type="application/json", headers=as_json)
        return answer.status_code, answer.json()

    shown = admin_client.get(page, headers=as_json).json()
    hostname(host, "late.example.org", leaving)
    status, said = post()
    assert (status, list(said["errors"])) == (422, ["seen"])
    assert "Something else would be done by now" in str(post(seen=shown["seen"]))
    run.refresh_from_db()
    assert run.state == "asking"
    again = admin_client.get(page, headers=as_json).json()
    assert any("late.example.org" in one for one in again["goes"])
    assert post(seen=again["seen"])[0] == 200
    run.refresh_from_db()
    assert run.state == "running"


def test_of_what_stays_nothing_is_said_to_go(admin, admin_client, leaving, pve):
    """Its keys and its place in the list of who has left go with its row alone."""
    make_key(leaving.unix_users.get(), "its own")
    DepartureHost.objects.create(departure=Departure.objects.create(person=admin), server=leaving)
    run = begin(admin_client, leaving, keys="on", ports="on")
    goes = admin_client.get(f"/wizards/runs/{run.pk}/review/", headers={"Accept": "application/json"}).json()[
        "goes"
    ]
    assert goes == [
        f"the forwarded port {PortForward.objects.get()} leads to it",
        "Membership of the group web",
        "The group web is allowed on it",
    ]


def test_what_loses_the_machine_is_named_also_where_it_is_to_stay(admin_client, leaving, pve):
    run = begin(admin_client, leaving, guest="on")
    goes = admin_client.get(f"/wizards/runs/{run.pk}/review/", headers={"Accept": "application/json"}).json()[
        "goes"
    ]
    rows = [*HostnameForward.objects.all(), *PortForward.objects.all(), *Backup.objects.all()]
    assert len(rows) >= 3
    assert [row for row in rows if not any(str(row) in one for one in goes)] == []


def test_its_own_last_way_in_goes_with_it_and_that_of_others_is_named_before(admin_client, leaving, pve):
    """Its groups let the panel and an admin in, as those of the wizard that makes servers do."""
    UnixUser.objects.create(server=leaving, name="root")
    group = Group.objects.get()
    group.member_users.add(User.objects.create(username="ann", is_admin=True))
    make_key(User.objects.get(username="ann"), "ann")
    backups, target = Group.objects.create(name="backups"), make_server("target")
    backups.member_servers.add(leaving)
    backups.allowed_servers.add(target)
    make_key(leaving.unix_users.get(name="root"), "ct101")
    every = dict.fromkeys(("hostnames", "ports", "keys", "backups", "guest", "row"), "on")
    run = begin(admin_client, leaving)
    answer = admin_client.post(f"/wizards/runs/{run.pk}/steps/2/", every)
    assert answer.status_code == 422
    assert "with a key from here: target." in answer.content.decode()
    backups.member_users.add(User.objects.get(username="ann"))
    assert admin_client.post(f"/wizards/runs/{run.pk}/steps/2/", every).status_code == 302
    start(admin_client, run)
    work()
    run.refresh_from_db()
    assert (run.state, run.why) == ("done", "")
    assert 101 not in pve.world.guests
    assert not Server.objects.filter(name="ct101").exists()
