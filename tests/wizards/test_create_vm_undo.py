"""What create_vm's container task does with a simulated Proxmox: made once, tried again, and undone alone."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from uuid import uuid4

import pytest
from django.utils import timezone

from accounts.actors import Actor
from accounts.models import User
from backups.models import Backup, BackupRun, LeftData, Restore
from forwarding.models import HostnameForward, PortForward
from jobs.masking import Masker
from jobs.models import Job
from jobs.run import Run
from keymanager.models import Group
from lab.pve import Guest, Refuses, TaskFails
from proxmox.client import errors
from proxmox.models import Creation, GuestSeen, Offer
from samba.models import Share
from servers.models import Rollout, Server
from tests.forwarding.hostname_rows import hostname
from tests.jobs.working import work_off
from tests.keymanager.fleets import make_key, make_server
from tests.proxmox.creating import TEMPLATE, guests_named, simulated
from wizards.create_vm import (
    hanging,
    task_backup,
    task_container,
    task_domain,
    task_login,
    task_nginx,
    task_server,
)
from wizards.declare import Refused, TaskRun
from wizards.refusing import refusing

pytestmark = pytest.mark.django_db(transaction=True)
NAME = "shop.example.org"


@contextmanager
def begun(**more: Any) -> Iterator[tuple[Any, "Walk"]]:
    """A Proxmox, and the wizard as far as the server's row."""
    with simulated() as (pve, host):
        Offer.objects.create(
            host=host, templates=[[TEMPLATE, 1]], storages=[["local-lvm", "lvmthin", 1 << 40]]
        )
        walk = Walk(host, **more)
        walk.until_done("server", task_server.do)
        yield pve, walk


class Walk:
    """Calls a task again and again, as the engine does, and carries out the jobs it waits for."""

    def __init__(self, host: Server, **more: Any) -> None:
        self.data = {
            "name": NAME, "host": host.pk, "make_container": True, "unix_users": ["root"], "own": False,
            "address": "10.0.0.2", "gateway": "10.0.0.1", "template": TEMPLATE, "storage": "local-lvm", "disk": 4,
            "memory": 512, "swap": 0, "cores": 1, "bridge": "vmbr0", "name_servers": [], "unprivileged": True,
            "onboot": False, "nesting": False, "fetch_keys": True, **more,
        }  # fmt: skip
        self.results: dict[str, dict[str, Any]] = {}
        self.host = host

    @property
    def server(self) -> Server:
        return Server.objects.get(name=NAME)

    def call(self, slug: str, act: Any) -> Any:
        facts = self.results.setdefault(slug, {})
        run = Run(Job.objects.create(work="wizards.carry_on", title="x", state="running"), Masker())
        actor = Actor.system("test")
        task = TaskRun(
            actor=actor,
            steps=[self.data],
            facts=dict(facts),
            results=self.results,
            keep=facts.update,
            run=run,
        )
        with refusing():  # as the engine does
            return act(task)

    def until_done(self, slug: str, act: Any) -> None:
        for _count in range(20):
            if self.call(slug, act) is None:
                return
            work_off()
        raise AssertionError(f"{slug} did not end")


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
        Creation.objects.update(vmid=None)
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


@pytest.mark.parametrize("changed", [{"description": "ask Ann"}, {"hostname": "shop2"}])
def test_a_container_that_somebody_renamed_or_wrote_other_notes_for_is_not_passed_over(changed: Any) -> None:
    """It stayed and ran, with nothing leading to it, and the undo was done."""
    with begun() as (pve, walk):
        row = container_there(pve, walk)
        assert row.vmid is not None
        config = pve.world.guests[row.vmid].config
        seen = GuestSeen.objects.create(
            host=row.host, vmid=row.vmid, kind="lxc", name=NAME, config=dict(config)
        )
        assert hanging.others(walk.data, walk.results) == []
        config.update(changed)
        with pytest.raises(Refused, match="other notes by now"):
            walk.until_done("container", task_container.undo)
        hanging.look(walk.data, walk.results)
        (held,) = hanging.others(walk.data, walk.results)
        assert (row.marker in str(held.text), held.url) == (True, seen.get_absolute_url())
        del pve.world.guests[row.vmid]
        walk.until_done("container", task_container.undo)


