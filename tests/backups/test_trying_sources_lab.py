"""“Try it” and runs where files are read as root by sudo: both say the same, by the folder's own name."""

import re

import pytest

from backups.models import RunState
from backups.services.runs import run_now
from tests.backups.lab_rows import CUT_OFF, DESTINATION, SOURCE_FOLDER, SYSTEM, TO_ITS_END, ground, sh
from tests.backups.test_interrupted_lab import Working, slow
from tests.backups.test_sources_lab import READER, place, planned
from tests.backups.test_trying_lab import ALL, broken, tried

__all__ = ["place"]
pytestmark = [pytest.mark.lab, pytest.mark.django_db(transaction=True)]


@pytest.mark.parametrize("folder", [SOURCE_FOLDER, "/srv/[1] $x", "/srv/a&b|c\\d"])
def test_a_file_that_only_root_may_read_comes_over(place, folder):
    script = f"""rm -rf {SOURCE_FOLDER}/*; mkdir -p '{folder}/z' && cd '{folder}' && echo s >z/key
        chmod 700 . z && chmod 600 z/key"""
    sh(place.here, script, check=True)
    backup = planned(place, source_folder=folder)
    assert tried(backup) == (ALL, "")
    assert "z/key came over" in (backup.tried or [])[-1]["words"]
    assert place.run(backup).state == RunState.DONE


def test_a_folder_with_marks_is_tried_by_root(fleet, lab_key, django_db_blocker):
    place = ground(fleet, lab_key)
    sh(place.here, "mkdir -p '/srv/[1] $x' '/srv/1 $x' && echo a >'/srv/[1] $x/a' && echo b >'/srv/1 $x/b'")
    backup = place.backup(source_folder="/srv/[1] $x")
    assert tried(backup) == (ALL, "")
    assert "a came over" in (backup.tried or [])[-1]["words"]


CAUSES = {
    "no sudo": ("mv /usr/bin/sudo /usr/bin/sudo.away", "folder", ["sudo is not installed here."]),
    "no sudoers": ("rm /etc/sudoers.d/zz-gestion-backup", "folder", ["a password is required"]),
    "a sudoers file of others": (
        "echo 'keeper ALL=(ALL) ALL' >/etc/sudoers.d/zzz", "folder", ["a password is required"],
    ),
    "no program": (f"rm {READER}", "folder", ["No such file or directory"]),
    "no rsync": ("mv /usr/bin/rsync /usr/bin/rsync.away", "file", ["rsync is not installed here."]),
    "no folder": (f"rm -rf {SOURCE_FOLDER}", "folder", ["is not there"]),
    "a link": (
        f"mv {SOURCE_FOLDER} /srv/kept; ln -s /srv/kept {SOURCE_FOLDER}", "folder", ["symbolic link", "/srv/kept"],
    ),
    "behind a link": (
        f"mv /srv /opt/srv; ln -s /opt/srv /srv; ls {SOURCE_FOLDER}", "folder", ["symbolic link", "/opt/srv/tree"],
    ),
    "a link to a file": (f"rm -rf {SOURCE_FOLDER}; ln -s /etc/hostname {SOURCE_FOLDER}", "folder", ["is a file"]),
    "a link to nothing": (f"rm -rf {SOURCE_FOLDER}; ln -s /nowhere {SOURCE_FOLDER}", "folder", ["is not there"]),
    "a login that asks": (
        "sed -i '1i read sure' ~keeper/.bashrc", "folder", ["reads what is meant for rsync", ".bashrc"],
    ),
    "a login that prints": (
        "sed -i '1i echo Welcome to files1' ~keeper/.bashrc", "file", ["prints something", "Welcome"],
    ),
    "nologin": ("usermod -s /usr/sbin/nologin keeper", "folder", ["not available"]),
    "forced": (
        "sed -i 's/^/command=\"echo nothing here\" /' ~keeper/.ssh/authorized_keys", "file",
        ["nothing here", "forced command"],
    ),
    "a shell that ends at once": ("usermod -s /bin/false keeper", "folder", ["login shell"]),
}  # fmt: skip


