"""What create_vm's container task does with a simulated Proxmox: made once, tried again, and undone alone."""

import pytest
from django.utils import timezone

from accounts.models import User
from backups.models import BackupRun
from forwarding.models import HostnameForward
from keymanager.models import Group
from lab.pve import Guest, TaskFails
from proxmox.models import Creation
from servers.models import Rollout, Server
from tests.keymanager.fleets import make_key
from tests.proxmox.creating import guests_named, simulated
from tests.wizards.create_vm_walking import (
    NAME,
    Walk,
    backup_on,
    begun,
    container_there,
    guest_beside,
    hostname_on,
    nginx_on,
)
from wizards.create_vm import task_backup, task_container, task_domain, task_nginx, task_server
from wizards.declare import Refused

pytestmark = pytest.mark.django_db(transaction=True)


def test_a_create_that_fails_is_told_tried_again_when_resumed_and_never_made_twice() -> None:
    with begun() as (pve, walk):
        fault = pve.faults.add(TaskFails(type="vzcreate", message="no space left", seconds=0))
        with pytest.raises(Refused, match="no space left"):
            walk.until_done("container", task_container.do)
        assert guests_named(pve, NAME) == []
        pve.faults.remove(fault)
        walk.call("container", task_container.do)
        assert Creation.objects.get().open
        walk.call("container", task_container.do)  # killed after it asked, and called anew
        assert Creation.objects.count() == 1


def test_once_it_is_undone_nobody_is_told_any_more_that_a_create_failed() -> None:
    """The row of a server that was there before stays, and with it the create and its notice on the dashboard."""
    with begun() as (pve, walk):
        pve.faults.add(TaskFails(type="vzcreate", message="no space left", seconds=0))
        with pytest.raises(Refused, match="no space left"):
            walk.until_done("container", task_container.do)
        assert Creation.objects.get().state == "failed"
        pve.world.guests[190] = Guest(190, "pve1", "lxc", {"lock": "create"})  # half made: that is still told
        Creation.objects.update(vmid=190)
        walk.until_done("container", task_container.undo)
        assert Creation.objects.get().state == "failed"
        pve.world.guests[190] = Guest(190, "pve1", "lxc", {"hostname": "other"})  # somebody's, by now
        walk.until_done("container", task_container.undo)
        assert Creation.objects.get().state == "stopped"
        Creation.objects.update(vmid=None, state="failed")
        walk.until_done("container", task_container.undo)
        assert Creation.objects.get().state == "stopped"


def test_undo_destroys_its_own_container_and_no_other_that_has_the_id_by_now() -> None:
    with begun() as (pve, walk):
        row = container_there(pve, walk)
        ours = dict(pve.world.guests[row.vmid].config)
        others = {"hostname": "other", "description": "somebody else's", "net0": "name=eth0,ip=10.0.0.9/24"}
        pve.world.guests[row.vmid].config.update(others)
        walk.until_done("container", task_container.undo)
        assert row.vmid in pve.world.guests
        pve.world.guests[row.vmid].config.update(ours)
        pve.world.guests[row.vmid].config["description"] = f"words {row.marker} words"
        walk.until_done("container", task_container.undo)
        assert guests_named(pve, NAME) == []
        walk.until_done("container", task_container.undo)  # once more does no harm
        walk.until_done("server", task_server.undo)
        assert not Server.objects.filter(name=NAME).exists()


def test_an_undo_that_fails_says_why_and_can_be_resumed() -> None:
    with begun() as (pve, walk):
        container_there(pve, walk)
        fault = pve.faults.add(TaskFails(type="vzdestroy", message="it is busy", seconds=0))
        with pytest.raises(Refused, match="busy"):
            walk.until_done("container", task_container.undo)
        pve.faults.remove(fault)
        walk.until_done("container", task_container.undo)
        assert guests_named(pve, NAME) == []


@pytest.mark.parametrize("went", [True, False])
def test_a_server_that_was_there_is_put_back_as_it_was(went) -> None:
    """Where no container of the run went with it, a machine may have been made by hand: its way in stays."""
    with simulated() as (_pve, host):
        known = Server.objects.create(name=NAME, keymanager_name=NAME, is_vm=True, vm_host=host)
        walk = Walk(host, unix_users=["root", "deploy"])
        walk.until_done("server", task_server.do)
        assert known.unix_users.count() == 2
        Server.objects.filter(pk=known.pk).update(internal_ip="10.0.0.2", ssh_connection="-p 102 root@pve1")
        walk.results["container"] = {"destroyed": went}
        walk.until_done("server", task_server.undo)
        known.refresh_from_db()
        way = "" if went else "-p 102 root@pve1"
        assert (known.internal_ip, known.ssh_connection, known.unix_users.count()) == (None, way, 0)


