"""Folders of shares while somebody else works in them, too: root gives away what lies there, and nothing else."""

import os
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from samba.configs import FOLDER
from tests.attackers import MALLORY, needs_root, swapping

USER = "daemon"  # in the place of a share's user: everybody's Debian has it, and its group
TRIES = 12


@pytest.fixture(autouse=True)
def as_root() -> None:
    needs_root()


@pytest.fixture
def place(tmp_path: Path) -> Path:
    """A base folder with mallory's folder `photos` in it, and root's folder `secrets` beside them."""
    for folder in ("base/photos/album", "secrets"):
        (tmp_path / folder).mkdir(parents=True)
    for number in range(40):
        (tmp_path / f"base/photos/album/{number}").write_text("a photo")
        (tmp_path / f"secrets/{number}").write_text("a secret")
    (tmp_path / "base/photos/link").symlink_to(tmp_path / "secrets")
    _give(tmp_path / "base/photos", MALLORY)
    return tmp_path


def _give(top: Path, uid: int) -> None:
    for path in (top, *top.rglob("*")):
        os.chown(path, uid, uid, follow_symlinks=False)


def owners(folder: Path) -> set[int]:
    """Whose a folder and what lies in it is."""
    return {path.lstat().st_uid for path in (folder, *folder.iterdir())}


def script(place: Path, words: str, *, adopt: str = "adopt", folder: str = "photos", first: str = "") -> str:
    """Run the host's own script but its last line, then these words; what it complained of."""
    parts = [part.read_text() for part in sorted((FOLDER / "samba-shares").glob("[0-8]*.sh"))]
    facts = f"share=photos user={USER} adopt={adopt} base={place}/base folder={folder} path=$base/$folder"
    text = "\n".join([*parts, f"MADE={place}/made\nOWNERS={place}/owners", facts, words])
    argv = [
        "unshare",
        "-m",
        "--propagation",
        "private",
        "sh",
        "-c",
        f"{first}\n{text}",
        "samba-shares",
        "apply",
    ]
    return subprocess.run(argv, capture_output=True, text=True, timeout=60, check=False).stderr


HAVE_FOLDER = '(have_folder) || echo "not given" >&2'


def test_a_folder_is_taken_over_whole_with_its_modes(place: Path):
    photos = place / "base/photos"
    os.mkfifo(photos / "pipe")
    os.mknod(photos / "disk", 0o600 | 0o060000, os.makedev(7, 0))
    (photos / "album").chmod(0o751)
    (photos / "-rf new\nline").touch()
    os.link(photos / "album/0", place / "elsewhere")
    assert script(place, HAVE_FOLDER) == ""
    uid = photos.stat().st_uid
    assert uid not in {0, MALLORY}
    assert photos.stat().st_mode & 0o7777 == 0o2770
    assert (photos / "album").stat().st_mode & 0o7777 == 0o751
    others = {path.name for path in photos.rglob("*") if path.lstat().st_uid != uid}
    assert others == {"0", "disk"}  # a file with a second name, and a device
    assert owners(place / "secrets") == {0}


def test_nothing_that_a_link_leads_to_is_given_though_its_folder_is_swapped_for_one(place: Path):
    photos = place / "base/photos"
    for _time in range(TRIES):
        with swapping(photos, "album", "link"):
            script(place, HAVE_FOLDER)
        assert owners(place / "secrets") == {0}
        _give(photos, MALLORY)


def test_nothing_is_given_though_its_owner_swaps_the_folder_itself(place: Path):
    """Who may write in the base folder: a link in its place, or another folder of root's that lies there."""
    (place / "base/other").symlink_to(place / "secrets")
    os.chown(place / "base", MALLORY, MALLORY)
    with swapping(place / "base", "photos", "other"):
        for _time in range(TRIES):
            script(place, HAVE_FOLDER)
            script(place, f"(set_aside) ; how=adopted user={USER}; (set_aside)")
            assert owners(place / "secrets") == {0}