@pytest.mark.parametrize("cause", CAUSES)
def test_a_cause_is_told_by_both_and_is_not_tried_again(place, cause):
    backup = planned(place)
    script, at, words = CAUSES[cause]
    sh(place.here, script, check=True)
    broken(backup, at, *words)
    run = place.run(backup)
    assert run.state in {RunState.FAILED, RunState.HELD}
    for word in words:
        assert word in run.error
    assert run.again_at is None
    assert "rsync error" not in run.error


MANY = (
    "cd '{}' && mkdir many && cd many && for i in $(seq 100 400); do head -c 100000 /dev/urandom >f$i; done"
)


@pytest.mark.parametrize("folder", ["/srv/tree", "/srv/[1] $x&|"])
def test_what_vanishes_is_told_by_its_folder_and_not_by_the_uuid(place, folder):
    sh(place.here, f"mkdir -p '{folder}'")
    backup = planned(place, source_folder=folder)
    slow(place, backup, TO_ITS_END)
    sh(place.here, MANY.format(folder), check=True)
    working = Working(run_now(SYSTEM, backup))  # bytes come: rsync has listed all there is, and sends f1…
    sh(place.here, f"cd '{folder}/many' && rm -f f3* f4*", check=True)
    run = working.end()
    assert run.state == RunState.DONE, run.error
    assert "files vanished while they were copied." in run.output
    assert f'file has vanished: "{folder}/many/f3' in run.output
    assert f"/{backup.uuid}" not in run.output


# What nobody but its own process may read, not even by this right, and what the kernel answers with an I/O error.
UNREADABLE = f"""
cd {SOURCE_FOLDER} && : >shut1 && : >shut2 && : >torn && mount --bind /proc/1/environ shut1 &&
mount --bind /proc/1/environ shut2 && mount --bind /sys/devices/virtual/net/lo/power/autosuspend_delay_ms torn
"""


def test_what_cannot_be_read_by_sudo_is_counted_by_kind_and_named_by_its_folder(place):
    backup = planned(place)
    try:
        sh(place.here, UNREADABLE, check=True)
        broken(
            backup, "file", "A run would not copy everything. 1 met an error of the disk", "2 may not be read"
        )
        run = place.run(backup)
    finally:
        sh(place.here, f"umount {SOURCE_FOLDER}/shut1 {SOURCE_FOLDER}/shut2 {SOURCE_FOLDER}/torn")
    assert (run.state, run.rotated) == (RunState.INCOMPLETE, ["hourly"])
    torn, shut = run.error.removeprefix("Not everything was copied. ").split("; ")
    assert re.fullmatch(
        rf'1 met an error of the disk: .*"{SOURCE_FOLDER}/torn": Input/output error \(5\)', torn
    )
    assert re.fullmatch(rf'2 may not be read: .*"{SOURCE_FOLDER}/shut1": Permission denied \(13\)', shut)
    copied = sh(place.there, "cd /backups/tree/hourly.0/data; ls; cat closed/root-only").split()
    assert {"open", "secret"} < set(copied)


def test_a_disk_of_the_copies_that_fills_up_in_a_run_by_sudo_is_said_as_that(place):
    sh(place.there, f"mkdir -p {DESTINATION} && mount -t tmpfs -o size=24m none {DESTINATION}", check=True)
    try:
        backup = planned(place)
        assert place.run(backup).state == RunState.DONE
        sh(place.here, f"cd {SOURCE_FOLDER} && head -c 30M /dev/urandom >closed/large")
        run = place.run(backup)
        assert (run.state, run.code, run.rotated) == (RunState.HELD, "low_space", [])
        assert "full" in run.error
    finally:
        sh(place.there, f"umount {DESTINATION}")


def test_a_source_that_reboots_in_a_run_by_sudo_is_tried_again(place):
    backup = planned(place)
    sh(place.here, f"cd {SOURCE_FOLDER} && for i in $(seq 20); do head -c 1000000 /dev/urandom >new$i; done")
    slow(place, backup, CUT_OFF)
    working = Working(run_now(SYSTEM, backup))
    place.here.reboot()
    run = working.end()
    assert (run.state, run.code) == (RunState.FAILED, "connection"), (run.error, run.output)
    assert run.again_at
