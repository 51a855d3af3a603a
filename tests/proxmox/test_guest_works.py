"""What is done with guests, by jobs: every fault ends in a clear state, nothing half made, a second try works."""

import threading
from uuid import uuid4

import pytest
from django.core.exceptions import ValidationError

from accounts.models import AuditEntry
from backups.models import Backup, LeftData
from jobs.models import Job, JobState
from jobs.services import stop_job
from lab.pve import Drops, Guest, IdTaken, Lacks, Locked, Refuses, TaskFails
from pages.second_word import SecondWordNeeded, second_word
from proxmox import observing, works_guests
from proxmox.guests import identity_of
from proxmox.models import AskedTask, GuestReading
from proxmox.services import access
from proxmox.services import guests as services
from samba.models import Share
from servers.models import Server
from tests.proxmox.panel_side import (
    ACTOR,
    carry_out,
    die_in_the_middle,
    guest,
    host_row,
    lines,
    simulated,
)
from tests.waiting import wait_for

pytestmark = pytest.mark.django_db(transaction=True)


def tasks_of(pve, name: str) -> list:
    return [task for task in pve.cluster.tasks.all() if task.type == name]


def runs(pve, vmid: int = 101) -> bool:
    return pve.cluster.hypervisor.running(pve.world.guests[vmid])


def operate(host, action: str, vmid: int = 101, **more):
    return carry_out(services.operate_guest(ACTOR, guest(host, vmid), action, **more))


@pytest.mark.parametrize(
    ("action", "kind", "on"),
    [("stop", "vzstop", False), ("shutdown", "vzshutdown", False), ("reboot", "vzreboot", True)],
)
def test_a_running_guest_is_stopped_shut_down_and_rebooted(host, pve, action, kind, on):
    job = operate(host, action)
    assert (job.state, runs(pve)) == (JobState.DONE, on)
    assert [task.status for task in tasks_of(pve, kind)] == ["OK"]
    assert "TASK OK" in lines(job)
    entry = AuditEntry.objects.get(verb=f"guest.{action}")
    after = {"guest": "ct101", "kind": "lxc", "vmid": 101}
    assert (entry.object_name, entry.after) == ("pve1", after)


@pytest.mark.parametrize("version", ["7.4-17", "8.4.1"])
def test_older_versions_are_operated_changed_and_destroyed_too(db, version):
    with simulated(version=version) as old:
        host = host_row(old)
        assert carry_out(access.try_access(ACTOR, host)).state == JobState.DONE
        assert operate(host, "reboot").state == JobState.DONE
        assert change(host, {"memory": 2048}).state == JobState.DONE
        assert destroy(host, stop_first=True).state == JobState.DONE
        assert 101 not in old.world.guests


def test_a_guest_is_started_and_what_is_as_wanted_is_left_alone(host, pve):
    assert operate(host, "stop").state == JobState.DONE
    assert operate(host, "start").state == JobState.DONE
    assert runs(pve)
    job = operate(host, "start")
    assert job.state == JobState.DONE
    assert "runs already" in lines(job)
    assert len(tasks_of(pve, "vzstart")) == 1


def test_the_host_is_looked_at_after_every_action_failed_or_not(host, pve):
    looked: list[Server] = []
    observing.on_change(looked.append)
    try:
        operate(host, "stop")
        pve.faults.add(Refuses())
        operate(host, "start")
    finally:
        observing._listeners.remove(looked.append)
    assert looked == [host, host]


def test_an_id_with_another_name_is_left_alone(host, pve):
    job = carry_out(services.operate_guest(ACTOR, guest(host, 101, "web1"), "stop"))
    assert job.state == JobState.FAILED
    assert "called ct101, not web1" in job.error
    job = carry_out(services.operate_guest(ACTOR, guest(host, 555), "stop"))
    assert "no guest 555" in job.error
    assert not pve.cluster.tasks.all()