def test_a_file_that_gets_a_second_name_in_just_that_moment_is_not_given(place: Path):
    """As where the kernel lets everybody make names of others' files (fs.protected_hardlinks = 0)."""
    album = place / "base/photos/album"
    os.link(place / "secrets/0", album / "second")
    for _time in range(TRIES):
        with swapping(album, "1", "second"):
            script(place, HAVE_FOLDER)
        assert owners(place / "secrets") == {0}
        for path in (place / "base/photos", album):
            os.chown(path, MALLORY, MALLORY)


def test_what_is_mounted_in_the_folder_is_not_given_though_it_is_of_the_same_file_system(place: Path):
    mount = f"mount --bind {place}/secrets {place}/base/photos/album"
    assert script(place, HAVE_FOLDER, first=mount) == ""
    assert owners(place / "secrets") == {0}
    assert (place / "base/photos").stat().st_uid != MALLORY


def _root_made(place: Path) -> None:
    (place / "base").rename(place / "disk")
    (place / "base").symlink_to("disk")


def _mallory_made(place: Path) -> None:
    _root_made(place)
    place.chmod(0o777)


@pytest.mark.parametrize(("lay", "given"), [(_root_made, True), (_mallory_made, False)])
def test_a_link_on_the_way_counts_only_where_nobody_but_root_can_have_laid_it(
    place: Path, lay: Callable[[Path], None], given: bool
):
    lay(place)
    assert ("symbolic link" not in script(place, HAVE_FOLDER)) == given
    assert ((place / "disk/photos").stat().st_uid != MALLORY) == given


def test_a_folder_that_is_not_there_is_made_and_one_that_came_in_its_place_is_not_taken(place: Path):
    assert script(place, HAVE_FOLDER, adopt="new", folder="team/music") == ""
    music = place / "base/team/music"
    assert (music.stat().st_uid, (place / "base/team").stat().st_uid) == (
        (place / "base/team/music").stat().st_uid,
        0,
    )
    assert music.stat().st_mode & 0o7777 == 0o2770
    assert "not given" in script(place, HAVE_FOLDER, adopt="new")  # mallory's, and nobody said that it may go
    assert owners(place / "base/photos") == {MALLORY}


@pytest.mark.parametrize("mode", [0o777, 0o1777, 0o775])
def test_a_folder_that_others_could_have_laid_there_is_not_taken_over(place: Path, mode: int):
    (place / "base").chmod(mode)
    assert "not taken over" in script(place, "(check_folder)")
    assert script(place, HAVE_FOLDER) == "not given\n"
    assert owners(place / "base/photos") == {MALLORY}


@pytest.mark.parametrize(
    ("home", "base"),
    [
        ("base/photos", "base"),
        ("base/photos/album", "base"),
        ("link/photos", "link"),
        ("link/photos", "base"),
    ],
)
def test_the_home_folder_of_a_unix_user_is_not_taken_over(place: Path, home: str, base: str):
    """Given to the share's user and open to its group, it had sshd refuse that user's keys."""
    (place / "link").symlink_to("base")
    passwd = place / "passwd"
    binding = f"mount --bind {passwd} /etc/passwd || exit 1"
    for shell, refused in (("/bin/bash", True), ("/usr/sbin/nologin", False)):
        passwd.write_text(f"{Path('/etc/passwd').read_text()}carol:x:4242:4242::{place}/{home}:{shell}\n")
        said = script(place, f"base={place}/{base} path=$base/$folder\n(check_folder)", first=binding)
        assert ("home folder of the unix user carol" in said) == refused, said
    passwd.write_text(f"{Path('/etc/passwd').read_text()}carol:x:4242:4242::{place}/base/photos2:/bin/sh\n")
    assert script(place, "(check_folder)", first=binding) == ""


def _facts(top: Path) -> dict[str, tuple[int, int, int]]:
    """Owner, group and mode of a folder and all in it."""
    paths = (top, *sorted(top.rglob("*")))
    return {
        str(path.relative_to(top)): (path.lstat().st_uid, path.lstat().st_gid, path.lstat().st_mode)
        for path in paths
    }


GIVE_BACK = f"BACK=' {USER} ' how=adopted; (set_aside) || echo 'not back' >&2"