@pytest.mark.parametrize("moved", ["restored", "to another host", "with its server"])
def test_a_machine_that_is_another_guest_by_now_is_not_passed_over(moved: str) -> None:
    """A restore under another id, or on another host, keeps name, notes and address; the one that was made is gone."""
    with begun() as (pve, walk):
        row = container_there(pve, walk)
        assert row.vmid is not None
        there = (
            row.host if moved == "restored" else Server.objects.create(name="pve2", keymanager_name="pve2")
        )
        config = dict(pve.world.guests.pop(row.vmid).config)
        twin = GuestSeen.objects.create(host=there, vmid=777, kind="lxc", name="shop2", config=config)
        assert hanging.others(walk.data, walk.results) == []  # a clone, with another name
        if moved == "with its server":
            GuestSeen.objects.update(server=walk.server)
        else:
            GuestSeen.objects.update(name=row.hostname)
        (held,) = hanging.others(walk.data, walk.results)
        assert (str(row.vmid) in str(held.text), held.url) == (True, twin.get_absolute_url())
        own = GuestSeen.objects.create(host=row.host, vmid=row.vmid, kind="lxc", name=NAME, config=config)
        assert hanging.others(walk.data, walk.results) == []
        own.delete()
        destroyed = {**walk.results, "container": {**walk.results["container"], "destroy": None}}
        assert hanging.others(walk.data, destroyed) == [], (
            "a clone of the same name, which is the server only now"
        )
        GuestSeen.objects.update(gone_at=timezone.now())
        assert hanging.others(walk.data, walk.results) == []


@pytest.mark.parametrize(
    ("option", "words"), [({"protection": 1}, "is protected"), ({"lock": "backup"}, "is locked")]
)
def test_a_container_that_proxmox_would_not_destroy_is_found_out_before_anything_is_undone(
    option: Any, words: str
) -> None:
    """The copies were deleted, the port closed, and then Proxmox refused."""
    with begun() as (pve, walk):
        row = container_there(pve, walk)
        hanging.look(walk.data, walk.results)
        pve.world.guests[row.vmid].config.update(option)
        with pytest.raises(errors.Kept, match=words):
            hanging.look(walk.data, walk.results)
        pve.world.guests[row.vmid].config["hostname"] = "other"  # not for us to destroy: said by `others`
        hanging.look(walk.data, walk.results)


def test_a_host_that_does_not_answer_is_found_out_before_anything_is_undone() -> None:
    with begun() as (pve, walk):
        container_there(pve, walk)
        pve.faults.add(Refuses(method="GET", status=500, reason="cluster not ready"))
        with pytest.raises(errors.ProxmoxError):
            hanging.look(walk.data, walk.results)


def test_an_undo_that_fails_says_why_and_can_be_resumed() -> None:
    with begun() as (pve, walk):
        container_there(pve, walk)
        fault = pve.faults.add(TaskFails(type="vzdestroy", message="it is busy", seconds=0))
        with pytest.raises(Refused, match="busy"):
            walk.until_done("container", task_container.undo)
        pve.faults.remove(fault)
        walk.until_done("container", task_container.undo)
        assert guests_named(pve, NAME) == []


def container_there(pve: Any, walk: Walk) -> Creation:
    """The container as Proxmox has it once it is made; nobody logs in to a simulated one."""
    walk.call("container", task_container.do)
    Creation.objects.update(start=False)
    work_off()
    row = Creation.objects.get()
    assert (row.state, guests_named(pve, NAME)) == ("done", [row.vmid]), row.why
    return row


