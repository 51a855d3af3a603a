"""A server leaves: everything that leads to it goes, what others stand on does not."""

import time
from collections.abc import Iterator
from typing import Any
from uuid import uuid4

import pytest
from django.db.models.signals import post_delete
from django.utils import timezone

from accounts.models import User
from backups.models import Backup, BackupRun, BackupSet, LeftData, Restore, Verification
from forwarding.models import HostnameDestination, HostnameForward, PortForward
from jobs import execute
from jobs.models import Job, JobState
from keymanager.models import Departure, DepartureHost, Group
from lab.pve import Lacks, PveServer, TaskFails
from proxmox.models import GuestSeen
from samba.models import Share
from servers.models import Server, UnixUser
from tests.forwarding.hostname_rows import hostname
from tests.keymanager.fleets import make_key, make_server
from tests.proxmox.panel_side import host_row, simulated
from tests.wizards.walking import states
from wizards.models import WizardRun

pytestmark = pytest.mark.django_db(transaction=True)
OURS = ("wizards.carry_on", "proxmox.destroy")


@pytest.fixture
def pve() -> Iterator[PveServer]:
    with simulated() as running:
        yield running


@pytest.fixture
def host(db, pve) -> Server:
    return host_row(pve)


@pytest.fixture
def leaving(host) -> Server:
    """ct101 with all that can hang on a server."""
    server, other, nginx = (
        Server.objects.create(name=name, keymanager_name=name, is_vm=True, vm_host=host, internal_ip=ip)
        for name, ip in (("ct101", "10.0.0.101"), ("ct102", "10.0.0.102"), ("proxy", "10.0.0.2"))
    )
    Server.objects.filter(pk=host.pk).update(nginx_server=nginx)
    GuestSeen.objects.create(host=host, vmid=101, kind="lxc", name="ct101", server=server)
    hostname(host, "alone.example.org", server)
    hostname(host, "both.example.org", server, other)
    PortForward.objects.create(
        host=host,
        destination=server,
        first_port=101,
        last_port=101,
        destination_first=22,
        destination_last=22,
    )
    group = Group.objects.create(name="web")
    group.member_servers.add(server)
    group.allowed_servers.add(server, other)
    group.allowed_unix_users.add(UnixUser.objects.create(server=server, name="deploy"))
    store = Server.objects.create(name="store", keymanager_name="store", external_ip="198.51.100.9")
    Backup.objects.create(source=server, destination=store, destination_folder="/backups/ct101")
    return server


