"""Creating containers on a simulated Proxmox that lies, loses answers and fails late."""

from collections.abc import Iterator
from typing import Any

import pytest
from django.core.exceptions import ValidationError
from django.db import connection

from jobs.execute import claim
from jobs.models import Job
from jobs.services import stop_job
from lab.pve import Drops, IdTaken, Lacks, PveServer, Refuses, Slow, TaskFails, World
from proxmox.create_answers import fingerprints_in
from proxmox.models import AddressClaim, Creation
from proxmox.passwords import NoPasswordSecret, vm_password
from proxmox.services.create import CreateRefused, try_again
from servers.models import Rollout, RolloutState, Server
from servers.services import DeleteRefused, delete_server
from tests.jobs.test_execute import in_thread
from tests.proxmox.creating import ACTOR, ask, guests_named, job_of, log_of, made_by, run, simulated
from tests.waiting import wait_for

pytestmark = pytest.mark.django_db(transaction=True)
CREATES: dict[str, Any] = {"method": "POST", "path": "/nodes/pve1/lxc"}


@pytest.fixture
def both(db) -> Iterator[tuple[PveServer, Server]]:
    with simulated() as found:
        yield found


@pytest.fixture
def pve(both) -> PveServer:
    return both[0]


@pytest.fixture
def host(both) -> Server:
    return both[1]


def test_a_container_is_created_as_it_was_asked_for(pve, host):
    made = run(ask(host, memory=2048, swap=0, cores=3, disk=12, nesting=True, start=False,
                   name_servers=["9.9.9.9", "1.1.1.1"], ssh_keys="ssh-ed25519 AAAA ada"))  # fmt: skip
    assert (made.state, made.why) == ("done", "")
    config = made_by(pve, made).config
    assert config["hostname"] == "web1.example.org"
    assert (config["memory"], config["swap"], config["cores"]) == (2048, 0, 3)
    assert config["rootfs"].endswith("size=12G")
    assert (config["unprivileged"], config["onboot"]) == (1, 1)
    assert config["features"] == "nesting=1"
    assert config["nameserver"] == "9.9.9.9 1.1.1.1"
    assert "ip=10.0.0.2/24" in config["net0"]
    assert "gw=10.0.0.1" in config["net0"]
    assert "bridge=vmbr0" in config["net0"]
    assert made.marker in config["description"]
    assert not pve.cluster.hypervisor.running(made_by(pve, made))


@pytest.mark.parametrize("version", ["7.4-17", "8.4.1", "9.1.1"])
def test_every_version_makes_the_same_of_it(db, version):
    with simulated(World.example(containers=2, version=version)) as (pve, host):
        pve.faults.add(Drops(**CREATES, times=1, after=True))
        made = run(ask(host))
        config = made_by(pve, made).config
        assert (made.state, config["unprivileged"], config["memory"]) == ("done", 1, 1024)
        assert pve.cluster.hypervisor.running(made_by(pve, made))


def test_a_server_whose_container_is_being_created_is_not_deleted(host):
    made = ask(host)
    with pytest.raises(DeleteRefused, match="being created"):
        delete_server(ACTOR, made.server, "web1.example.org")


def test_the_inventory_gets_the_server_and_its_address(host):
    made = run(ask(host, start=False))
    server = Server.objects.get(name="web1.example.org")
    assert (server.vm_host, server.is_vm, server.internal_ip) == (host, True, made.address)
    assert not AddressClaim.objects.exists()


def test_a_server_of_the_inventory_keeps_its_address(pve, host):
    Server.objects.create(
        name="db1", keymanager_name="db1", is_vm=True, vm_host=host, internal_ip="10.0.0.77"
    )
    made = run(ask(host, "db1", start=False))
    assert made.address == "10.0.0.77"
    assert "ip=10.0.0.77/24" in made_by(pve, made).config["net0"]


