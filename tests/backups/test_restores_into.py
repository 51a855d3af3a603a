"""What stands between rsync and the folder that it restores into, where others may write meanwhile."""

import base64
import os
import subprocess
from pathlib import Path

import pytest

from backups.models import Restore
from backups.restoring import refusal
from servers.models import Server
from tests.attackers import MALLORY, needs_root, swapping

SCRIPT = Path("backups/configs/backup-restore.sh").resolve()
# In the place of rsync: a program that goes by paths and follows links, as any version of rsync may
WRITER = "#!/bin/sh\nfor n in $(seq 200); do echo restored 2>/dev/null >./album/photo; done\n"


@pytest.fixture
def place(tmp_path: Path) -> Path:
    """Mallory's folder `home`, root's folder `secrets` beside it, and `bin` with what is run as rsync."""
    needs_root()
    for folder in ("home/album", "secrets", "bin"):
        (tmp_path / folder).mkdir(parents=True)
    (tmp_path / "secrets/photo").write_text("a secret")
    (tmp_path / "home/link").symlink_to(tmp_path / "secrets")
    for path in (tmp_path / "home", *(tmp_path / "home").iterdir()):
        os.chown(path, MALLORY, MALLORY, follow_symlinks=False)
    rsync(tmp_path, WRITER)
    return tmp_path


def rsync(place: Path, text: str) -> None:
    """Lay a program in the place of rsync."""
    (place / "bin/rsync").write_text(text)
    (place / "bin/rsync").chmod(0o755)


def restore(
    place: Path, folder: Path, *, how: str = "go", first: str = "", prefix: tuple[str, ...] = ()
) -> str:
    """Have the target's part of a restore go to this folder and start rsync; what it complained of."""
    target = base64.b64encode(os.fsencode(folder)).decode()
    words = f"""{first}
        w_destination= SPEC=; . {SCRIPT}
        exec sh -c "$TO" gestion-restore {target} - - {how} \
          ${{VIEW:+unshare -m --propagation private sh -c "$VIEW" gestion-view}} rsync"""
    env = {**os.environ, "PATH": f"{place}/bin:{os.environ['PATH']}"}
    # A /run of its own: another test's view would stand in the same folder
    argv = ["unshare", "-m", "--propagation", "private", "sh", "-c", f"mount -t tmpfs tmpfs /run\n{words}"]
    if prefix:
        argv = [*prefix, "sh", "-c", words]
    return subprocess.run(argv, env=env, capture_output=True, text=True, timeout=60, check=False).stderr


def test_no_swap_of_a_folder_for_a_link_leads_a_restore_elsewhere(place: Path):
    with swapping(place / "home", "album", "link"):
        for _time in range(5):
            assert restore(place, place / "home") == "gestion-restore: there 0\n"
    assert (place / "secrets/photo").read_text() == "a secret"
    album = place / "home/album"
    if album.is_symlink():
        album = place / "home/link"
    assert (album / "photo").read_text() == "restored\n"


def test_what_is_mounted_in_the_folder_is_restored_into_and_has_no_links_either(place: Path):
    odd = place / "home/a 1b\\\t0"
    odd.mkdir()
    first = f"mount -t tmpfs -o nosuid,noexec tmpfs '{odd}'; ln -s {place}/secrets '{odd}/album'"
    write = "cd ./*1b* && { echo x 2>/dev/null >album/photo; grep 1b /proc/self/mountinfo; }"
    rsync(place, f"#!/bin/sh\n{write} >{place}/said\n")
    restore(place, place / "home", first=first)
    assert (place / "secrets/photo").read_text() == "a secret"
    view = [
        line.split()[5] for line in (place / "said").read_text().splitlines() if "/gestion-restore/" in line
    ]
    assert len(view) == 1
    assert {"nosymfollow", "nosuid", "noexec", "rw"} <= set(view[0].split(","))


def test_a_folder_that_is_not_there_is_made_for_root_alone_and_previews_make_none(place: Path):
    rsync(place, "#!/bin/sh\nls -A\n")
    assert restore(place, place / "home/new/er", how="look") == ""
    assert not (place / "home/new").exists()
    rsync(place, "#!/bin/sh\necho restored >photo\n")
    assert restore(place, place / "home/new/er") == ""
    assert (place / "home/new/er/photo").read_text() == "restored\n"
    assert {path.stat().st_uid for path in (place / "home/new", place / "home/new/er")} == {0}
    assert (place / "home/new").stat().st_mode & 0o7777 == 0o700


@pytest.mark.parametrize(
    ("options", "word"), [("ro", "readonly"), ("nr_inodes=1", "full")], ids=["read-only", "full"]
)
def test_why_a_folder_could_not_be_made_is_told(place: Path, options: str, word: str):
    first = f"mkdir {place}/home/disk; mount -t tmpfs -o {options} tmpfs {place}/home/disk"
    folder = place / "home/disk/new/er"
    said = restore(place, folder, first=first).splitlines()
    assert said[-1] == f"gestion-restore: {word} {len(folder.parent.parts) - 1}"
    row = Restore(folder=os.fspath(folder), target=Server(name="web1"))
    told = {"readonly": "read-only", "full": "full"}[word]
    assert refusal(row, said[-1].removeprefix("gestion-restore: ")) == (
        f"{folder.parent} could not be made on web1: its disk is {told}."
    )


@pytest.mark.parametrize("how", ["go", "look"])
def test_a_host_that_cannot_keep_links_away_is_said_before_anything_is_done(place: Path, how: str):
    new = place / "home/new"
    no_mounts = ("setpriv", "--bounding-set", "-sys_admin")
    assert restore(place, new, how=how, prefix=no_mounts) == "gestion-restore: noview 0\n"
    names_for_all = f"echo 0 >{place}/zero; mount --bind {place}/zero /proc/sys/fs/protected_hardlinks"
    assert restore(place, new, how=how, first=names_for_all) == "gestion-restore: hardlinks 0\n"
    assert not new.exists()


def test_a_mount_that_does_not_know_the_option_is_found_out(place: Path):
    """Older ones hand on what they do not know, and the kernel does nothing with it."""
    rsync(place, "#!/bin/sh\necho restored >photo\n")
    text = '#!/bin/sh\nfor word; do [ "$word" != -o ] || exit 0; done; exec /bin/mount "$@"\n'
    (place / "bin/mount").write_text(text)
    (place / "bin/mount").chmod(0o755)
    assert restore(place, place / "home").endswith("gestion-restore: noview 0\n")
    assert not (place / "home/photo").exists()
