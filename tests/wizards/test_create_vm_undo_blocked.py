"""What stands in the way of an undo of create_vm: named before anything is touched, and what does not."""

from typing import Any
from uuid import uuid4

import pytest
from django.utils import timezone

from accounts.models import User
from backups.models import Backup, LeftData, Restore
from forwarding.models import HostnameForward, PortForward
from keymanager.models import Group
from lab.pve import Refuses
from proxmox.client import errors
from proxmox.models import Creation, GuestSeen
from samba.models import Share
from servers.models import Server
from tests.forwarding.hostname_rows import hostname
from tests.keymanager.fleets import make_key, make_server
from tests.proxmox.creating import simulated
from tests.wizards.create_vm_walking import (
    NAME,
    Walk,
    backup_on,
    begun,
    container_there,
    guest_beside,
    hostname_on,
    nginx_on,
    port_on,
)
from wizards.create_vm import hanging, task_container, task_nginx, task_server
from wizards.declare import Refused

pytestmark = pytest.mark.django_db(transaction=True)


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


def _more_of_its_own(walk: Walk) -> Any:
    row = hostname(walk.host, "shop.example.org", walk.server, _guest(walk))
    walk.results["domain"] = {"hostname": row.pk}
    Server.objects.filter(name="inner").update(vm_host=walk.host)
    return row


@pytest.mark.parametrize(
    "make",
    [backup_on, hostname_on, port_on, _share, _restore, _left, _guest, nginx_on, _more_of_its_own],
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
    settings.GESTION_NAME = NAME
    with begun(there=True) as (pve, walk):
        assert hanging.others(walk.data, walk.results) == []
        container_there(pve, walk)
        (held,) = hanging.others(walk.data, walk.results)
        assert held.text == f"The panel itself runs on {NAME}"


def test_a_container_that_never_came_about_takes_nothing_with_it(settings: Any) -> None:
    """The create failed, and an undo was refused because others need what a server that stays has."""
    settings.GESTION_NAME = NAME
    with begun(there=True, storage="nowhere") as (_pve, walk):
        with pytest.raises(Refused):
            walk.until_done("container", task_container.do)
        assert Creation.objects.get().vmid is None
        assert hanging.others(walk.data, walk.results) == []


def test_what_hung_on_a_server_that_was_there_before_does_not() -> None:
    with simulated() as (_pve, host):
        Server.objects.create(name=NAME, keymanager_name=NAME, is_vm=True, vm_host=host)
        walk = Walk(host)
        before = port_on(walk)
        walk.until_done("server", task_server.do)
        assert hanging.others(walk.data, walk.results) == []
        after = hostname_on(walk)
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
        walk.results["backup"] = {"backup": backup_on(walk).pk}
        walk.results["domain"] = {"hostname": hostname_on(walk).pk}
        walk.results["port"] = {"rule": port_on(walk).pk}
        assert hanging.others(walk.data, walk.results) == []
        PortForward.objects.update(destination=guest_beside(walk.host))
        assert "leads to another server" in str(hanging.others(walk.data, walk.results)[0].text)
        Backup.objects.update(source=guest_beside(walk.host, "beside2"))
        assert "is of another server" in str(hanging.others(walk.data, walk.results)[1].text)


def test_as_the_nginx_server_it_made_only_hostnames_that_it_leads_to_others_stand_in_the_way() -> None:
    with begun() as (_pve, walk):
        nginx_on(walk)
        walk.results["nginx"] = {"host": walk.host.pk}
        walk.results["domain"] = {"hostname": hostname_on(walk).pk}
        assert hanging.others(walk.data, walk.results) == []
        beside = guest_beside(walk.host)
        other = hostname(walk.host, "beside.example.org", beside)
        (held,) = hanging.others(walk.data, walk.results)
        assert (held.row, "is led by it" in str(held.text)) == (other, True)
        HostnameForward.objects.all().delete()  # the wizard's own before, as its undo does
        walk.until_done("nginx", task_nginx.undo)
        walk.host.refresh_from_db()
        assert walk.host.nginx_server is None
