"""What the page of create_vm's undo says of each of its parts."""

import pytest

from backups.models import BackupRun
from forwarding.models import HostnameForward, PortForward
from keymanager.models import Group
from proxmox.looking import look_at
from proxmox.models import Creation
from samba.models import Share
from servers.models import Server
from tests.keymanager.fleets import make_key
from tests.proxmox.creating import simulated
from tests.wizards.create_vm_walking import (
    NAME,
    Walk,
    backup_on,
    begun,
    container_there,
    hostname_on,
    port_on,
)
from wizards.create_vm import (
    hanging,
    task_backup,
    task_container,
    task_domain,
    task_login,
    task_nginx,
    task_server,
)

pytestmark = pytest.mark.django_db(transaction=True)


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


def test_the_undo_names_what_others_keep_on_the_disks_of_a_server_that_was_there_before() -> None:
    """A container that was lost is made anew by the wizard; its shares stand in no way, and are filled since."""
    with simulated() as (_pve, host):
        known = Server.objects.create(name=NAME, keymanager_name=NAME, is_vm=True, vm_host=host)
        share = Share.objects.create(server=known, name="photos", folder="photos", user="samba-photos")
        walk = Walk(host)
        walk.until_done("server", task_server.do)
        assert hanging.others(walk.data, walk.results) == []
        walk.call("container", task_container.do)
        said = task_container.undo_says(walk.data, walk.results)
        assert said.endswith(f"with everything in it; with it go: the share {share} is on it")


def test_the_undo_says_what_becomes_of_the_copies_and_of_a_server_that_was_there() -> None:
    with begun() as (_pve, walk):
        backup = backup_on(walk)
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
        only_listed = {**walk.data, "make_container": False}
        assert "rolled out there stays" in task_server.undo_says(only_listed, walk.results)
        before = {"server": {**walk.results["server"], "made": False}}
        assert "back as it was" in task_server.undo_says(walk.data, before)


def test_the_undo_says_what_has_become_of_its_port_and_hostname() -> None:
    with begun() as (_pve, walk):
        walk.data |= {"ssh_port": 102, "domain": NAME}  # as it was answered; both were changed by hand since
        walk.results |= {"port": {"rule": port_on(walk).pk}, "domain": {"hostname": hostname_on(walk).pk}}
        port = task_login.undo_says_port(walk.data, walk.results)
        assert port == f"Port 900 of {walk.host} leads nowhere any more"
        domain = task_domain.undo_says(walk.data, walk.results)
        assert domain == "other.example.org leads nowhere any more"
        PortForward.objects.all().delete()
        HostnameForward.objects.all().delete()
        assert "already" in task_login.undo_says_port(walk.data, walk.results)
        assert "already" in task_domain.undo_says(walk.data, walk.results)


def test_the_undo_does_not_speak_of_what_was_never_made() -> None:
    """A port and a domain that were taken meanwhile, a create that failed: “deleted already”, “stop and destroy”."""
    with begun() as (_pve, walk):
        assert task_server.undo_says(walk.data, {}) == "Nothing was entered into the inventory"
        assert task_container.undo_says(walk.data, walk.results) == "No container was created"
        assert task_login.undo_says_port(walk.data, walk.results) == "No port was forwarded"
        assert task_domain.undo_says(walk.data, walk.results) == "No hostname was added"
        assert task_backup.undo_says(walk.data, walk.results) == "No backup was planned"
        assert "not become" in task_nginx.undo_says(walk.data, walk.results)
        walk.call("container", task_container.do)
        assert "Stop and destroy" in task_container.undo_says(walk.data, walk.results)
        Creation.objects.update(state="failed")  # it has no number any more
        assert task_container.undo_says(walk.data, walk.results) == "No container was created"


def test_the_undo_says_what_is_gone_already_also_where_another_has_name_and_number_by_now() -> None:
    """Retired, and made anew by the wizard: that one has the same name, and Proxmox gives it the same number."""
    with begun() as (pve, walk):
        row = container_there(pve, walk)
        walk.call("container", task_container.do)  # notes what it is
        assert "Stop and destroy" in task_container.undo_says(walk.data, walk.results)
        look_at({walk.host.pk})
        assert "Stop and destroy" in task_container.undo_says(walk.data, walk.results)
        before = {"server": {**walk.results["server"], "made": False}}
        assert "as it was" in task_server.undo_says(walk.data, before)
        walk.server.delete()
        assert "inventory already" in task_server.undo_says(walk.data, before)
        assert "Stop and destroy" in task_container.undo_says(walk.data, walk.results)
        assert task_server.undo_says(walk.data, walk.results).startswith(
            "It is deleted from the inventory already"
        )
        Server.objects.create(name=NAME, keymanager_name=NAME, is_vm=True, vm_host=walk.host)
        pve.world.guests[row.vmid].config["description"] = "another one"
        look_at({walk.host.pk}, vmid=row.vmid)
        assert "destroyed already" in task_container.undo_says(walk.data, walk.results)
        assert "inventory already" in task_server.undo_says(walk.data, walk.results)
        del pve.world.guests[row.vmid]
        look_at({walk.host.pk})
        assert "destroyed already" in task_container.undo_says(walk.data, walk.results)
