"""The rsnapshot kind on real hosts: read by rsnapshot itself, twice the same, there after a reboot, and it copies."""

import pytest
from django.utils import timezone

from backups.models import BackupRun, LeftData, RunState
from backups.paths import Paths
from backups.services.plans import change_backup, delete_backup, delete_left, make_key, try_way
from jobs.models import JobState
from keymanager.models import OfferedKey
from lab import Fleet
from servers.models import Rollout, RolloutState
from servers.services import look_closer, roll_out
from tests.backups.plans_lab_rows import SYSTEM, let_in, planned, shut_out
from tests.forwarding.lab_rows import enlist
from tests.jobs.working import work_off

pytestmark = [pytest.mark.lab, pytest.mark.django_db(transaction=True)]
TREE = """
mkdir -p '/srv/tree/in use' /srv/tree/cache '/srv/tree/[odd]' /srv/tree/o; cd /srv/tree
echo one >'in use/a'; ln 'in use/a' b; echo c >cache/c; echo o >'[odd]/f'; echo o >o/f
truncate -s 3M sparse; setfacl -m u:daemon:r b; chown 12345:54321 o/f
"""


@pytest.fixture
def rows(fleet: Fleet, lab_key):
    """The lab in the inventory; backup1 is let in at the sources."""
    let_in(fleet["backup1"], fleet["web1"], fleet["files1"])
    fleet["files1"].exec(["sh", "-c", TREE])
    return enlist(fleet, lab_key)


def state(server) -> str:
    return Rollout.objects.get(server=server, kind="rsnapshot").state


def test_the_kind_is_rolled_out_once_and_survives_a_reboot(fleet, rows):
    backup1 = fleet["backup1"]
    made = [planned(rows, "files1", "/srv/tree"), planned(rows, "web1", "/")]
    work_off()
    assert state(rows["backup1"]) == RolloutState.IN_SYNC
    listing = ["sh", "-c", "cd /etc/gestion/backups && ls -l --time-style=full-iso && cat *"]
    before = backup1.exec(listing).stdout
    assert before.count(b"-rw-------") == 4 * len(made)
    roll_out(SYSTEM, rows["backup1"], ["rsnapshot"])
    work_off()
    assert backup1.exec(listing).stdout == before
    backup1.reboot()
    look_closer(SYSTEM, rows["backup1"], ["rsnapshot"])
    work_off()
    assert state(rows["backup1"]) == RolloutState.IN_SYNC
    for backup in made:
        paths = Paths(backup.uuid, backup.destination_folder)
        assert b"Syntax OK" in backup1.exec(["rsnapshot", "-c", paths.config, "configtest"]).stdout
        assert delete_backup(SYSTEM, backup) is None  # no run of it has ever begun
    work_off()
    assert not backup1.exec(["sh", "-c", "ls /etc/gestion/backups || true"]).stdout


def test_rsnapshot_copies_with_these_files_what_was_meant(fleet, rows):
    backup1 = fleet["backup1"]
    backup = planned(rows, "files1", "/srv/tree", excludes="/cache, [odd]")
    work_off()
    paths = Paths(backup.uuid, backup.destination_folder)
    assert backup1.exec(["rsnapshot", "-c", paths.config, "sync"]).returncode == 0
    data = f"{paths.sync}/data"
    found = backup1.exec(["find", data, "-mindepth", "1", "-printf", "%P\\n"]).stdout.decode().split("\n")
    assert sorted(found) == ["", "b", "in use", "in use/a", "o", "o/f", "sparse"]
    assert backup1.exec(["stat", "-c", "%h", f"{data}/b"]).stdout == b"2\n"
    assert backup1.exec(["stat", "-c", "%u %g", f"{data}/o/f"]).stdout == b"12345 54321\n"
    assert int(backup1.exec(["stat", "-c", "%b", f"{data}/sparse"]).stdout) < 64
    assert b"user:daemon:r--" in backup1.exec(["getfacl", "-p", f"{data}/b"]).stdout


def test_the_way_is_tried_and_told_where_it_breaks(fleet, rows):
    fleet["web1"].exec(["sh", "-c", "rm -rf /srv/void; mkdir /srv/void"])
    backup = planned(rows, "web1", "/srv/void")
    work_off()

    def told() -> dict[str, bool]:
        try_way(SYSTEM, backup)
        assert all(job.state == JobState.DONE for job in work_off())
        backup.refresh_from_db()
        return {answer["step"]: answer["ok"] for answer in backup.tried or ()}

    def last_words() -> str:
        return str((backup.tried or [{}])[-1]["words"])

    way = rows["web1"]
    assert told() == {"tools": True, "files": True, "place": True, "login": True, "folder": False}
    assert "empty" in last_words()
    fleet["web1"].exec(["touch", "/srv/void/x"])
    assert told()["folder"]
    change_backup(SYSTEM, _with(backup, source_folder="/nowhere"), version=backup.version)
    work_off()
    assert "not there" in (told(), last_words())[1]
    shut_out(fleet["web1"], fleet["backup1"])
    assert told()["login"] is False
    assert "does not know the SSH key" in last_words()
    key = way.host_keys.get()
    type(key).objects.filter(pk=key.pk).update(key=fleet["pve1"].host_key)
    roll_out(SYSTEM, rows["backup1"], ["rsnapshot"])
    work_off()
    assert told()["login"] is False
    assert "another host key" in last_words()


def test_the_backup_servers_key_is_made_once_and_offered_to_the_keymanager(fleet, rows):
    server = rows["backup1"]
    root = server.unix_users.create(name="root")
    backup1 = fleet["backup1"]
    backup1.exec(["sh", "-c", "mkdir -p /root/aside; mv /root/.ssh/id_* /root/aside"])
    try:
        for _time in range(2):
            make_key(SYSTEM, server)
            assert work_off()[-1].state == JobState.DONE
            public = backup1.exec(["cat", "/root/.ssh/id_ed25519.pub"]).stdout.decode()
            assert public.split()[1] in OfferedKey.objects.get(unix_user=root).line
    finally:
        backup1.exec(["sh", "-c", "mv /root/aside/id_* /root/.ssh"])


def _with(backup, **fields):
    for name, value in fields.items():
        setattr(backup, name, value)
    return backup


def test_copies_that_are_left_are_deleted_only_with_their_marker(fleet, rows):
    backup1 = fleet["backup1"]
    backup = planned(rows, "files1", "/srv/tree")
    BackupRun.objects.create(backup=backup, state=RunState.FAILED, started_at=timezone.now())
    left = delete_backup(SYSTEM, backup)
    assert left
    work_off()
    backup1.exec(["sh", "-c", "mkdir -p /backups/files1/daily.0; echo dear >/backups/files1/daily.0/x"])

    def ended() -> str:
        delete_left(SYSTEM, left)
        return work_off()[-1].state

    assert ended() == JobState.FAILED
    assert backup1.exec(["cat", "/backups/files1/daily.0/x"]).stdout == b"dear\n"
    backup1.exec(["sh", "-c", f"echo {left.uuid} >/backups/files1/.gestion-backup"])
    backup1.exec(["sh", "-c", "mv /backups /real; ln -s /real /backups"])
    assert ended() == JobState.FAILED
    backup1.exec(["sh", "-c", "rm /backups; mv /real /backups"])
    assert LeftData.objects.exists()
    assert ended() == JobState.DONE
    assert not LeftData.objects.exists()
    assert backup1.exec(["ls", "-A", "/backups"]).stdout == b""
