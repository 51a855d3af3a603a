"""What stands in the way of “Retire a server”: found out before anything of it goes, and before the guest does."""

from typing import Any
from uuid import uuid4

import pytest
from django.db.models.signals import post_delete
from django.utils import timezone

from accounts.models import User
from backups.models import Backup, BackupRun, LeftData, Restore, Verification
from forwarding.models import HostnameForward, PortForward
from jobs.models import Job
from keymanager.models import Group
from lab.pve import Lacks, TaskFails
from samba.models import Share
from servers.models import Server, UnixUser
from tests.forwarding.hostname_rows import hostname
from tests.keymanager.fleets import make_key, make_server
from tests.wizards.retiring import begin, start, work
from tests.wizards.walking import states
from wizards.models import WizardRun

pytestmark = pytest.mark.django_db(transaction=True)


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
    start(admin_client, run)
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
    start(admin_client, run)
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
    start(admin_client, run)
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


def test_a_hostname_that_cannot_be_changed_is_named_and_no_other_goes(admin_client, leaving, pve):
    Server.objects.filter(name="ct102").update(internal_ip=None)
    run = begin(admin_client, leaving, hostnames="on")
    start(admin_client, run)
    work()
    run.refresh_from_db()
    assert (run.state, run.why.startswith("both.example.org: ")) == ("failed", True)
    assert HostnameForward.objects.count() == 2


@pytest.mark.parametrize("what", ["hostname", "port", "backup", "share"])
def test_what_is_made_while_it_is_under_way_keeps_the_guest(admin_client, leaving, host, pve, what):
    """The last backup takes its time; what somebody makes then would lead to nothing, or be lost."""
    every = dict.fromkeys(("last_backup", "hostnames", "ports", "keys", "backups", "guest", "row"), "on")
    run = begin(admin_client, leaving, **every)
    start(admin_client, run)
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
    start(admin_client, run)
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


@pytest.mark.parametrize("what", ["share", "panel", "keys"])
def test_what_stands_on_it_by_then_is_found_out_before_anything_else_goes(
    admin_client, leaving, pve, settings, what
):
    """While the last backup ran; hostnames, ports, groups and backups had gone when the guest's own task asked."""
    every = dict.fromkeys(("last_backup", "hostnames", "ports", "keys", "backups", "guest", "row"), "on")
    run = begin(admin_client, leaving, **every)
    start(admin_client, run)
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
