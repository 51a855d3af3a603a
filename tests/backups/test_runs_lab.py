"""Runs of backups on real hosts: a hard tree, all four levels, and that everything comes back as it was."""

import pytest

from backups.models import Level, RunState
from tests.backups.lab_rows import DESTINATION, SOURCE_FOLDER, ground, sh, state
from tests.process_lists import processes_meanwhile

pytestmark = [pytest.mark.lab, pytest.mark.django_db(transaction=True)]

# 5,000 files, hard links, a sparse file, odd names, ACLs, extended attributes, a fifo, numeric owners.
TREE = r"""
set -e
cd /srv/tree
i=0
while [ $i -lt 100 ]; do
  mkdir "d$i"
  j=0
  while [ $j -lt 50 ]; do echo "$i $j some text" >"d$i/f$j"; j=$((j + 1)); done
  i=$((i + 1))
done
ln d1/f1 d2/linked
truncate -s 50M sparse; echo end >>sparse
echo a >"$(printf 'new\nline')"
echo b >"$(printf 'invalid-\377\376-utf8')"
echo c >./-rf
echo d >'$(touch oops); `id` "x" '"'quoted' \\ back"
echo e >' leading and trailing '
ln -s /etc/passwd absolute; ln -s ../../nowhere dangling
mkfifo pipe
mkdir closed; echo f >closed/secret; chmod 000 closed/secret; chmod 700 closed
chown 12345:54321 d3/f3; chmod 4755 d4/f4; touch -d '1999-12-31 23:59:58' d5/f5
setfacl -m u:12345:rwx,d:g:54321:rx d6; setfacl -m u:777:r d6/f6
setfattr -n user.note -v "kept as it is" d7/f7
"""
# Everything rsync is to keep, in one list: kinds, modes, owners, times, sizes, links, contents, ACLs, attributes.
LIST = r"""
cd "$1" && {
  find . -type d -printf '%P|%m|%U:%G|%T@\0' | sort -z | tr '\0' '\n'
  find . ! -type d -printf '%P|%y|%m|%U:%G|%s|%T@|%l\0' | sort -z | tr '\0' '\n'
  find . -type f -print0 | sort -z | xargs -0 sha256sum
  find . ! -type l -print0 | sort -z | xargs -0 getfacl -n -p 2>/dev/null
  find . ! -type l -print0 | sort -z | xargs -0 getfattr -d 2>/dev/null
} | sha256sum
"""


def listing(host, folder: str) -> str:
    """One sum over all that a copy must have."""
    done = host.exec(["sh", "-c", LIST, "sh", folder], timeout=120)
    assert done.returncode == 0, done.stderr
    return done.stdout.decode()


@pytest.fixture
def place(fleet, lab_key, django_db_blocker):
    return ground(fleet, lab_key)


def test_a_hard_tree_goes_through_all_four_levels_and_every_copy_stays_as_it_was(place, lab_key):
    # rsync(1) takes times of one second for the same (--modify-window), so a copy made in the second of a change may
    # have other fractions of it: here nothing is copied in the second in which it was changed.
    sh(place.here, TREE + "\nsleep 1.1", check=True)
    backup = place.backup(keep_hourly=2, keep_daily=2, keep_weekly=2, keep_monthly=2)
    with processes_meanwhile() as sampled:
        first = place.run(backup)
    assert (first.state, first.error) == (RunState.DONE, "")
    assert sampled.ran("rsync")
    assert not sampled.telling(*lab_key.private.splitlines()[1:-1])
    assert first.files > 5000
    assert first.bytes_transferred
    assert first.rotated == ["hourly"]
    original = listing(place.here, SOURCE_FOLDER)
    assert listing(place.there, f"{DESTINATION}/hourly.0/data") == original
    twins = sh(
        place.there, f"stat -c %i {DESTINATION}/hourly.0/data/d1/f1 {DESTINATION}/hourly.0/data/d2/linked"
    )
    assert len(set(twins.split())) == 1
    blocks = int(sh(place.there, f"stat -c %b {DESTINATION}/hourly.0/data/sparse"))
    assert blocks * 512 < 5_000_000

    # An attribute alone changes: the old copy, which shares the file, must not change with it.
    sh(
        place.here,
        f"cd {SOURCE_FOLDER} && chmod 600 d8/f8 && echo changed >d9/f9 && rm d10/f10 && echo new >d10/new; sleep 1.1",
    )
    changed = listing(place.here, SOURCE_FOLDER)
    for number in range(2, 14):  # each time as if a month had passed: every level is due
        run = place.run(backup, levels=["monthly", "weekly", "daily", "hourly"])
        assert run.state == RunState.DONE, run.error
        if number == 2:
            assert listing(place.there, f"{DESTINATION}/hourly.1/data") == original
            assert listing(place.there, f"{DESTINATION}/hourly.0/data") == changed
            inodes = sh(place.there, f"stat -c %i {DESTINATION}/hourly.[01]/data/d20/f20").split()
            assert inodes[0] == inodes[1]  # unchanged, it is there once
    assert run.rotated == ["monthly", "weekly", "daily", "hourly"]
    kept = sorted(name for name, _at in state(backup).copies)
    assert kept == sorted(f"{level.value}.{number}" for level in Level for number in (0, 1))
    assert listing(place.there, f"{DESTINATION}/monthly.0/data") == changed


def test_higher_levels_are_not_rotated_while_there_is_no_copy_for_them(place):
    sh(place.here, "cd /srv/tree && echo a >a && echo b >b", check=True)
    backup = place.backup(keep_hourly=3, keep_daily=2)
    for _time in range(4):
        run = place.run(backup, levels=["daily", "hourly"])
    assert run.rotated == ["daily", "hourly"]  # the fourth: the third had filled hourly.2
    names = {name for name, _at in state(backup).copies}
    assert names == {"hourly.0", "hourly.1", "hourly.2", "daily.0"}