def test_what_the_server_held_is_rolled_out_again_into_its_new_container(pve, host):
    """It was “in sync” by what the container before had: one that takes passwords was said to take none."""
    server = Server.objects.create(
        name="web1.example.org", keymanager_name="web1.example.org", is_vm=True, vm_host=host
    )
    kinds = {"keys", "ssh-passwords"}
    for kind in kinds:
        Rollout.objects.create(server=server, kind=kind, state=RolloutState.IN_SYNC)
    made = run(ask(host, start=False))
    assert made.server == server
    waiting = Rollout.objects.filter(server=server, state=RolloutState.WAITING)
    assert set(waiting.values_list("kind", flat=True)) == kinds


def test_it_is_started_when_asked_for(pve, host):
    made = run(ask(host))
    assert made.state == "done"
    assert pve.cluster.hypervisor.running(made_by(pve, made))
    assert made.why  # nothing is behind the simulated one's address, and that is said


def test_the_password_reaches_proxmox_and_nothing_else(host):
    password = vm_password("pve1.example.org", "web1.example.org")
    made = run(ask(host, start=False))
    with connection.cursor() as cursor:
        for table in connection.introspection.table_names():
            cursor.execute(f'SELECT * FROM "{table}"')  # noqa: S608 - the names of our own tables
            assert password not in str(cursor.fetchall()), table
    assert password not in log_of(made)


def test_without_the_secret_it_is_refused_and_nothing_is_written(host, settings):
    settings.VM_PASS_SECRET = ""
    with pytest.raises(NoPasswordSecret):
        ask(host)
    assert not Creation.objects.exists()
    assert not Server.objects.filter(name="web1.example.org").exists()


def test_an_id_that_somebody_took_in_between_is_his(pve, host):
    pve.faults.add(IdTaken(times=2))
    made = run(ask(host, start=False))
    assert made.state == "done"
    assert guests_named(pve) == [made.vmid]
    assert len(guests_named(pve, "somebody-elses")) == 2


def test_a_create_that_fails_leaves_nothing_and_works_the_second_time(pve, host):
    fault = pve.faults.add(TaskFails(type="vzcreate", message="no space left"))
    made = run(ask(host, start=False))
    assert (made.state, job_of(made).state) == ("failed", "failed")
    assert "no space left" in made.why
    assert not guests_named(pve)
    assert not AddressClaim.objects.exists()
    pve.faults.remove(fault)
    try_again(ACTOR, made)
    made.refresh_from_db()
    assert run(made).state == "done"
    assert len(guests_named(pve)) == 1


def test_a_create_that_says_failed_and_left_a_container_leaves_none(pve, host):
    pve.faults.add(TaskFails(type="vzcreate", done=True, times=1))
    made = run(ask(host, start=False))
    assert made.state == "failed"
    assert not guests_named(pve)
    try_again(ACTOR, made)
    made.refresh_from_db()
    assert run(made).state == "done"
    assert len(guests_named(pve)) == 1


def test_what_cannot_be_removed_is_said_and_is_removed_by_the_next_try(pve, host):
    pve.faults.add(TaskFails(type="vzcreate", done=True, times=1))
    stuck = pve.faults.add(TaskFails(type="vzdestroy", message="dataset is busy"))
    made = run(ask(host, start=False))
    assert made.state == "failed"
    assert "dataset is busy" in made.why
    assert guests_named(pve) == [made.vmid]
    assert AddressClaim.objects.filter(address=made.address).exists()
    pve.faults.remove(stuck)
    try_again(ACTOR, made)
    made.refresh_from_db()
    made = run(made)
    assert made.state == "done"
    assert guests_named(pve) == [made.vmid]


@pytest.mark.parametrize(
    "fault",
    [
        Drops(**CREATES, times=1),
        Drops(**CREATES, times=1, after=True),
        Refuses(**CREATES, times=1),
        Refuses(**CREATES, times=1, status=596, reason="Connection timed out", after=True),
        Refuses(**CREATES, times=1, status=503, reason="Service Unavailable", after=True),
        Slow(**CREATES, times=1, seconds=1.0, after=True),
        Drops(method="GET", path="*/tasks/*", times=1),
        Drops(method="GET", path="/cluster/nextid", times=1),
    ],
    ids=lambda fault: f"{type(fault).__name__}-{getattr(fault, 'after', '')}-{getattr(fault, 'status', '')}",
)
def test_a_lost_answer_makes_neither_two_containers_nor_none(pve, host, fault):
    pve.world.durations["vzcreate"] = 0.7
    pve.faults.add(fault)
    made = run(ask(host, start=False))
    assert made.state == "done", made.why
    assert guests_named(pve) == [made.vmid]