def test_a_server_that_was_there_is_put_back_as_it_was() -> None:
    with simulated() as (_pve, host):
        known = Server.objects.create(name=NAME, keymanager_name=NAME, is_vm=True, vm_host=host)
        walk = Walk(host, unix_users=["root", "deploy"])
        walk.until_done("server", task_server.do)
        assert known.unix_users.count() == 2
        Server.objects.filter(pk=known.pk).update(internal_ip="10.0.0.2", ssh_connection="-p 102 root@pve1")
        walk.until_done("server", task_server.undo)
        known.refresh_from_db()
        assert (known.internal_ip, known.ssh_connection, known.unix_users.count()) == (None, "", 0)


def _backup(walk: Walk) -> Any:
    store = Server.objects.create(name="store", keymanager_name="store", external_ip="198.51.100.9")
    return Backup.objects.create(source=walk.server, destination=store, destination_folder="/b")


def _hostname(walk: Walk) -> Any:
    return hostname(walk.host, "other.example.org", walk.server)


def _port(walk: Walk) -> Any:
    return PortForward.objects.create(
        host=walk.host, destination=walk.server, first_port=900, last_port=900,
        destination_first=90, destination_last=90,
    )  # fmt: skip


def _share(walk: Walk) -> Any:
    return Share.objects.create(server=walk.server, name="photos", folder="photos", user="samba-photos")


def _restore(walk: Walk) -> Any:
    store = Server.objects.create(name="store", keymanager_name="store", external_ip="198.51.100.9")
    other = Backup.objects.create(source=walk.host, destination=store, destination_folder="/b")
    return Restore.objects.create(backup=other, target=walk.server, at=1, copy="hourly.0", state="running")


def _left(walk: Walk) -> Any:
    return LeftData.objects.create(uuid=uuid4(), destination=walk.server, folder="/srv/bk", of="files1:/srv")


def _guest(walk: Walk) -> Any:
    return Server.objects.create(name="inner", keymanager_name="inner", is_vm=True, vm_host=walk.server)


def _nginx(walk: Walk) -> Any:
    Server.objects.filter(pk=walk.host.pk).update(nginx_server=walk.server)
    return Server.objects.get(pk=walk.host.pk)


def _more_of_its_own(walk: Walk) -> Any:
    row = hostname(walk.host, "shop.example.org", walk.server, _guest(walk))
    walk.results["domain"] = {"hostname": row.pk}
    Server.objects.filter(name="inner").update(vm_host=walk.host)
    return row


@pytest.mark.parametrize(
    "make",
    [_backup, _hostname, _port, _share, _restore, _left, _guest, _nginx, _more_of_its_own],
    ids=lambda make: make.__name__,
)
def test_what_others_hung_on_it_stands_in_the_way_of_an_undo_by_name(make: Any) -> None:
    with begun() as (_pve, walk):
        assert hanging.others(walk.data, walk.results) == []
        row = make(walk)
        (held,) = hanging.others(walk.data, walk.results)
        assert (str(row) in str(held.text), held.url) == (True, row.get_absolute_url())


def test_its_keys_stand_in_the_way_where_they_are_the_last_way_in_to_others() -> None:
    with begun() as (_pve, walk):
        make_key(walk.server.unix_users.get(), "shop")
        target = make_server("target")
        group = Group.objects.create(name="g")
        group.member_servers.add(walk.server)
        group.allowed_servers.add(target, walk.server)
        (held,) = hanging.others(walk.data, walk.results)
        assert str(held.text).endswith("with a key from here: target")
        walk.results["groups"] = {"added": [group.pk]}
        group.member_users.add(User.objects.create(username="ann"))
        make_key(User.objects.get(), "ann")
        assert hanging.others(walk.data, walk.results) == []


@pytest.mark.parametrize(
    "told",
    [
        {"GESTION_URL": f"https://{NAME}/"},
        {"GESTION_NAME": NAME},
        {"GESTION_IP": "10.0.0.2", "GESTION_VM_NAME": "pve1"},
    ],
    ids=lambda told: next(iter(told)),
)
def test_the_panel_stands_in_the_way_where_it_was_moved_there(settings: Any, told: dict[str, str]) -> None:
    """Its container was destroyed with it: an undo gave each second word that the guest's own page asks for."""
    with begun() as (_pve, walk):
        walk.host.name = told.get("GESTION_VM_NAME", walk.host.name)
        walk.host.save()
        Server.objects.filter(pk=walk.server.pk).update(internal_ip="10.0.0.2")
        for name, value in told.items():
            setattr(settings, name, value)
        (held,) = hanging.others(walk.data, walk.results)
        assert (held.text, held.url) == (f"The panel itself runs on {NAME}", walk.server.get_absolute_url())