def test_what_was_taken_over_goes_back_as_it_was(place: Path):
    photos = place / "base/photos"
    os.mkfifo(photos / "pipe", 0o640)
    (photos / "-rf new\nline").touch(mode=0o604)
    (photos / "album").chmod(0o1751)
    os.chown(photos / "album/1", 12345, 23456)
    (photos / "album/1").chmod(0o400)
    photos.chmod(0o755)
    before = _facts(photos)
    assert script(place, f"{HAVE_FOLDER}; settle_records") == ""
    assert _facts(photos) != before
    record = place / "owners" / USER
    assert (record.stat().st_mode & 0o777, record.stat().st_uid) == (0o600, 0)
    (photos / "album/1").rename(photos / "renamed")
    for new in ("album/new", "new"):
        (photos / new).touch()
        os.chown(photos / new, photos.stat().st_uid, photos.stat().st_gid)
    assert script(place, GIVE_BACK) == ""
    after = _facts(photos)
    assert after.pop("renamed") == before.pop("album/1")
    assert {after.pop(new)[:2] for new in ("album/new", "new")} == {(MALLORY, MALLORY)}
    assert after == before
    assert owners(place / "secrets") == {0}


def test_a_program_that_was_given_back_runs_no_more_as_its_owner(place: Path):
    program = place / "base/photos/program"
    program.touch()
    os.chown(program, 0, 0)
    program.chmod(0o6755)
    script(place, f"{HAVE_FOLDER}; settle_records")
    program.write_text("something else")
    assert script(place, GIVE_BACK) == ""
    assert (program.stat().st_uid, program.stat().st_mode & 0o7777) == (0, 0o755)


def test_what_others_made_their_own_meanwhile_stays_theirs(place: Path):
    photos = place / "base/photos"
    script(place, f"{HAVE_FOLDER}; settle_records")
    os.chown(photos / "album/3", 4321, 4321)
    assert script(place, GIVE_BACK) == ""
    assert (photos / "album/3").stat().st_uid == 4321


def test_nothing_of_others_is_given_back_though_a_folder_is_swapped_for_a_link(place: Path):
    """By somebody who holds the folder open since before, as the share's user may."""
    photos = place / "base/photos"
    for _time in range(TRIES):
        script(place, f"{HAVE_FOLDER}; settle_records")
        with swapping(photos, "album", "link", photos.stat().st_uid):
            script(place, GIVE_BACK)
        assert owners(place / "secrets") == {0}
        _give(photos, MALLORY)


def test_another_folder_in_the_place_of_the_one_on_record_stays_roots(place: Path):
    photos = place / "base/photos"
    script(place, f"{HAVE_FOLDER}; settle_records")
    uid = photos.stat().st_uid
    photos.rename(place / "base/old")
    photos.mkdir()
    os.chown(photos, uid, uid)
    assert "not back" in script(place, GIVE_BACK)
    assert (photos.stat().st_uid, photos.stat().st_mode & 0o777) == (0, 0o700)


def test_what_is_not_there_is_not_taken_for_given_back(place: Path):
    """As where its disk is not mounted: the record was forgotten, and “what could not is root's alone” was not so."""
    script(place, f"{HAVE_FOLDER}; settle_records")
    (place / "base/photos").rename(place / "away")
    asked = f"BACK=' {USER} '\ncheck_returns"
    assert "is not there, so it cannot be given back" in script(place, asked)
    assert script(place, "BACK=' apply '\ncheck_returns") == ""
    (place / "away").rename(place / "base/photos")
    assert script(place, asked) == ""


@pytest.mark.parametrize("end", ["", "/"])
def test_the_place_of_a_disk_that_is_away_is_neither_taken_over_nor_taken_for_given_back(
    place: Path, end: str
):
    """Where a disk is mounted an empty folder is there without it, and its record replaced that of the disk's."""
    photos, record = place / "base/photos", place / "owners" / USER
    script(place, f"{HAVE_FOLDER}; settle_records")
    kept = record.read_bytes()
    photos.rename(place / "away")
    photos.mkdir()
    (place / "fstab").write_text(f"# disks\nUUID=5eed {photos}{end} ext4 nofail 0 2\n")
    first = f"mount --bind {place}/fstab /etc/fstab"
    asked = f"BACK=' {USER} '\ncheck_returns"
    assert "is not there, so it cannot be given back" in script(place, asked, first=first)
    checked = "(check_folder)"
    assert "The disk of the folder" in script(place, checked, first=first)
    mounted = f"{first}; mount --bind {place}/away {photos}"
    assert (script(place, asked, first=mounted), script(place, checked, first=mounted)) == ("", "")
    assert (script(place, asked), record.read_bytes()) == ("", kept), "a folder that somebody has made anew"