FAULTS = [
    (Refuses(times=1, status=595, reason="No route to host"), "No route to host"),
    (Refuses(times=1, method="POST", status=503, reason="Service Unavailable"), "Service Unavailable"),
    (TaskFails(times=1, type="vzstop", message="command 'lxc-stop' failed"), "command 'lxc-stop' failed"),
    (TaskFails(times=1, type="vzstop", message="too late", seconds=0.5), "too late"),
    (Drops(times=1, method="POST"), "closed"),
]


@pytest.mark.parametrize(("fault", "words"), FAULTS, ids=lambda value: type(value).__name__)
def test_a_fault_is_told_in_its_own_words_and_a_second_try_succeeds(host, pve, fault, words):
    pve.faults.add(fault)
    job = operate(host, "stop")
    assert job.state == JobState.FAILED
    assert words in job.error
    assert runs(pve)
    assert operate(host, "stop").state == JobState.DONE
    assert not runs(pve)


def test_a_locked_guest_says_why_and_a_second_try_succeeds(host, pve):
    fault = pve.faults.add(Locked(vmid=101))
    job = operate(host, "stop")
    assert job.state == JobState.FAILED
    assert "CT is locked (backup)" in job.error
    pve.faults.remove(fault)
    assert operate(host, "stop").state == JobState.DONE


def test_a_missing_right_is_named(host, pve):
    pve.faults.add(Lacks(privileges=("VM.PowerMgmt",)))
    job = operate(host, "stop")
    assert job.state == JobState.FAILED
    assert "VM.PowerMgmt on /vms/101" in job.error


@pytest.mark.parametrize(
    "fault",
    [Drops(times=1, method="POST", after=True), Refuses(times=1, method="POST", after=True)],
    ids=lambda fault: type(fault).__name__,
)
def test_a_lost_answer_is_no_second_task(host, pve, fault):
    pve.faults.add(fault)
    job = operate(host, "reboot")
    assert job.state == JobState.DONE
    assert len(tasks_of(pve, "vzreboot")) == 1


def test_an_api_that_fails_while_a_task_runs_is_asked_again(host, pve):
    pve.world.durations["vzstop"] = 3.0
    job = services.operate_guest(ACTOR, guest(host), "stop")
    fault = Refuses(method="GET", path="*/tasks/*/status", times=3)
    pve.faults.add(fault)
    assert carry_out(job).state == JobState.DONE
    assert (fault.times, len(tasks_of(pve, "vzstop"))) == (0, 1)
    assert "goes on meanwhile" in lines(job)


def test_a_job_whose_worker_died_does_not_reboot_twice(host, pve):
    job = operate(host, "reboot")
    die_in_the_middle(job)
    assert carry_out(job).state == JobState.DONE
    assert len(tasks_of(pve, "vzreboot")) == 1
    AskedTask.objects.update(upid="")  # it died before it knew the task's id
    die_in_the_middle(job)
    assert carry_out(job).state == JobState.DONE
    assert len(tasks_of(pve, "vzreboot")) == 1
    assert "has begun that already" in lines(job)


def stopped_shutdown(host, pve) -> Job:
    """The job of a shutdown that was stopped while it waited."""
    pve.world.durations["vzshutdown"] = 60.0
    job = services.operate_guest(ACTOR, guest(host), "shutdown")
    thread = threading.Thread(target=carry_out, args=(job,))
    thread.start()
    wait_for(lambda: AskedTask.objects.exclude(upid="").exists(), name="the shutdown's id")
    stop_job(ACTOR, job)
    thread.join(60)
    job.refresh_from_db()
    assert job.state == JobState.STOPPED
    return job


def test_stop_ends_the_waiting_and_a_shutdown(host, pve):
    stopped_shutdown(host, pve)
    pve.cluster.tasks.wait_all()
    assert tasks_of(pve, "vzshutdown")[0].status == "received interrupt"
    assert runs(pve)


def test_a_connection_that_is_lost_as_a_shutdown_is_stopped_does_not_let_it_go_on(host, pve):
    """Stop closes what a job waits for, and may close what it asks next."""
    pve.faults.add(Drops(times=1, method="DELETE"))
    assert "Proxmox was asked to end the task" in lines(stopped_shutdown(host, pve))
    pve.cluster.tasks.wait_all()
    assert tasks_of(pve, "vzshutdown")[0].status == "received interrupt"


