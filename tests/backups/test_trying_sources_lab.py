"""“Try it” and runs where files are read as root by sudo: both say the same, by the folder's own name."""

import pytest

from backups.models import RunState
from backups.services.runs import run_now
from tests.backups.lab_rows import SOURCE_FOLDER, SYSTEM, ground, sh
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
        f"mv {SOURCE_FOLDER} /srv/kept; ln -s /srv/kept {SOURCE_FOLDER}", "file", ["symbolic link", "/srv/kept"],
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


# Files that go away once rsync has begun to read.
VANISHING = """
cd {} && mkdir many && cd many && for i in $(seq 100 400); do head -c 100000 /dev/urandom >f$i; done
setsid sh -c 'until pgrep -f "rsync [-]-server" >/dev/null; do sleep 0.01; done
  sleep 1; rm -f f3* f4*' >/dev/null 2>&1 </dev/null &
"""


@pytest.mark.parametrize("folder", ["/srv/tree", "/srv/[1] $x&|"])
def test_what_vanishes_is_told_by_its_folder_and_not_by_the_uuid(place, folder):
    sh(place.here, f"mkdir -p '{folder}'")
    backup = planned(place, source_folder=folder)
    slow(place, backup, on=True)
    sh(place.here, VANISHING.format(f"'{folder}'"), check=True)
    run = place.run(backup)
    assert run.state == RunState.DONE, run.error
    assert "files vanished while they were copied." in run.output
    assert f'file has vanished: "{folder}/many/f3' in run.output
    assert f"/{backup.uuid}" not in run.output


def test_a_source_that_reboots_in_a_run_by_sudo_is_tried_again(place):
    backup = planned(place)
    sh(place.here, f"cd {SOURCE_FOLDER} && for i in $(seq 20); do head -c 1000000 /dev/urandom >new$i; done")
    slow(place, backup, on=True)
    working = Working(run_now(SYSTEM, backup))
    place.here.reboot()
    run = working.end()
    assert (run.state, run.code) == (RunState.FAILED, "connection"), (run.error, run.output)
    assert run.again_at