def test_the_panel_stands_in_the_way_where_the_wizards_own_hostname_leads_to_it(settings: Any) -> None:
    """As before “Retire a server”: the domain need not be the server's own name."""
    settings.GESTION_URL = "https://panel.example.org/"
    with begun() as (_pve, walk):
        row = hostname(walk.host, "panel.example.org", walk.server)
        walk.results["domain"] = {"hostname": row.pk}
        (held,) = hanging.others(walk.data, walk.results)
        assert ("Gestion itself is reached by panel.example.org" in held.text, held.url) == (
            True,
            row.get_absolute_url(),
        )


@pytest.mark.parametrize("how", ["linked to another", "made anew", "deleted"])
def test_a_container_that_is_another_servers_machine_by_now_stands_in_the_way(how: str) -> None:
    """It was destroyed without a word of the server that it had become, and of all that hung on that."""
    with begun() as (pve, walk):
        row = container_there(pve, walk)
        walk.until_done("container", task_container.do)
        assert row.vmid is not None
        config = dict(pve.world.guests[row.vmid].config)
        if how != "linked to another":
            walk.server.delete()
        other = None if how == "deleted" else make_server("www")
        seen = GuestSeen.objects.create(
            host=walk.host, vmid=row.vmid, kind="lxc", name=NAME, config=config, server=other
        )
        said = [(held.text, held.url) for held in hanging.others(walk.data, walk.results)]
        words = f"container {seen} is the machine of www by now"
        assert said == ([(words, seen.get_absolute_url())] if other else [])


def test_the_panel_stands_in_the_way_too_in_a_container_for_a_server_that_was_there(settings: Any) -> None:
    with simulated() as (pve, host):
        Offer.objects.create(
            host=host, templates=[[TEMPLATE, 1]], storages=[["local-lvm", "lvmthin", 1 << 40]]
        )
        Server.objects.create(name=NAME, keymanager_name=NAME, is_vm=True, vm_host=host)
        settings.GESTION_NAME = NAME
        walk = Walk(host)
        walk.until_done("server", task_server.do)
        assert hanging.others(walk.data, walk.results) == []
        container_there(pve, walk)
        (held,) = hanging.others(walk.data, walk.results)
        assert held.text == f"The panel itself runs on {NAME}"


def test_a_container_that_never_came_about_takes_nothing_with_it(settings: Any) -> None:
    """The create failed, and an undo was refused because others need what a server that stays has."""
    with simulated() as (_pve, host):
        Offer.objects.create(
            host=host, templates=[[TEMPLATE, 1]], storages=[["local-lvm", "lvmthin", 1 << 40]]
        )
        Server.objects.create(name=NAME, keymanager_name=NAME, is_vm=True, vm_host=host)
        settings.GESTION_NAME = NAME
        walk = Walk(host, storage="nowhere")
        walk.until_done("server", task_server.do)
        with pytest.raises(Refused):
            walk.until_done("container", task_container.do)
        assert Creation.objects.get().vmid is None
        assert hanging.others(walk.data, walk.results) == []


def test_the_undo_names_groups_and_keys_that_others_gave_it() -> None:
    with begun(groups_allowed=[Group.objects.create(name="own").pk]) as (_pve, walk):
        walk.until_done("groups_allowed", task_server.do_allowed)
        assert task_server.undo_says(walk.data, walk.results) == f"Delete {NAME} from the inventory"
        Group.objects.create(name="by hand").allowed_servers.add(walk.server)
        make_key(walk.server.unix_users.get(), "shop")
        assert task_server.undo_says(walk.data, walk.results) == (
            f"Delete {NAME} from the inventory; with it go: 1 SSH key of its unix users; "
            "The group by hand is allowed on it"
        )


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


