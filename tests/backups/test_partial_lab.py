"""What a run could not copy, provoked on real hosts: the worst is said first, and page, notice and Zabbix agree."""

import pytest

from backups.models import BackupRun, RunState
from backups.telling import RUN_WRONG
from notifications.models import Message
from notifications.services import add_webhook
from tests.backups.lab_rows import DESTINATION, SOURCE_FOLDER, SYSTEM, Ground, ground, sh

pytestmark = [pytest.mark.lab, pytest.mark.django_db(transaction=True)]
# Files with an ACL and an attribute come and go as fast as they can, for as long as the folder is there.
COMING_AND_GOING = f"""
cd {SOURCE_FOLDER} && mkdir away && cd away
while cd {SOURCE_FOLDER}/away; do
  for i in $(seq 400); do echo x >f$i; done
  setfacl -m u:daemon:r f*; setfattr -n user.note -v x f*
  rm -f f*
done 2>/dev/null
"""


@pytest.fixture
def place(fleet, lab_key, django_db_blocker, settings) -> Ground:
    settings.WEBHOOK_NETWORKS = ["127.0.0.0/8"]
    add_webhook(SYSTEM, name="chat", url="http://127.0.0.1:9/", topics=[RUN_WRONG.name], active=True)
    made = ground(fleet, lab_key)
    sh(made.here, f"cd {SOURCE_FOLDER} && mkdir sub && for i in $(seq 2000); do echo $i >sub/$i; done")
    return made


def seen_everywhere(client, run: BackupRun, *words: str) -> None:
    """Page, dashboard, notice and monitoring say these words, or that it is not right."""
    backup = run.backup
    message = Message.objects.get()
    for word in words:
        assert word in run.error
        assert word in message.text
        for url in (run.get_absolute_url(), backup.get_absolute_url(), "/"):
            assert word in client.get(url).content.decode(), url
    assert client.get(f"/backups/zabbix/state/{backup.pk}").content in {b"failed", b"held"}
    assert client.get("/backups/health/").status_code == 503


def test_files_that_vanish_while_the_run_goes_are_no_fault(place):
    backup = place.backup()
    sh(place.here, f"setsid sh -c '{COMING_AND_GOING}' >/dev/null 2>&1 </dev/null &")
    vanished = ""
    for _time in range(8):
        run = place.run(backup)
        assert run.state == RunState.DONE, run.error
        vanished += run.output
        if "get_acl" in vanished or "xattr" in vanished:
            break
    sh(place.here, f"rm -rf {SOURCE_FOLDER}/away; rm -rf {SOURCE_FOLDER}/away")
    assert "files vanished while they were copied." in vanished
    assert not Message.objects.exists()


def test_files_that_may_not_be_read_are_counted_and_said_before_what_vanished(place, admin_client):
    public = sh(place.there, "cat ~/.ssh/id_ed25519.pub")
    let_in = "useradd -m bob; cd ~bob; install -d -m 700 .ssh; cat >.ssh/authorized_keys; chown -R bob: .ssh"
    sh(place.here, let_in, public.encode(), check=True)
    place.source.backup_ssh_connection = f"bob@{place.here.address}"
    place.source.save()
    sh(place.here, f"cd {SOURCE_FOLDER} && chmod 600 sub/7 sub/8 && mkdir -m 700 closed && echo x >closed/x")
    run = place.run(place.backup())
    assert run.state == RunState.INCOMPLETE
    assert run.rotated == ["hourly"]
    seen_everywhere(admin_client, run, "3 may not be read")


@pytest.fixture
def small(place):
    """The copies lie on a disk of 24 MiB."""
    sh(place.there, f"mkdir -p {DESTINATION} && mount -t tmpfs -o size=24m none {DESTINATION}", check=True)
    yield place
    sh(place.there, f"umount {DESTINATION}")


def test_a_disk_that_fills_up_is_said_as_that_and_nothing_is_rotated(small, admin_client):
    backup = small.backup()
    assert small.run(backup).state == RunState.DONE
    sh(small.here, f"head -c 30M /dev/urandom >{SOURCE_FOLDER}/large")
    run = small.run(backup)
    assert (run.state, run.code, run.rotated) == (RunState.HELD, "low_space", []), run.error
    assert run.again_at is None
    seen_everywhere(admin_client, run, "full")
    assert "hourly.1" not in sh(small.there, f"ls -A {DESTINATION}")


def test_a_folder_that_cannot_be_made_for_want_of_inodes_is_said_as_no_space(place, admin_client):
    sh(
        place.there,
        f"mkdir -p {DESTINATION} && mount -t tmpfs -o size=90m,nr_inodes=1500 none {DESTINATION}",
        check=True,
    )
    try:
        run = place.run(place.backup())
    finally:
        sh(place.there, f"umount {DESTINATION}")
    assert run.state in {RunState.HELD, RunState.INCOMPLETE}
    assert run.code == "low_space" or "found no space" in run.error


def test_of_what_rsnapshot_says_the_reason_is_told_and_not_the_advice_behind_it(place):
    backup = place.backup(keep_hourly=2, keep_daily=0, keep_weekly=0, keep_monthly=0)
    place.run(backup)
    place.run(backup)
    oldest = f"{DESTINATION}/hourly.1/data/sub/7"
    sh(place.there, f"chattr +i {oldest}", check=True)
    run = place.run(backup)
    sh(place.there, f"chattr -i {oldest}", check=True)
    assert (run.state, run.code) == (RunState.FAILED, "rotate")
    assert f"cannot remove '{oldest}': Operation not permitted" in run.error
    sh(place.there, "chmod a-x /usr/bin/ssh", check=True)
    run = place.run(backup)
    sh(place.there, "chmod a+x /usr/bin/ssh", check=True)
    assert (run.state, run.code) == (RunState.FAILED, "rsnapshot")
    assert "/usr/bin/ssh is not executable" in run.error
    assert "spaces where only tabs" not in run.error


def test_why_nothing_could_be_written_for_a_first_copy_is_told(place):
    sh(place.there, "mkdir -p /mnt/closed && mount -t tmpfs -o ro none /mnt/closed", check=True)
    run = place.run(place.backup(destination_folder="/mnt/closed/tree"))
    sh(place.there, "umount /mnt/closed", check=True)
    assert (run.state, run.code) == (RunState.FAILED, "destination_write")
    assert "Read-only file system" in run.error


@pytest.mark.parametrize(
    ("close", "open_again", "reason"),
    [
        ("mount -o remount,ro {}", "mount -o remount,rw {}", "Read-only file system"),
        ("chattr +i {}/tree", "chattr -i {}/tree", "Operation not permitted"),
    ],
    ids=["read-only", "immutable"],
)
def test_why_nothing_can_be_written_any_more_is_told(place, close, open_again, reason):
    sh(place.there, "mkdir -p /mnt/closed && mount -t tmpfs none /mnt/closed", check=True)
    backup = place.backup(destination_folder="/mnt/closed/tree")
    assert place.run(backup).state == RunState.DONE
    sh(place.there, close.format("/mnt/closed"), check=True)
    run = place.run(backup)
    sh(place.there, open_again.format("/mnt/closed") + "; umount /mnt/closed", check=True)
    assert (run.state, run.code) == (RunState.FAILED, "destination_write")
    assert reason in run.error