def work(seconds: float = 30) -> None:
    """Carry out this wizard's jobs, and no rollout: there are no hosts."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        job = Job.objects.filter(
            state=JobState.WAITING, work__in=OURS, not_before__lte=timezone.now()
        ).first()
        claimed = execute.claim(job.pk) if job else None
        if claimed is None:
            return
        execute.carry_out(claimed)


def begin(client, server: Server, **parts: str) -> WizardRun:
    first = client.post("/wizards/new/retire_server/", {"retired": server.pk, "typed_name": server.name})
    assert first.status_code == 302, first.content.decode()
    run = WizardRun.objects.latest("pk")
    if parts:
        second = client.post(f"/wizards/runs/{run.pk}/steps/2/", parts)
        assert second.status_code == 302, second.content.decode()
    return run


def test_everything_of_it_goes_and_copies_stay(admin_client, leaving, pve):
    every = dict.fromkeys(("last_backup", "hostnames", "ports", "keys", "backups", "guest", "row"), "on")
    run = begin(admin_client, leaving, **every)
    page = admin_client.get(f"/wizards/runs/{run.pk}/review/").content.decode()
    assert "The copies of ct101:/ on store" in page
    admin_client.post(f"/wizards/runs/{run.pk}/review/")
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


@pytest.mark.parametrize("why", ["protected", "locked", "without the right", "renamed"])
def test_a_guest_that_proxmox_would_not_destroy_is_found_out_before_anything_else_goes(
    admin_client, leaving, pve, why
):
    config = pve.world.guests[101].config
    before = dict(config)
    config.update({"protected": {"protection": 1}, "locked": {"lock": "backup"}}.get(why, {}))
    fault = Lacks(privileges=("VM.Allocate",)) if why == "without the right" else None
    if fault:
        pve.faults.add(fault)
    if why == "renamed":
        config["hostname"] = "other"
    run = begin(
        admin_client,
        leaving,
        **dict.fromkeys(("hostnames", "ports", "keys", "backups", "guest", "row"), "on"),
    )
    admin_client.post(f"/wizards/runs/{run.pk}/review/")
    work()
    run.refresh_from_db()
    words = {"without the right": "VM.Allocate", "renamed": "is called other"}.get(why, f"it is {why}")
    assert (run.state, words in run.why) == ("failed", True), run.why
    assert HostnameForward.objects.count() == 2
    assert PortForward.objects.exists()
    config.clear()
    config.update(before)
    if fault:
        pve.faults.remove(fault)
    admin_client.post(f"/wizards/runs/{run.pk}/resume/")
    work()
    run.refresh_from_db()
    assert (run.state, 101 in pve.world.guests) == ("done", False), run.why


def test_a_backup_that_runs_just_then_is_the_reason_and_no_fault_of_the_panel(admin_client, leaving, pve):
    run = begin(admin_client, leaving, backups="on")
    admin_client.post(f"/wizards/runs/{run.pk}/review/")
    at_work = BackupRun.objects.create(backup=Backup.objects.get(), state="running")
    work()
    run.refresh_from_db()
    assert (run.state, run.why) == ("failed", "A run of this backup is at work: stop it first.")
    BackupRun.objects.filter(pk=at_work.pk).update(state="done")
    admin_client.post(f"/wizards/runs/{run.pk}/resume/")
    work()
    run.refresh_from_db()
    assert (run.state, Backup.objects.exists()) == ("done", False)


@pytest.mark.parametrize("what", ["run", "restore", "verification"])
def test_a_backup_that_is_in_use_is_found_out_before_anything_else_goes(admin_client, leaving, pve, what):
    every = dict.fromkeys(("hostnames", "ports", "keys", "backups", "guest", "row"), "on")
    run = begin(admin_client, leaving, **every)
    backup = Backup.objects.get()
    at_work: Any = {
        "run": lambda: BackupRun.objects.create(backup=backup, state="running"),
        "restore": lambda: Restore.objects.create(
            backup=backup, target=backup.destination, at=1, copy="hourly.0", folder="/r", state="running"
        ),
        "verification": lambda: Verification.objects.create(
            backup=backup, at=1, copy="hourly.0", state="running"
        ),
    }[what]()
    admin_client.post(f"/wizards/runs/{run.pk}/review/")
    work()
    run.refresh_from_db()
    assert (run.state, "first." in run.why) == ("failed", True)
    assert states(run) == ["off", "failed", *["planned"] * 5]
    assert (HostnameForward.objects.count(), PortForward.objects.count()) == (2, 1)
    type(at_work).objects.update(state="done")
    admin_client.post(f"/wizards/runs/{run.pk}/resume/")
    work()
    run.refresh_from_db()
    assert (run.state, 101 in pve.world.guests) == ("done", False), run.why


def test_a_hostname_to_which_only_a_spare_server_is_left_is_led_by_that(admin_client, leaving, pve):
    """The other hostnames were gone by then, and nothing said which one it was."""
    spare = HostnameDestination.objects.filter(hostname__domain="both.example.org").exclude(server=leaving)
    spare.update(backup=True)
    run = begin(admin_client, leaving, hostnames="on")
    admin_client.post(f"/wizards/runs/{run.pk}/review/")
    work()
    run.refresh_from_db()
    assert (run.state, run.why) == ("done", "")
    (left,) = HostnameForward.objects.get().destinations.all()
    assert (left.server.name, left.backup) == ("ct102", False)


def test_a_hostname_that_cannot_be_changed_is_named_and_no_other_goes(admin_client, leaving, pve):
    Server.objects.filter(name="ct102").update(internal_ip=None)
    run = begin(admin_client, leaving, hostnames="on")
    admin_client.post(f"/wizards/runs/{run.pk}/review/")
    work()
    run.refresh_from_db()
    assert (run.state, run.why.startswith("both.example.org: ")) == ("failed", True)
    assert HostnameForward.objects.count() == 2


def test_parts_depend_on_each_other_and_can_be_left(admin_client, leaving, pve):
    run = begin(admin_client, leaving)
    answer = admin_client.post(f"/wizards/runs/{run.pk}/steps/2/", {"row": "on", "ports": "on"})
    assert answer.status_code == 422
    assert "This needs as well: " in answer.content.decode()
    admin_client.post(f"/wizards/runs/{run.pk}/steps/2/", {"ports": "on"})
    assert "The machine itself" in admin_client.get(f"/wizards/runs/{run.pk}/review/").content.decode()
    admin_client.post(f"/wizards/runs/{run.pk}/review/")
    work()
    assert states(run) == ["off", "off", "done", "off", "off", "off", "off"]
    assert Server.objects.filter(name="ct101").exists()
    assert 101 in pve.world.guests


@pytest.mark.parametrize("what", ["hostname", "port", "backup", "share"])
def test_what_is_made_while_it_is_under_way_keeps_the_guest(admin_client, leaving, host, pve, what):
    """The last backup takes its time; what somebody makes then would lead to nothing, or be lost."""
    every = dict.fromkeys(("last_backup", "hostnames", "ports", "keys", "backups", "guest", "row"), "on")
    run = begin(admin_client, leaving, **every)
    admin_client.post(f"/wizards/runs/{run.pk}/review/")
    work()
    BackupRun.objects.update(state="done")
    made: dict[str, Any] = {}

    def meanwhile(*_args: Any, **_kwargs: Any) -> None:
        if what == "hostname":
            made["row"] = hostname(host, "late.example.org", leaving)
        elif what == "port":
            made["row"] = PortForward.objects.create(
                host=host, destination=leaving, first_port=7, last_port=7,
                destination_first=7, destination_last=7,
            )  # fmt: skip
        elif what == "share":
            made["row"] = Share.objects.create(server=leaving, name="late", folder="late", user="smb-late")
        else:
            store = Server.objects.get(name="store")
            made["row"] = Backup.objects.create(source=leaving, destination=store, destination_folder="/l")

    Job.objects.filter(pk=WizardRun.objects.get().job_id or 0).update(not_before=timezone.now())
    post_delete.connect(meanwhile, sender=Backup)  # its own backup is what goes last before the guest
    try:
        work()
    finally:
        post_delete.disconnect(meanwhile, sender=Backup)
    run.refresh_from_db()
    assert (run.state, states(run)[-2:]) == ("failed", ["failed", "planned"])
    assert "First change this" in run.why
    assert str(made["row"]) in run.why
    assert 101 in pve.world.guests
    made["row"].delete()
    admin_client.post(f"/wizards/runs/{run.pk}/resume/")
    work()
    run.refresh_from_db()
    assert (run.state, 101 in pve.world.guests) == ("done", False)


def test_what_is_made_before_it_is_resumed_keeps_the_guest(admin_client, leaving, host, pve):
    """Proxmox could not destroy it then; days later somebody goes on with that."""
    every = dict.fromkeys(("hostnames", "ports", "keys", "backups", "guest", "row"), "on")
    fault = pve.faults.add(TaskFails(type="vzdestroy", message="it is busy", seconds=0))
    run = begin(admin_client, leaving, **every)
    admin_client.post(f"/wizards/runs/{run.pk}/review/")
    work()
    run.refresh_from_db()
    assert (run.state, "busy" in run.why) == ("failed", True), run.why
    pve.faults.remove(fault)
    made = hostname(host, "late.example.org", leaving)
    for _time in range(2):
        admin_client.post(f"/wizards/runs/{run.pk}/resume/")
        work()
        run.refresh_from_db()
        assert (run.state, str(made) in run.why, 101 in pve.world.guests) == ("failed", True, True), run.why
    made.delete()
    admin_client.post(f"/wizards/runs/{run.pk}/resume/")
    work()
    run.refresh_from_db()
    assert (run.state, 101 in pve.world.guests) == ("done", False), run.why


def test_a_rollout_that_still_runs_on_it_is_waited_for(admin_client, leaving, pve):
    """With its backups ends what let them read as root; that may still try to reach what is destroyed by then."""
    run = begin(
        admin_client, leaving, **dict.fromkeys(("hostnames", "ports", "keys", "backups", "row"), "on")
    )
    job = Job.objects.create(work="servers.roll_out", title="x", args={}, state=JobState.RUNNING)
    Server.objects.filter(pk=leaving.pk).update(rollout_job=job)
    admin_client.post(f"/wizards/runs/{run.pk}/review/")
    work()
    run.refresh_from_db()
    assert (run.state, Server.objects.filter(pk=leaving.pk).exists()) == ("waiting", True), run.why
    Job.objects.filter(pk=job.pk).update(state=JobState.FAILED)
    Job.objects.filter(pk=run.job_id or 0).update(not_before=timezone.now())
    work()
    run.refresh_from_db()
    assert (run.state, Server.objects.filter(pk=leaving.pk).exists()) == ("done", False), run.why


@pytest.mark.parametrize("what", ["share", "panel", "keys"])
def test_what_stands_on_it_by_then_is_found_out_before_anything_else_goes(
    admin_client, leaving, pve, settings, what
):
    """While the last backup ran; hostnames, ports, groups and backups had gone when the guest's own task asked."""
    every = dict.fromkeys(("last_backup", "hostnames", "ports", "keys", "backups", "guest", "row"), "on")
    run = begin(admin_client, leaving, **every)
    admin_client.post(f"/wizards/runs/{run.pk}/review/")
    work()
    BackupRun.objects.update(state="done")
    if what == "share":
        Share.objects.create(server=leaving, name="late", folder="late", user="smb-late")
    elif what == "panel":
        settings.GESTION_NAME = "ct101"
    else:
        UnixUser.objects.create(server=leaving, name="root")
        target = make_server("target")
        group = Group.objects.create(name="backups")
        group.member_servers.add(leaving)
        group.allowed_servers.add(target)
        make_key(leaving.unix_users.get(name="root"), "ct101")
    Job.objects.filter(pk=WizardRun.objects.get().job_id or 0).update(not_before=timezone.now())
    work()
    run.refresh_from_db()
    assert (run.state, states(run)) == ("failed", ["done", "failed", *["planned"] * 5])
    words = {"share": "the share late", "panel": "The panel itself runs on ct101", "keys": "target"}
    assert words[what] in run.why
    assert (HostnameForward.objects.count(), PortForward.objects.count()) == (2, 1)


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
    admin_client.post(f"/wizards/runs/{run.pk}/review/")
    work()
    run.refresh_from_db()
    assert (run.state, run.why) == ("done", "")
    assert 101 not in pve.world.guests
    assert not Server.objects.filter(name="ct101").exists()