def test_that_a_shutdown_goes_on_is_told_where_it_could_not_be_stopped(host, pve):
    pve.faults.add(Drops(method="DELETE"))
    told = "Proxmox goes on with the task, because it could not be asked to end it"
    assert told in lines(stopped_shutdown(host, pve))
    assert tasks_of(pve, "vzshutdown")[0].status is None


def change(host, changes, vmid: int = 101, digest: str = ""):
    return carry_out(services.change_guest(ACTOR, guest(host, vmid), changes, digest=digest))


def test_memory_and_cores_change_live_and_a_pending_change_is_said(host, pve):
    job = change(host, {"memory": 2048, "cores": None, "nameserver": "9.9.9.9"})
    assert job.state == JobState.DONE
    found = pve.world.guests[101]
    assert (found.config["memory"], found.config.get("cores")) == (2048, None)
    assert found.pending == {"nameserver": "9.9.9.9"}
    assert "nameserver = 9.9.9.9 waits for the next start" in lines(job)
    reading = GuestReading.objects.get(host=host, vmid=101)
    assert (reading.pending, reading.config["memory"]) == ({"nameserver": "9.9.9.9"}, 2048)


def test_a_change_that_is_made_already_is_not_made_again(host, pve):
    job = change(host, {"hostname": "renamed"})
    assert job.state == JobState.DONE
    pve.world.guests[101].config["description"] = "somebody else's change\n"
    die_in_the_middle(job)
    assert carry_out(job).state == JobState.DONE
    assert "is as wanted already" in lines(job)


def test_a_configuration_that_somebody_else_changed_is_left_alone(host, pve):
    carry_out(services.read_guest(ACTOR, guest(host)))
    digest = GuestReading.objects.get(vmid=101).config["digest"]
    pve.world.guests[101].config["memory"] = 4096
    job = change(host, {"memory": 2048}, digest=digest)
    assert job.state == JobState.FAILED
    assert "Somebody else has changed" in job.error
    assert pve.world.guests[101].config["memory"] == 4096


def test_a_change_whose_answer_was_lost_is_read_back(host, pve):
    pve.faults.add(Drops(times=1, method="PUT", after=True))
    job = change(host, {"memory": 2048})
    assert job.state == JobState.DONE
    pve.faults.add(Drops(times=1, method="PUT"))
    job = change(host, {"memory": 4096})
    assert (job.state, pve.world.guests[101].config["memory"]) == (JobState.FAILED, 2048)
    assert change(host, {"memory": 4096}).state == JobState.DONE


def test_a_snapshot_is_made_gone_back_to_and_given_up(host, pve):
    one = guest(host)
    assert carry_out(services.snapshot_guest(ACTOR, one, "make", "before", "a try")).state == JobState.DONE
    pve.world.guests[101].config["memory"] = 4096
    assert carry_out(services.snapshot_guest(ACTOR, one, "roll_back", "before")).state == JobState.DONE
    assert pve.world.guests[101].config["memory"] == 1024
    assert [s["name"] for s in GuestReading.objects.get(vmid=101).snapshots] == ["before"]
    assert carry_out(services.snapshot_guest(ACTOR, one, "delete", "before")).state == JobState.DONE
    assert pve.world.guests[101].snapshots == {}


def destroy(host, vmid: int = 101, *, name: str = "", **more):
    one = guest(host, vmid, name)
    return carry_out(services.destroy_guest(ACTOR, one, one.name, **more))


def test_a_guest_that_runs_is_destroyed_only_when_that_is_said(host, pve):
    job = destroy(host)
    assert job.state == JobState.FAILED
    assert "runs" in job.error
    assert runs(pve)
    assert destroy(host, stop_first=True).state == JobState.DONE
    assert 101 not in pve.world.guests
    assert "purging CT 101" in lines(job.__class__.objects.latest("pk"))


def test_a_wrong_name_destroys_nothing(host, pve):
    with pytest.raises(ValidationError):
        services.destroy_guest(ACTOR, guest(host), "ct102")
    job = destroy(host, 101, name="ct102", stop_first=True)
    assert job.state == JobState.FAILED
    assert "Nothing was done to it" in job.error
    assert runs(pve)


