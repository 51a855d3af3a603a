"""What changes of servers mean for backups, and whether the keymanager lets the backup server in."""

import pytest
from django.utils import timezone

from backups.letting_in import missing
from backups.models import BackupRun, LeftData, RunState
from backups.services.plans import change_backup, create_backup, delete_backup, switch_backup
from keymanager.models import Group, Key, OfferedKey
from servers.models import HostKey, Rollout
from servers.registry import held_by_unix_user
from servers.services import DeleteRefused, accept_host_key, change_server, remove_host_key, remove_unix_user
from tests.keymanager.fleets import make_key

pytestmark = pytest.mark.django_db


def wanted(server) -> int:
    """How often something was asked to be rolled out there."""
    found = Rollout.objects.filter(server=server, kind="rsnapshot").first()
    return found.wanted if found else 0


def change(actor, server, **fields):
    server.refresh_from_db()
    for name, value in fields.items():
        setattr(server, name, value)
    change_server(actor, server, version=server.version)


def test_a_changed_way_to_a_source_is_rolled_out_and_nothing_else(rows, actor):
    create_backup(actor, rows.unsaved())
    create_backup(actor, rows.unsaved(source=rows.web1))
    asked = wanted(rows.backup1)
    change(actor, rows.mail1, notes="nothing to do with it")
    assert wanted(rows.backup1) == asked
    change(actor, rows.mail1, backup_ssh_connection="-p 222 root@198.51.100.20")
    assert wanted(rows.backup1) == asked + 1
    change(actor, rows.pve1, ssh_connection="root@pve1.example.org")  # leads to web1
    assert wanted(rows.backup1) == asked + 2
    change(actor, rows.mail1, name="post.example.org")
    assert wanted(rows.backup1) == asked + 3


def test_an_accepted_or_removed_host_key_is_rolled_out(rows, actor):
    create_backup(actor, rows.unsaved())
    asked = wanted(rows.backup1)
    key = HostKey.objects.create(server=rows.mail1, key="ssh-ed25519 AAAA", fingerprint="SHA256:x")
    accept_host_key(actor, key)
    assert wanted(rows.backup1) == asked + 1
    remove_host_key(actor, key)
    assert wanted(rows.backup1) == asked + 2


def test_the_page_to_remove_a_host_key_says_where_backups_then_do_not_know_the_server(
    rows, actor, admin_client
):
    create_backup(actor, rows.unsaved())
    for server in (rows.mail1, rows.backup1):
        key = f"ssh-ed25519 {server.pk}"
        HostKey.objects.create(server=server, key=key, fingerprint="SHA256:x", pinned_at=timezone.now())
    url = f"/servers/{rows.mail1.pk}/host-keys/{rows.mail1.host_keys.get().pk}/remove/"
    assert 'id="rolls-out"' in admin_client.get(url).content.decode()
    told = admin_client.post(url, {"preview": "1"}, headers={"hx-request": "true"}).content.decode()
    assert "Backups of backup1" in told
    assert f"-mail1 ssh-ed25519 {rows.mail1.pk}" in told
    json = {"content_type": "application/json", "headers": {"accept": "application/json"}}
    assert admin_client.post(url, {}, **json).json()["rolls_out"][0]["server"] == "backup1"
    offered = HostKey.objects.create(server=rows.mail1, key="ssh-ed25519 AAAA", fingerprint="SHA256:y")
    accept = f"/servers/{rows.mail1.pk}/host-keys/{offered.pk}/accept/"
    page = admin_client.get(rows.mail1.get_absolute_url()).content.decode()
    assert f'hx-post="{accept}" hx-trigger="load" hx-vals=\'{{"preview": "1"}}\'' in page
    told = admin_client.post(accept, {"preview": "1"}, headers={"hx-request": "true"}).content.decode()
    assert 'class="notice notice-info"' in told
    assert "+mail1 ssh-ed25519 AAAA" in told
    assert admin_client.post(accept, {"preview": True}, **json).json()["preview"][0]["server"] == "backup1"
    assert admin_client.post(accept, {}, **json).json()["rolls_out"][0]["server"] == "backup1"


