"""Shares on a real Samba server: who gets in, who does not, and what stays as it was."""

import pytest

from lab import Fleet
from samba.models import Share
from samba.passwords import nt_hash
from samba.services.shares import delete_share, renew_password, switch_share
from servers.models import RolloutRecord, RolloutState
from tests.lab_fixtures import LabKey
from tests.process_lists import processes_meanwhile
from tests.samba.lab_rows import BASE, SYSTEM, Ground, ground, password_of
from tests.waiting import wait_for

pytestmark = [pytest.mark.lab, pytest.mark.django_db(transaction=True)]
PUT = "put /etc/hostname a.txt; get a.txt /tmp/a.txt; mkdir d; ls"


@pytest.fixture
def samba(fleet: Fleet, lab_key: LabKey) -> Ground:
    """files1, clean."""
    return ground(fleet, lab_key)


def refused(done) -> bool:
    return done.returncode != 0 or b"NT_STATUS_" in done.stdout + done.stderr


def test_the_right_password_reads_and_writes_and_no_other_does(samba: Ground):
    photos, music = samba.share("photos", comment="Famille «é»"), samba.share("music", folder="media/music")
    before = samba.sh("cat /etc/samba/smb.conf; stat -c '%a %U %G' /etc/samba/smb.conf")
    samba.in_sync()
    done = samba.as_user(photos, PUT)
    assert not refused(done), done.stdout + done.stderr
    assert samba.sh(f"cat {BASE}/photos/a.txt") == "backup1"
    assert samba.sh(f"stat -c '%U %a' {BASE}/photos {BASE}/photos/a.txt {BASE}/media/music") == (
        "smb-photos 2770\nsmb-photos 660\nsmb-music 2770"
    )
    assert refused(samba.smb("photos", "ls", photos.user, "wrong"))
    assert refused(samba.smb("photos", "ls", photos.user, ""))
    assert refused(samba.smb("photos", "ls", "nobody", ""))
    assert refused(samba.as_user(music, "ls", of=photos))
    assert refused(samba.smb("photos", "ls", "root", password_of(photos)))
    # the main configuration: its own content, and two lines
    after = samba.sh("cat /etc/samba/smb.conf; stat -c '%a %U %G' /etc/samba/smb.conf")
    added = [line for line in after.splitlines() if line not in before.splitlines()]
    assert [line for line in after.splitlines() if line not in added] == before.splitlines()
    assert added[-1] == "include = /etc/smb.shares.conf"
    assert len(added) == 2
    entry = samba.sh("getent passwd smb-photos; passwd -S smb-photos")
    assert "/nonexistent:/usr/sbin/nologin" in entry
    assert "smb-photos L " in entry
    # the password is nowhere on the host; -s: files of connections and sessions go while grep is on its way to them
    words = password_of(photos)
    assert samba.sh(f"grep -rlsF {words} /etc /var/lib/gestion /var/lib/samba /run /tmp /var/log; true") == ""
    assert not RolloutRecord.objects.filter(diff__contains=words).exists()
    # once more changes nothing
    sums = "sha256sum /etc/samba/smb.conf /etc/smb.shares.conf /etc/passwd /etc/shadow; pdbedit -Lw"
    was = samba.sh(sums)
    assert samba.again().state == RolloutState.IN_SYNC
    assert next(record.outcome for record in RolloutRecord.objects.all()) == "nothing"
    assert samba.sh(sums) == was
    samba.host.reboot()
    wait_for(lambda: not refused(samba.as_user(photos, "ls")))


def test_nobody_gets_out_of_the_folder(samba: Ground):
    photos = samba.share("photos")
    samba.in_sync()
    samba.sh(f"echo secret > {BASE}/outside; cd {BASE}/photos; ln -s ../outside out; ln -s /etc etc; "
             "echo in > in; ln -s in inner; chown -h smb-photos:smb-photos *")  # fmt: skip
    assert not refused(samba.as_user(photos, "get inner /tmp/x"))
    for command in (
        "get out /tmp/x", "get etc/passwd /tmp/x", "get ../outside /tmp/x", "get ..\\outside /tmp/x",
        "symlink /etc e2; get e2/passwd /tmp/x", "get lost+found /tmp/x",
    ):  # fmt: skip
        assert refused(samba.as_user(photos, command)), command
    samba.as_user(photos, "put /etc/hostname ../b; put /etc/hostname etc/b; put /etc/hostname out")
    assert samba.sh(f"ls {BASE}; cat {BASE}/outside; ls /etc/b 2>/dev/null") == "outside\nphotos\nsecret"