def test_an_undo_does_not_take_the_last_way_in_to_a_machine_that_stays() -> None:
    with simulated() as (_pve, host):
        known = Server.objects.create(name=NAME, keymanager_name=NAME, is_vm=True, vm_host=host)
        group = Group.objects.create(name="g")
        group.member_users.add(User.objects.create(username="ann"))
        make_key(User.objects.get(), "ann")
        walk = Walk(host, make_container=False, groups_allowed=[group.pk])
        walk.until_done("server", task_server.do)
        walk.until_done("groups_allowed", task_server.do_allowed)
        with pytest.raises(Refused, match="nobody could log in as root"):
            walk.until_done("groups_allowed", task_server.undo_allowed)
        assert known.allowed_groups.exists()
        walk.data["make_container"] = True  # which goes before, and its logins with it
        walk.until_done("groups_allowed", task_server.undo_allowed)
        assert not known.allowed_groups.exists()


def test_no_rollout_in_the_container_that_goes_is_waited_for() -> None:
    """It may be why all is undone: out of reach, or with an nginx that does not start; the undo never ended."""
    with begun() as (_pve, walk):
        nginx_on(walk)
        row = hostname_on(walk)
        walk.results |= {"nginx": {"host": walk.host.pk}, "domain": {"hostname": row.pk}}
        Rollout.objects.create(
            server=walk.server, kind="nginx", state="unreachable", why="it does not answer"
        )
        assert walk.call("domain", task_domain.undo) is None
        assert walk.call("nginx", task_nginx.undo) is None
        walk.host.refresh_from_db()
        assert (HostnameForward.objects.count(), walk.host.nginx_server) == (0, None)
        elsewhere = guest_beside(walk.host)
        Server.objects.filter(pk=walk.host.pk).update(nginx_server=elsewhere)
        walk.results["domain"] = {"hostname": hostname_on(walk).pk}
        Rollout.objects.create(server=elsewhere, kind="nginx", state="unreachable", why="it does not answer")
        assert walk.call("domain", task_domain.undo) is not None


def test_an_undo_does_without_a_backup_server_that_has_left_the_inventory() -> None:
    """Its backup was deleted by hand before that; the undo stood still there for ever."""
    with begun(backup=True) as (_pve, walk):
        row = backup_on(walk)
        walk.data |= {"backup_server": row.destination_id, "backup_folder": row.destination_folder}
        walk.results["backup"] = {"backup": row.pk, "uuid": str(row.uuid)}
        store = row.destination
        row.delete()
        store.delete()
        assert walk.call("backup", task_backup.undo) is None


def test_a_first_backup_that_is_tried_again_by_itself_is_waited_for_and_is_the_wizards_own() -> None:
    with begun() as (_pve, walk):
        backup = backup_on(walk)
        first = BackupRun.objects.create(
            backup=backup, state="failed", error="The source was rebooted.", again_at=timezone.now()
        )
        facts = {"backup_run": first.pk, "runs": [first.pk]}
        walk.results |= {"backup": {"backup": backup.pk}, "first_backup": facts}
        waits = walk.call("first_backup", task_backup.do_run)
        assert "The source was rebooted. It is tried again at" in waits.why
        BackupRun.objects.update(again_at=None)
        again = BackupRun.objects.create(
            backup=backup, state="done", why="again", attempt=2, files=1, bytes=1
        )
        assert walk.call("first_backup", task_backup.do_run) is None
        assert walk.results["first_backup"]["runs"] == [first.pk, again.pk]
        walk.data |= {"backup_server": backup.destination_id, "backup_folder": "/b"}
        assert "delete its copies in /b" in task_backup.undo_says(walk.data, walk.results)


@pytest.mark.parametrize("why", ["schedule", "hand"])
def test_what_the_schedule_began_before_the_first_backup_is_the_first_and_no_second_is_run(why: str) -> None:
    """The schedule looks every 30 seconds, and a new backup is due: its copies stayed after an undo."""
    with begun() as (_pve, walk):
        backup = backup_on(walk)
        before = BackupRun.objects.create(backup=backup, why=why, state="done", files=1, bytes=1)
        walk.results |= {"backup": {"backup": backup.pk}}
        waits = walk.call("first_backup", task_backup.do_run)
        walk.data |= {"backup_server": backup.destination_id, "backup_folder": "/b"}
        said = task_backup.undo_says(walk.data, walk.results)
        if why == "schedule":
            assert (waits, walk.results["first_backup"]["runs"]) == (None, [before.pk])
            assert backup.runs.count() == 1
            assert "delete its copies in /b" in said
        else:
            assert before.pk not in walk.results["first_backup"]["runs"]
            assert "The copies in /b" in said


def test_a_run_of_somebody_else_in_the_place_of_a_first_backup_is_not_the_wizards() -> None:
    with begun() as (_pve, walk):
        backup = backup_on(walk)
        first = BackupRun.objects.create(backup=backup, state="failed", error="Rebooted.")
        BackupRun.objects.create(backup=backup, state="failed", why="hand")
        BackupRun.objects.create(backup=backup, state="done", why="again", attempt=2)
        walk.results |= {"backup": {"backup": backup.pk}, "first_backup": {"backup_run": first.pk}}
        with pytest.raises(Refused, match="Rebooted"):
            walk.call("first_backup", task_backup.do_run)
        assert "runs" not in walk.results["first_backup"]