def test_a_lost_answer_about_an_id_that_somebody_took_takes_nothing_of_his(pve, host):
    pve.faults.add(IdTaken(times=1))
    pve.faults.add(Refuses(**CREATES, times=1, status=596, after=True))
    made = run(ask(host, start=False))
    assert made.state == "done"
    assert guests_named(pve) == [made.vmid]
    assert guests_named(pve, "somebody-elses")


def test_a_node_that_is_down_is_said_and_leaves_nothing(pve, host):
    fault = pve.faults.add(Refuses(path="/nodes/pve1/*"))
    made = run(ask(host, start=False))
    assert made.state == "failed"
    assert "No route to host" in made.why
    assert not AddressClaim.objects.exists()
    pve.faults.remove(fault)
    try_again(ACTOR, made)
    made.refresh_from_db()
    assert run(made).state == "done"


def test_what_proxmox_says_of_a_parameter_is_kept_by_the_field(pve, host):
    pve.world.storages["local-lvm"].content = ["images"]
    made = run(ask(host, start=False))
    assert made.state == "failed"
    assert "does not support container directories" in made.errors["storage"][0]


def test_a_template_that_has_gone_is_said(pve, host):
    pve.world.storages["local"].volumes.clear()
    made = run(ask(host, start=False))
    assert (made.state, made.vmid) == ("failed", None)
    assert "can't find file" in made.why


def test_a_start_that_fails_leaves_a_container_that_the_next_try_starts(pve, host):
    fault = pve.faults.add(TaskFails(type="vzstart", message="no memory"))
    made = run(ask(host))
    assert made.state == "failed"
    assert "no memory" in made.why
    assert str(made.vmid) in made.why
    assert Server.objects.get(name="web1.example.org").internal_ip == made.address
    pve.faults.remove(fault)
    before = made.vmid
    try_again(ACTOR, made)
    made.refresh_from_db()
    made = run(made)
    assert (made.state, made.vmid) == ("done", before)
    assert guests_named(pve) == [before]


@pytest.mark.parametrize("after", [False, True])
def test_a_lost_answer_to_the_start_does_no_harm(pve, host, after):
    pve.faults.add(Drops(method="POST", path="*/status/start", times=1, after=after))
    made = run(ask(host))
    assert made.state == "done"
    assert pve.cluster.hypervisor.running(made_by(pve, made))


def test_stop_in_the_middle_leaves_nothing(pve, host):
    pve.world.durations["vzcreate"] = 60
    creation = ask(host)
    thread = in_thread(run, creation)
    wait_for(lambda: guest_locked(pve))
    stop_job(ACTOR, job_of(creation))
    thread.join(30)
    creation.refresh_from_db()
    assert (creation.state, creation.vmid) == ("stopped", None)
    assert job_of(creation).state == "stopped"
    assert len(pve.world.guests) == 2
    assert not AddressClaim.objects.exists()


def test_stop_while_it_starts_leaves_the_container_and_says_so(pve, host):
    pve.world.durations["vzstart"] = 60
    creation = ask(host)
    thread = in_thread(run, creation)
    wait_for(lambda: Creation.objects.filter(pk=creation.pk, made=True).exists())
    stop_job(ACTOR, job_of(creation))
    thread.join(30)
    creation.refresh_from_db()
    assert creation.state == "stopped"
    assert f"Container {creation.vmid} is created and stays" in creation.why
    assert guests_named(pve) == [creation.vmid]
    assert Server.objects.get(name="web1.example.org").internal_ip == creation.address


