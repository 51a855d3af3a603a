"""“Try it” beside a run, and of large files: the very programs, but for ssh and rsnapshot."""

import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from backups.desired_runner import runner_files
from backups.models import Backup
from backups.runner import Look, read_look, work_text
from backups.trying import answers_of
from servers.models import Server
from tests.attackers import MALLORY, needs_root

UUID = "11111111-2222-4333-8444-555555555555"
RSYNC = shutil.which("rsync") or ""
pytestmark = pytest.mark.skipif(not RSYNC, reason="rsync is not installed")
# What of it counts here: its lock, and what it starts in the place of rsync.
RSNAPSHOT = r"""#!/bin/sh
conf=$2
of() { sed -n "s/^$1\t//p" "$conf" | tail -n 1; }
lock=$(of lockfile)
if [ -s "$lock" ] && kill -0 "$(cat "$lock")"; then
  echo "ERROR: Lockfile $lock exists and so does its process, can not continue" >&2
  exit 1
fi
echo $$ >"$lock"
to=$(of snapshot_root).sync/data/
mkdir -p "$to"
"$(of cmd_rsync)" -aHAXS --numeric-ids --delete --stats --outbuf=L "$(of backup | cut -f 1)" "$to"
code=$?
rm -f "$lock"
[ "$code" = 0 ] || exit 2
"""
# As root who may not read what is somebody else's.
NO_ROOT = "--bounding-set=-dac_override,-dac_read_search"


@pytest.fixture
def place(tmp_path: Path) -> Iterator[Path]:
    """A folder with a source, one for copies, and the programs."""
    needs_root()
    for name in ("bin", "runs/try", "source", "copies"):
        (tmp_path / name).mkdir(parents=True)
    for file in runner_files():
        text = file.content.decode().replace("home=/var/lib/gestion/backups", f"home={tmp_path}")
        text = text.replace("/usr/local/lib/gestion", f"{tmp_path}/bin")
        text = text.replace("PATH=/usr/local/sbin", f"PATH={tmp_path}/bin:/usr/local/sbin")
        program(tmp_path, Path(file.path).name, text)
    program(tmp_path, "rsnapshot", RSNAPSHOT)
    (tmp_path / "conf").write_text(f"backup\t{tmp_path}/source/\tdata/\n")
    yield tmp_path
    shutil.rmtree(tmp_path / "source")  # may hold much


def program(place: Path, name: str, text: str) -> None:
    """Lay a program there."""
    (place / "bin" / name).write_text(text)
    (place / "bin" / name).chmod(0o755)


def tried(place: Path, lock: Path) -> Look:
    """How a try ended."""
    work = {
        "kind": "try", "uuid": UUID, "config": place / "conf", "lock": lock, "source_folder": place / "source",
        "destination": place / "copies", "lowest": "hourly", "keeps": "hourly:6", "shrink_limit": 50,
        "stall": 60, "longest": 90,
    }  # fmt: skip
    folder = place / "runs/try"
    (folder / "spec").write_bytes(work_text(work))
    subprocess.run([place / "bin/backup-run", "run", "try"], timeout=120, check=True)
    assert list((place / "copies").iterdir()) == []
    return read_look(b"known=yes\nalive=no\n" + (folder / "result").read_bytes())


def words_of(look: Look) -> tuple[list[bool | None], str]:
    """What each step of it came to, and what is said of the last one."""
    source = Server(name="web1.example.org")
    answers = answers_of(Backup(source=source, destination=source, source_folder="/srv"), look)
    return [answer.ok for answer in answers], answers[-1].words


def test_a_run_that_is_at_work_or_begins_meanwhile_and_a_try_do_not_keep_each_other_out(place: Path):
    (place / "source/a").write_text("one\n")
    lock, seen = place / "run.pid", place / "seen"
    program(place, "rsync", f'#!/bin/sh\nls {place} >{seen}\nexec {RSYNC} "$@"\n')
    with subprocess.Popen(["sleep", "60"]) as rsnapshot:  # of the run
        lock.write_text(f"{rsnapshot.pid}\n")
        look = tried(place, lock)
        rsnapshot.kill()
    assert look.facts["state"] == "done", look.facts
    assert words_of(look) == ([True] * 4, "a came over, and was thrown away again.")
    lock.unlink(missing_ok=True)
    shutil.rmtree(place / "runs/try")
    (place / "runs/try").mkdir()
    assert tried(place, lock).facts["state"] == "done"
    assert lock.name not in seen.read_text().split()


def test_of_large_files_alone_the_beginning_of_one_is_read(place: Path):
    (place / "source/sub").mkdir()
    with (place / "source/sub/all.sql.gz").open("wb") as file:
        for _part in range(16):
            file.write(b"0123456789abcdef" * 65536)
    look = tried(place, place / "run.pid")
    assert look.facts["state"] == "done", look.facts
    said = "The beginning of sub/all.sql.gz came over, and was thrown away again: there is no file of at most 1 MiB."
    assert words_of(look) == ([True] * 4, said)


def test_large_files_alone_that_may_not_be_read_are_told(place: Path):
    dump = place / "source/all.sql.gz"
    dump.write_bytes(bytes(2_000_000))
    shutil.chown(dump, MALLORY, MALLORY)
    dump.chmod(0o600)
    program(place, "rsync", f'#!/bin/sh\nexec setpriv {NO_ROOT} {RSYNC} "$@"\n')
    look = tried(place, place / "run.pid")
    assert look.facts["why"] == "partial", look.facts
    steps, words = words_of(look)
    assert steps == [True, True, True, False]
    assert words.startswith("A run would not copy everything. 1 may not be read: ")
    assert "all.sql.gz" in words