def test_leaving_all_groups_alone_is_refused_before_anything_where_it_is_the_last_way_in(
    admin_client, leaving
):
    UnixUser.objects.create(server=leaving, name="root")
    group = Group.objects.get()
    group.member_users.add(User.objects.create(username="ann", is_admin=True))
    make_key(User.objects.get(username="ann"), "ann")
    run = begin(admin_client, leaving)
    parts = {"ports": "on", "keys": "on"}
    answer = admin_client.post(f"/wizards/runs/{run.pk}/steps/2/", parts)
    assert answer.status_code == 422
    assert "After this nobody could log in as root with a key from here: ct101." in answer.content.decode()
    assert leaving in group.allowed_servers.all()
    assert not Job.objects.exists()
    leaving.owners.add(User.objects.get(username="ann"))
    assert admin_client.post(f"/wizards/runs/{run.pk}/steps/2/", parts).status_code == 302


def test_copies_that_a_deleted_backup_left_on_it_are_named_before_anything_is_asked(admin_client, leaving):
    LeftData.objects.create(uuid=uuid4(), destination=leaving, folder="/srv/bk", of="files1:/srv")
    answer = admin_client.post(
        "/wizards/new/retire_server/", {"retired": leaving.pk, "typed_name": leaving.name}
    )
    assert answer.status_code == 422
    assert "copies of a deleted backup are left in ct101:/srv/bk" in answer.content.decode()