def test_a_read_only_share_and_one_that_is_switched_off(samba: Ground):
    docs = samba.share("docs", read_only=True)
    samba.in_sync()
    samba.sh(f"echo hello > {BASE}/docs/a; chown smb-docs {BASE}/docs/a")
    assert not refused(samba.as_user(docs, "get a /tmp/x"))
    for command in ("put /etc/hostname b", "rm a", "mkdir d", "rename a b"):
        assert refused(samba.as_user(docs, command)), command
    assert samba.sh(f"ls {BASE}/docs; cat {BASE}/docs/a") == "a\nhello"
    switch_share(SYSTEM, docs, active=False)
    samba.in_sync()
    assert refused(samba.as_user(docs, "ls"))
    assert "smb-docs" not in samba.sh("pdbedit -L")
    switch_share(SYSTEM, docs, active=True)
    samba.in_sync()
    assert not refused(samba.as_user(docs, "get a /tmp/x"))


def test_a_new_password_locks_the_old_one_out_also_who_is_connected(samba: Ground):
    photos = samba.share("photos")
    samba.in_sync()
    old = password_of(photos)
    samba.sh(
        f"printf 'username = smb-photos\\npassword = {old}\\n' > /run/login; "
        "setsid sh -c 'sleep 200 | smbclient //127.0.0.1/photos -A /run/login' </dev/null >/dev/null 2>&1 &"
    )
    wait_for(lambda: "smb-photos" in samba.sh("smbstatus -p"), name="the connection with the old password")
    renew_password(SYSTEM, photos)
    secrets = (password_of(photos), nt_hash(password_of(photos)))
    with processes_meanwhile() as sampled:
        samba.in_sync()
    assert sampled.ran("samba-shares")
    assert not sampled.telling(*secrets)
    assert refused(samba.smb("photos", "ls", photos.user, old))
    assert not refused(samba.as_user(photos, "ls"))
    wait_for(lambda: "smb-photos" not in samba.sh("smbstatus -p"), 30, name="the end of that connection")


def test_deleting_takes_user_and_access_and_leaves_data_and_samba_as_it_was(samba: Ground):
    before = samba.sh("sha256sum /etc/samba/smb.conf; getent passwd; getent group; pdbedit -L")
    photos, music = samba.share("photos"), samba.share("music")
    samba.in_sync()
    samba.as_user(photos, PUT)
    word = password_of(photos)
    delete_share(SYSTEM, photos)
    samba.in_sync()
    assert refused(samba.smb("photos", "ls", "smb-photos", word))
    assert not refused(samba.as_user(music, "ls"))
    assert "smb-photos" not in samba.sh("getent passwd; getent group; pdbedit -L")
    assert samba.sh(f"cat {BASE}/photos/a.txt; stat -c '%U %a' {BASE}/photos") == "backup1\nroot 700"
    # the folder is there now: it is taken over only when somebody says so
    again = samba.share("photos")
    rollout = samba.roll_out()
    assert rollout.state == RolloutState.FAILED
    assert "is there already" in rollout.why
    assert not refused(samba.as_user(music, "ls"))
    assert "smb-photos" not in samba.sh("getent passwd")
    Share.objects.filter(pk=again.pk).update(adopt=True)
    assert samba.again().state == RolloutState.IN_SYNC
    assert not refused(samba.as_user(again, "get a.txt /tmp/x; put /etc/hostname b"))
    assert refused(samba.smb("photos", "ls", "smb-photos", word))
    for share in Share.objects.all():
        delete_share(SYSTEM, share)
    samba.in_sync()
    assert samba.sh("sha256sum /etc/samba/smb.conf; getent passwd; getent group; pdbedit -L") == before
    assert (
        samba.sh("ls /etc/smb.shares.conf /etc/gestion/samba/* 2>/dev/null; systemctl is-active smbd")
        == "active"
    )
    assert samba.sh(f"cat {BASE}/photos/a.txt") == "backup1"