def test_the_undo_names_what_others_keep_on_the_disks_of_a_server_that_was_there_before() -> None:
    """A container that was lost is made anew by the wizard; its shares stand in no way, and are filled since."""
    with simulated() as (_pve, host):
        known = Server.objects.create(name=NAME, keymanager_name=NAME, is_vm=True, vm_host=host)
        share = Share.objects.create(server=known, name="photos", folder="photos", user="samba-photos")
        walk = Walk(host)
        walk.until_done("server", task_server.do)
        assert hanging.others(walk.data, walk.results) == []
        said = task_container.undo_says(walk.data, walk.results)
        assert said.endswith(f"with everything in it; with it go: the share {share} is on it")


def test_what_hung_on_a_server_that_was_there_before_does_not() -> None:
    with simulated() as (_pve, host):
        Server.objects.create(name=NAME, keymanager_name=NAME, is_vm=True, vm_host=host)
        walk = Walk(host)
        before = _port(walk)
        walk.until_done("server", task_server.do)
        assert hanging.others(walk.data, walk.results) == []
        after = _hostname(walk)
        assert [held.row for held in hanging.others(walk.data, walk.results)] == [after]
        assert before.pk


def test_the_key_of_a_unix_user_that_it_added_to_a_server_of_before_stands_in_the_way() -> None:
    """It was found out last, once the container was destroyed."""
    with simulated() as (_pve, host):
        known = Server.objects.create(name=NAME, keymanager_name=NAME, is_vm=True, vm_host=host)
        walk = Walk(host, unix_users=["root", "deploy"])
        walk.until_done("server", task_server.do)
        assert hanging.others(walk.data, walk.results) == []
        make_key(known.unix_users.get(name="deploy"), "deploy")
        (held,) = hanging.others(walk.data, walk.results)
        assert "The SSH key" in str(held.text)


def test_its_own_parts_do_not() -> None:
    with begun() as (_pve, walk):
        walk.results["backup"] = {"backup": _backup(walk).pk}
        walk.results["domain"] = {"hostname": _hostname(walk).pk}
        walk.results["port"] = {"rule": _port(walk).pk}
        assert hanging.others(walk.data, walk.results) == []
        PortForward.objects.update(destination=_guest_of(walk.host))
        assert "leads to another server" in str(hanging.others(walk.data, walk.results)[0].text)
        Backup.objects.update(source=_guest_of(walk.host, "beside2"))
        assert "is of another server" in str(hanging.others(walk.data, walk.results)[1].text)


def test_as_the_nginx_server_it_made_only_hostnames_that_it_leads_to_others_stand_in_the_way() -> None:
    with begun() as (_pve, walk):
        _nginx(walk)
        walk.results["nginx"] = {"host": walk.host.pk}
        walk.results["domain"] = {"hostname": _hostname(walk).pk}
        assert hanging.others(walk.data, walk.results) == []
        beside = _guest_of(walk.host)
        other = hostname(walk.host, "beside.example.org", beside)
        (held,) = hanging.others(walk.data, walk.results)
        assert (held.row, "is led by it" in str(held.text)) == (other, True)
        HostnameForward.objects.all().delete()  # the wizard's own before, as its undo does
        walk.until_done("nginx", task_nginx.undo)
        walk.host.refresh_from_db()
        assert walk.host.nginx_server is None


def test_no_rollout_in_the_container_that_goes_is_waited_for() -> None:
    """It may be why all is undone: out of reach, or with an nginx that does not start; the undo never ended."""
    with begun() as (_pve, walk):
        _nginx(walk)
        row = _hostname(walk)
        walk.results |= {"nginx": {"host": walk.host.pk}, "domain": {"hostname": row.pk}}
        Rollout.objects.create(
            server=walk.server, kind="nginx", state="unreachable", why="it does not answer"
        )
        assert walk.call("domain", task_domain.undo) is None
        assert walk.call("nginx", task_nginx.undo) is None
        walk.host.refresh_from_db()
        assert (HostnameForward.objects.count(), walk.host.nginx_server) == (0, None)
        elsewhere = _guest_of(walk.host)
        Server.objects.filter(pk=walk.host.pk).update(nginx_server=elsewhere)
        walk.results["domain"] = {"hostname": _hostname(walk).pk}
        Rollout.objects.create(server=elsewhere, kind="nginx", state="unreachable", why="it does not answer")
        assert walk.call("domain", task_domain.undo) is not None