def guest_locked(pve) -> bool:
    return any(guest.config.get("lock") == "create" for guest in list(pve.world.guests.values()))


def test_stop_before_it_begins_gives_the_address_back(host):
    creation = ask(host)
    stop_job(ACTOR, job_of(creation))
    creation.refresh_from_db()
    assert creation.state == "stopped"
    assert not AddressClaim.objects.exists()


@pytest.mark.parametrize("asked", [False, True], ids=["asked and unheard", "asked"])
def test_a_killed_worker_is_followed_by_one_that_reads_what_is_there(pve, host, asked):
    """The first one has written the id down, asked Proxmox, and then nothing was heard of it any more."""
    from proxmox.client import open_api
    from proxmox.create_options import options_of

    creation = ask(host, start=False)
    assert claim(job_of(creation).pk)
    with open_api(host) as api:
        upid = api.create_container(
            103, options_of(creation, panel_key="ssh-ed25519 AAAA x", password="x" * 9)
        )
    fields = {"vmid": 103, "state": "running", "create_upid": upid if asked else ""}
    Creation.objects.filter(pk=creation.pk).update(**fields)
    Job.objects.filter(pk=job_of(creation).pk).update(state="waiting")
    made = run(creation)
    assert (made.state, made.vmid) == ("done", 103)
    assert guests_named(pve) == [103]


def test_a_job_that_is_lost_ends_its_create(host):
    from jobs import hooks

    creation = ask(host)
    job = job_of(creation)
    job.state, job.error = "lost", "Its worker died."
    hooks.ended(job)
    creation.refresh_from_db()
    assert (creation.state, creation.why) == ("failed", "Its worker died.")
    assert not AddressClaim.objects.exists()


def test_an_address_that_proxmox_gave_to_another_meanwhile_is_refused_by_the_field(pve, host):
    creation = ask(host, start=False)
    pve.world.guests[101].config["net0"] = "name=eth0,bridge=vmbr0,ip=10.0.0.2/24"
    made = run(creation)
    assert made.state == "failed"
    assert "ct101" in made.errors["address"][0]
    assert not guests_named(pve)


def test_one_server_is_created_once_at_a_time(host):
    ask(host)
    with pytest.raises(ValidationError, match="being created"):
        ask(host)


def test_what_was_created_is_not_tried_again(host):
    made = run(ask(host, start=False))
    with pytest.raises(CreateRefused):
        try_again(ACTOR, made)


def test_rights_that_are_missing_are_told(pve, host):
    pve.world.users["root@pam"].tokens["panel"].privsep = True
    pve.faults.add(Lacks(privileges=("VM.Allocate",)))
    made = run(ask(host, start=False))
    assert (made.state, made.vmid) == ("failed", None)
    assert "VM.Allocate" in made.why


LOG = """extracting archive '/var/lib/vz/template/cache/debian-12-standard_12.7-1_amd64.tar.zst'
Total bytes read: 521687040 (498MiB, 324MiB/s)
Detected container architecture: amd64
Creating SSH host key 'ssh_host_ed25519_key' - this may take some time ...
done: SHA256:1zB4R5nT2cXWqGxQyYpH0dY7L4m3mVq0cQW1rZ8kE2o root@web1
done: SHA256:2zB4R5nT2cXWqGxQyYpH0dY7L4m3mVq0cQW1rZ8kE2o root@web1
Creating SSH host key 'ssh_host_rsa_key' - this may take some time ...
done: SHA256:3zB4R5nT2cXWqGxQyYpH0dY7L4m3mVq0cQW1rZ8kE2o root@web1
TASK OK"""


def test_fingerprints_are_read_where_proxmox_writes_them_and_nowhere_else():
    ed25519 = "SHA256:1zB4R5nT2cXWqGxQyYpH0dY7L4m3mVq0cQW1rZ8kE2o"
    rsa = "SHA256:3zB4R5nT2cXWqGxQyYpH0dY7L4m3mVq0cQW1rZ8kE2o"
    assert fingerprints_in(LOG.splitlines()) == [ed25519, rsa]