def test_a_guest_with_the_same_id_and_name_but_another_one_is_not_destroyed(host, pve):
    seen = identity_of(pve.world.guests[101].config)
    other = dict(pve.world.guests[101].config)
    other["net0"] = other["net0"].replace("BC:24:11:00:00:00", "BC:24:11:AA:BB:CC")
    pve.world.guests[101] = Guest(101, "pve1", config=other)
    job = destroy(host, identity=seen)
    assert job.state == JobState.FAILED
    assert "used again" in job.error
    assert 101 in pve.world.guests


def test_a_destroy_whose_worker_died_leaves_the_next_guest_with_that_id_alone(host, pve):
    job = destroy(host, stop_first=True)
    config = {"hostname": "ct101", "memory": 512, "net0": "name=eth0,hwaddr=BC:24:11:AA:BB:CC,type=veth"}
    pve.world.guests[101] = Guest(101, "pve1", config=config)
    die_in_the_middle(job)
    assert carry_out(job).state == JobState.DONE
    assert pve.world.guests[101].config["memory"] == 512
    assert len(tasks_of(pve, "vzdestroy")) == 1


def test_a_destroy_whose_worker_died_before_it_asked_goes_on(host, pve):
    pve.faults.add(TaskFails(times=1, type="vzstop", message="a disk was busy"))
    job = destroy(host, stop_first=True)
    assert job.state == JobState.FAILED
    assert operate(host, "stop").state == JobState.DONE
    die_in_the_middle(job)
    assert carry_out(job).state == JobState.DONE
    assert 101 not in pve.world.guests


DESTROY_FAULTS = [
    TaskFails(times=1, type="vzdestroy", message="lvremove failed"),
    Drops(times=1, method="DELETE"),
    Refuses(times=1, method="DELETE", status=595),
    Refuses(times=1, method="DELETE", status=500, reason="got no worker upid - start worker failed"),
]


@pytest.mark.parametrize("fault", DESTROY_FAULTS, ids=lambda fault: type(fault).__name__)
def test_a_destroy_that_fails_leaves_it_and_a_second_try_succeeds(host, pve, fault):
    pve.faults.add(fault)
    assert destroy(host, stop_first=True).state == JobState.FAILED
    assert pve.world.guests[101].config["hostname"] == "ct101"
    assert destroy(host, stop_first=True).state == JobState.DONE
    assert 101 not in pve.world.guests


@pytest.mark.parametrize(
    "fault",
    [Drops(times=1, method="DELETE", after=True), TaskFails(times=1, type="vzdestroy", done=True)],
    ids=lambda fault: type(fault).__name__,
)
def test_a_destroy_that_only_says_that_it_failed_ends_as_done(host, pve, fault):
    pve.faults.add(fault)
    job = destroy(host, stop_first=True)
    assert (job.state, 101 in pve.world.guests) == (JobState.DONE, False)


@pytest.mark.parametrize(
    ("option", "words"),
    [({"protection": 1}, "it is protected"), ({"lock": "backup"}, "it is locked (backup)")],
)
def test_a_guest_that_proxmox_would_not_destroy_is_not_even_stopped(host, pve, option, words):
    pve.world.guests[101].config.update(option)
    job = destroy(host, stop_first=True)
    assert job.state == JobState.FAILED
    assert words in job.error
    assert runs(pve)


def test_an_id_taken_meanwhile_is_no_matter_for_other_guests(host, pve):
    pve.faults.add(IdTaken())
    assert destroy(host, 102, stop_first=True).state == JobState.DONE