def test_the_place_of_a_disk_that_no_fstab_has_is_known_by_the_record(place: Path):
    """As of a file system of ZFS, whose key is loaded by hand after a boot. What moved to a new disk is no place."""
    photos, record = place / "base/photos", place / "owners" / USER
    disk = f"mount -t tmpfs -o mode=755 none {photos} && echo a photo >{photos}/photo"
    script(place, f"{HAVE_FOLDER}; settle_records", first=disk)
    kept = record.read_bytes()
    photos.rename(place / "moved")
    photos.mkdir()
    asked, checked = f"BACK=' {USER} '\ncheck_returns", "(check_folder)"
    assert "is not there, so it cannot be given back" in script(place, asked)
    assert f"The disk of the folder {photos} is not mounted" in script(place, checked)
    assert (script(place, asked, first=disk), script(place, checked, first=disk)) == ("", "")
    (photos / "photo").touch()
    assert (script(place, asked), script(place, checked)) == ("", "")
    (photos / "photo").unlink()
    assert record.read_bytes() == kept
    record.unlink()
    assert (script(place, asked), script(place, checked)) == ("", ""), "as the refusal says"


def test_what_is_there_and_cannot_be_given_back_keeps_nothing_else_from_going_on(place: Path):
    """Which is told at the end, as ever."""
    photos = place / "base/photos"
    script(place, f"{HAVE_FOLDER}; settle_records")
    photos.rename(place / "away")
    photos.symlink_to(place / "away")
    assert script(place, f"BACK=' {USER} '\ncheck_returns") == ""
    photos.unlink()
    (place / "owners" / USER).unlink()
    assert script(place, f"BACK=' {USER} '\ncheck_returns") == "", "without a record nothing is given back"


@pytest.mark.parametrize("other_disk", [False, True])
def test_a_disk_whose_device_has_another_number_after_a_boot_is_the_same(place: Path, other_disk: bool):
    """Of ZFS, btrfs and loop devices the number is given anew; nothing was given back, and the record was forgotten."""
    photos, record = place / "base/photos", place / "owners" / USER
    before = _facts(photos)
    script(place, f"{HAVE_FOLDER}; settle_records")
    top, _end, things = record.read_bytes().partition(b"\n")
    device, *facts, file_system = top.split()
    facts = [str(int(device) + 1).encode(), *facts, b"5eed" if other_disk else file_system]
    record.write_bytes(b" ".join(facts) + b"\n" + things)
    assert ("not back" in script(place, GIVE_BACK)) == other_disk
    assert (_facts(photos) == before) != other_disk


def test_a_takeover_that_was_cut_off_is_given_back_by_the_way_back(place: Path):
    photos = place / "base/photos"
    before = _facts(photos)
    script(place, f"{HAVE_FOLDER}; chown 0:0 {photos}")
    assert _facts(photos) != before
    script(place, "MODE=back how=adopted; (set_aside)")
    assert _facts(photos) == before


def test_a_second_takeover_leaves_the_first_record_as_it_was(place: Path):
    photos = place / "base/photos"
    before = _facts(photos)
    script(place, f"{HAVE_FOLDER}; settle_records")
    os.chown(photos, 0, 0)
    script(place, f"{HAVE_FOLDER}; settle_records; ")
    assert script(place, GIVE_BACK) == ""
    assert _facts(photos) == before


def test_a_share_that_goes_leaves_its_data_to_root_alone(place: Path):
    assert script(place, HAVE_FOLDER) == ""
    script(place, "how=adopted; (set_aside)")
    photos = (place / "base/photos").stat()
    assert (photos.st_uid, photos.st_mode & 0o7777) == (0, 0o700)