def test_an_undo_does_without_a_backup_server_that_has_left_the_inventory() -> None:
    """Its backup was deleted by hand before that; the undo stood still there for ever."""
    with begun(backup=True) as (_pve, walk):
        row = _backup(walk)
        walk.data |= {"backup_server": row.destination_id, "backup_folder": row.destination_folder}
        walk.results["backup"] = {"backup": row.pk, "uuid": str(row.uuid)}
        store = row.destination
        row.delete()
        store.delete()
        assert walk.call("backup", task_backup.undo) is None


def test_the_undo_says_what_becomes_of_the_copies_and_of_a_server_that_was_there() -> None:
    with begun() as (_pve, walk):
        backup = _backup(walk)
        walk.data |= {"backup_server": backup.destination_id, "backup_folder": "/b"}
        own = BackupRun.objects.create(backup=backup, state="done")
        facts = {"backup": {"backup": backup.pk}, "first_backup": {"runs": [own.pk], "backup_run": own.pk}}
        assert "delete its copies in /b on store" in task_backup.undo_says(walk.data, facts)
        switched_off = {**facts, "first_backup": {}}
        assert "stay, among the left copies" in task_backup.undo_says(walk.data, switched_off)
        BackupRun.objects.create(backup=backup, state="done")
        assert "stay, among the left copies" in task_backup.undo_says(walk.data, facts)
        backup.delete()
        assert "no more already" in task_backup.undo_says(walk.data, facts)
        assert "Delete shop.example.org" in task_server.undo_says(walk.data, walk.results)
        assert "back as it was" in task_server.undo_says(walk.data, {"server": {"made": False}})


def test_a_first_backup_that_is_tried_again_by_itself_is_waited_for_and_is_the_wizards_own() -> None:
    with begun() as (_pve, walk):
        backup = _backup(walk)
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


def test_a_run_of_somebody_else_in_the_place_of_a_first_backup_is_not_the_wizards() -> None:
    with begun() as (_pve, walk):
        backup = _backup(walk)
        first = BackupRun.objects.create(backup=backup, state="failed", error="Rebooted.")
        BackupRun.objects.create(backup=backup, state="failed", why="hand")
        BackupRun.objects.create(backup=backup, state="done", why="again", attempt=2)
        walk.results |= {"backup": {"backup": backup.pk}, "first_backup": {"backup_run": first.pk}}
        with pytest.raises(Refused, match="Rebooted"):
            walk.call("first_backup", task_backup.do_run)
        assert "runs" not in walk.results["first_backup"]


def test_the_undo_says_what_has_become_of_its_port_and_hostname() -> None:
    with begun() as (_pve, walk):
        walk.data |= {"ssh_port": 102, "domain": NAME}  # as it was answered; both were changed by hand since
        walk.results |= {"port": {"rule": _port(walk).pk}, "domain": {"hostname": _hostname(walk).pk}}
        port = task_login.undo_says_port(walk.data, walk.results)
        assert port == f"Port 900 of {walk.host} leads nowhere any more"
        domain = task_domain.undo_says(walk.data, walk.results)
        assert domain == "other.example.org leads nowhere any more"
        PortForward.objects.all().delete()
        HostnameForward.objects.all().delete()
        assert "already" in task_login.undo_says_port(walk.data, walk.results)
        assert "already" in task_domain.undo_says(walk.data, walk.results)


def _guest_of(host: Server, name: str = "beside") -> Server:
    return Server.objects.create(name=name, keymanager_name=name, is_vm=True, vm_host=host)