def test_the_panel_and_a_proxy_are_stopped_only_after_a_second_word(host, pve, settings):
    settings.GESTION_NAME = "ct102"
    proxy = Server.objects.create(
        name="ct101.example.org", keymanager_name="p", is_vm=True, vm_host=host, internal_ip="10.0.0.5"
    )
    Server.objects.filter(pk=host.pk).update(nginx_server=proxy)
    for vmid, words in ((101, "nginx server of pve1"), (102, "the panel itself")):
        with pytest.raises(SecondWordNeeded, match=words):
            services.operate_guest(ACTOR, guest(host, vmid), "stop")
        with pytest.raises(SecondWordNeeded):
            services.destroy_guest(ACTOR, guest(host, vmid), f"ct{vmid}")
    with second_word():
        assert operate(host, "stop").state == JobState.DONE
    services.operate_guest(ACTOR, guest(host), "start")


@pytest.mark.parametrize(
    "told",
    [
        {"GESTION_URL": "https://ct101.example.org/"},
        {"GESTION_NAME": "CT101.example.org"},
        {"GESTION_IP": "10.0.0.5", "GESTION_VM_NAME": "pve1"},
    ],
    ids=lambda told: next(iter(told)),
)
def test_the_panel_is_known_by_each_setting_that_names_it(host, pve, settings, told):
    """By GESTION_URL alone, as most have it, it could be stopped and destroyed without a word."""
    Server.objects.create(
        name="ct101.example.org", keymanager_name="p", is_vm=True, vm_host=host, internal_ip="10.0.0.5"
    )
    assert services.dangers(guest(host, 101)) == []
    for name, value in told.items():
        setattr(settings, name, value)
    (said,) = services.dangers(guest(host, 101))
    assert "is the panel itself" in said
    assert services.dangers(guest(host, 102)) == []


def test_copies_of_others_on_its_disks_are_destroyed_only_after_a_second_word(host, pve):
    store = Server.objects.create(
        name="ct101.example.org", keymanager_name="s", is_vm=True, vm_host=host, internal_ip="10.0.0.5"
    )
    LeftData.objects.create(uuid=uuid4(), destination=store, folder="/srv/bk", of="files1:/srv")
    Backup.objects.create(source=host, destination=store, destination_folder="/backups/pve1")
    with pytest.raises(SecondWordNeeded) as told:
        services.destroy_guest(ACTOR, guest(host), "ct101", stop_first=True)
    assert "the backup pve1:/ are there; copies of a deleted backup" in str(told.value)
    with pytest.raises(
        SecondWordNeeded, match="since then is lost: the copies of the backup pve1:/ are there"
    ):
        services.snapshot_guest(ACTOR, guest(host), "roll_back", "before")
    assert operate(host, "stop").state == JobState.DONE  # which loses nothing
    with second_word():
        assert destroy(host).state == JobState.DONE


def test_shares_and_guests_of_its_own_are_lost_only_after_a_second_word(host, pve):
    """A file server, or a machine that is a Proxmox host itself, went, or went back, without a word of them."""
    inner = Server.objects.create(
        name="ct101.example.org", keymanager_name="s", is_vm=True, vm_host=host,
        is_proxmox=True, proxmox_node="inner", external_interface="vmbr0",
    )  # fmt: skip
    Server.objects.create(name="deep", keymanager_name="deep", is_vm=True, vm_host=inner)
    Share.objects.create(server=inner, name="photos", folder="photos", user="smb-photos")
    lost = "deep runs on it; the share photos on ct101.example.org is on it"
    with pytest.raises(SecondWordNeeded, match=f"With its disks is lost what others keep there: {lost}"):
        services.destroy_guest(ACTOR, guest(host), "ct101", stop_first=True)
    with pytest.raises(SecondWordNeeded, match=f"since then is lost: {lost}"):
        services.snapshot_guest(ACTOR, guest(host), "roll_back", "before")
    with pytest.raises(SecondWordNeeded, match="is the host of others, which are off while it is: deep"):
        services.operate_guest(ACTOR, guest(host), "shutdown")
    services.snapshot_guest(ACTOR, guest(host), "make", "before")


def test_missing_compares_as_proxmox_writes():
    config = {"memory": 512, "description": "a\n", "onboot": "1"}
    assert (
        works_guests.missing(config, {"memory": "512", "description": "a", "onboot": 1, "tags": None}) == []
    )
    assert works_guests.missing(config, {"memory": None, "swap": 0}) == ["memory", "swap"]