def test_a_share_is_named_before_anything_is_asked(admin_client, leaving):
    Share.objects.create(server=leaving, name="photos", folder="photos", user="smb-photos")
    data = {"retired": leaving.pk, "typed_name": leaving.name}
    answer = admin_client.post("/wizards/new/retire_server/", data)
    assert answer.status_code == 422
    assert "First change this: the share photos" in answer.content.decode()


def test_what_others_stand_on_is_refused(admin_client, leaving, host, settings):
    settings.GESTION_VM_NAME, settings.GESTION_IP = "pve1", "10.0.0.102"
    settings.GESTION_URL = "https://panel.example.net/"
    panel = Server.objects.get(name="ct102")
    for server, why in (
        (panel, "The panel itself runs on ct102."),
        (host, "The panel itself runs on a guest of pve1."),
        (Server.objects.get(name="proxy"), "it is the nginx server of pve1."),
        (Server.objects.get(name="store"), "the copies of the backup ct101:/ are there."),
        (host, "First change this: ct101 runs on it; ct102 runs on it"),
    ):
        data = {"retired": server.pk, "typed_name": server.name}
        answer = admin_client.post("/wizards/new/retire_server/", data)
        assert answer.status_code == 422
        assert why in answer.content.decode()
    data = {"retired": leaving.pk, "typed_name": "ct102"}
    assert "This is not its name." in admin_client.post("/wizards/new/retire_server/", data).content.decode()
    assert not WizardRun.objects.exists()