def test_a_unix_user_as_whom_a_backup_comes_stays_on_the_list(rows, actor):
    reader = rows.mail1.unix_users.create(name="reader")
    other = rows.mail1.unix_users.create(name="other")
    backup = rows.backup()
    assert held_by_unix_user(reader) == []
    change(actor, rows.mail1, backup_ssh_connection="-p 222 reader@198.51.100.20")
    (held,) = held_by_unix_user(reader)
    assert (str(backup) in str(held.text), held.url) == (True, backup.get_absolute_url())
    assert not held.blocks  # it comes by a key of the administrator's own
    for server in (rows.mail1, rows.backup1):
        HostKey.objects.create(
            server=server, key="ssh-ed25519 AAAA", fingerprint="SHA256:x", pinned_at=timezone.now()
        )
    make_key(rows.backup1.unix_users.get(name="root"), "backup1")
    group = Group.objects.create(name="Backup")
    group.member_servers.add(rows.backup1)
    group.allowed_unix_users.add(reader)
    with pytest.raises(DeleteRefused, match="logs in as it"):
        remove_unix_user(actor, reader)
    remove_unix_user(actor, other)
    backup.delete()
    remove_unix_user(actor, reader)


def test_a_unix_user_of_a_host_through_which_a_backup_comes_stays_too(rows, actor):
    jump = rows.pve1.unix_users.create(name="jump")
    backup = rows.backup(source=rows.web1)
    change(actor, rows.pve1, backup_ssh_connection="jump@198.51.100.10")
    assert [str(backup) in str(held.text) for held in held_by_unix_user(jump)] == [True]
    assert held_by_unix_user(rows.mail1.unix_users.get(name="root")) == []


def test_a_unix_user_as_whom_gestion_logs_in_stays_on_the_list(rows, actor):
    admin = rows.mail1.unix_users.create(name="admin")
    change(actor, rows.mail1, ssh_connection="-p 222 admin@198.51.100.20")
    admin.refresh_from_db()
    with pytest.raises(DeleteRefused, match="Gestion logs in as it"):
        remove_unix_user(actor, admin)
    change(actor, rows.mail1, ssh_connection="admin")  # a host of that name
    admin.refresh_from_db()
    remove_unix_user(actor, admin)


def test_switching_changes_nothing_on_the_host_and_an_unchanged_save_neither(rows, actor):
    backup = create_backup(actor, rows.unsaved())
    asked = wanted(rows.backup1)
    switch_backup(actor, backup, active=False)
    backup.refresh_from_db()
    change_backup(actor, backup, version=backup.version)
    assert wanted(rows.backup1) == asked


def test_what_a_deleted_backup_left_keeps_its_id_and_its_settings(rows, actor):
    backup = create_backup(actor, rows.unsaved(excludes="/a"))
    BackupRun.objects.create(backup=backup, state=RunState.DONE, started_at=timezone.now())
    left = delete_backup(actor, backup)
    assert left
    assert (left.uuid, left.folder, left.settings["excludes"]) == (backup.uuid, "/backups/mail1", "/a")
    assert LeftData.objects.get() == left


def test_the_page_says_which_key_is_missing_where(rows, actor):
    backup = rows.backup(source=rows.web1)  # through pve1

    def words() -> str:
        found = missing(backup)
        return found.words if found else ""

    for server in (rows.pve1, rows.web1):
        assert f"No host key of {server} is accepted" in words()
        now = timezone.now()
        HostKey.objects.create(server=server, key="ssh-ed25519 AAAA", fingerprint="SHA256:x", pinned_at=now)
    assert "knows no SSH key of root on backup1" in words()
    root = rows.backup1.unix_users.get()
    offered = OfferedKey.objects.create(unix_user=root, line="x", fingerprint="SHA256:k", path="/p")
    assert "SSH key of root on backup1, with which it logs in to the sources, waits for your word" in words()
    offered.delete()
    key = Key.objects.create(
        unix_user=root, type="ssh-ed25519", blob="AAAA", bits=256, fingerprint="SHA256:k"
    )
    group = Group.objects.create(name="Gestion")
    group.member_keys.add(key)
    for server in (rows.pve1, rows.web1):
        assert f"not among those that may log in to {server} as root" in words()
        group.allowed_servers.add(server)
    assert words() == ""
