"""Deleting what a backup left, where somebody else may write above that folder."""

import os
import subprocess
from pathlib import Path

import pytest

from backups.desired_sources import place_script
from backups.works_plans import DELETE, gone_for_good, mounted_at
from tests.attackers import MALLORY, needs_root, swapping

UUID = "11111111-2222-4333-8444-555555555555"


def test_no_swap_of_a_folder_for_a_link_has_anything_else_deleted(tmp_path: Path):
    needs_root()
    secrets = tmp_path / "secrets/copies"
    secrets.mkdir(parents=True)
    (tmp_path / "link").symlink_to("secrets")
    for _time in range(15):
        copies = tmp_path / "disk/copies"
        copies.mkdir(parents=True, exist_ok=True)
        for folder in (copies, secrets):
            (folder / ".gestion-backup").write_text(f"{UUID}\n")
            for number in range(20):
                (folder / f"{number}").touch()
        os.chown(tmp_path, MALLORY, MALLORY)
        with swapping(tmp_path, "disk", "link"):
            argv = ["sh", "-c", DELETE, "sh", str(copies), UUID, ".gestion-backup", "/nowhere"]
            subprocess.run(argv, check=False, timeout=30, capture_output=True)
        if (tmp_path / "disk").is_symlink():
            (tmp_path / "disk").rename(tmp_path / "other")
            (tmp_path / "link").rename(tmp_path / "disk")
            (tmp_path / "other").rename(tmp_path / "link")
        assert len(list(secrets.iterdir())) == 21


@pytest.mark.parametrize(("name", "code"), [("rsnapshot", 12), ("another program", 0)])
def test_only_a_run_at_work_keeps_copies_from_being_deleted_whatever_has_the_number_of_an_old_one(
    tmp_path: Path, name: str, code: int
):
    copies, lock = tmp_path / "copies", tmp_path / "pid"
    copies.mkdir()
    (copies / ".gestion-backup").write_text(f"{UUID}\n")
    with subprocess.Popen(["sh", "-c", "read line", name], stdin=subprocess.PIPE) as process:
        lock.write_text(str(process.pid))  # as rsnapshot writes it, without a line end
        argv = ["sh", "-c", DELETE, "sh", str(copies), UUID, ".gestion-backup", str(lock)]
        done = subprocess.run(argv, check=False, timeout=30, capture_output=True)
        process.kill()
    assert (done.returncode, copies.exists()) == (code, bool(code))


@pytest.mark.parametrize("name", ["daily.0", "hourly.0/data/a b\\c"])
def test_what_is_mounted_among_the_copies_is_not_deleted(tmp_path: Path, name: str):
    """rm --one-file-system emptied it: at one of its own arguments, and what is bound from the same disk anywhere."""
    needs_root()
    copies, kept = tmp_path / "the copies", tmp_path / "kept"
    for folder in (copies / "hourly.0/data", copies / name, kept):
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "file").touch()
    (copies / ".gestion-backup").write_text(f"{UUID}\n")
    deleting = ["sh", "-c", DELETE, "sh", str(copies), UUID, ".gestion-backup", "/nowhere"]
    mounting = 'mount --bind "$1" "$2" && shift 2 && exec "$@"'
    argv = ["unshare", "-m", "sh", "-c", mounting, "sh", str(kept), str(copies / name), *deleting]
    assert subprocess.run(argv, check=False, timeout=30).returncode == 14
    assert (kept / "file").exists()
    assert (copies / "hourly.0/data/file").exists()
    assert subprocess.run(deleting, check=False, timeout=30).returncode == 0, "without it, it goes on"
    assert not copies.exists()


def test_what_a_folder_had_before_it_was_adopted_is_no_copy_and_stays(tmp_path: Path):
    """“Nothing in it is deleted” was said when it was adopted."""
    copies = tmp_path / "copies"
    ours = ["hourly.0", "monthly.11", ".sync", ".before", "_delete.77", ".verify", ".gestion-try-1"]
    theirs = [
        "dumps",
        ".gestion",
        "hourly",
        "daily.old",
        "lost+found",
        "my-family.2019",
        "weekly.2024-01",
        "_delete.me",
    ]
    for name in (*ours, *theirs):
        (copies / name).mkdir(parents=True)
    (copies / ".gestion-backup").write_text(f"{UUID}\n")
    argv = ["sh", "-c", DELETE, "sh", str(copies), UUID, ".gestion-backup", "/nowhere", place_script()]
    assert subprocess.run(argv, check=False, timeout=30).returncode == 16
    assert sorted(path.name for path in copies.iterdir()) == sorted(theirs)


@pytest.mark.parametrize("at", ["disk", "disk/", "disk/copies", "elsewhere"])
@pytest.mark.parametrize("there", [True, False])
def test_copies_whose_disk_is_not_mounted_are_not_called_deleted(tmp_path: Path, at: str, there: bool):
    """The row went, with “is deleted”, and the folder at which the disk is mounted: the copies are on it still."""
    needs_root()
    copies, fstab = tmp_path / "disk/copies", tmp_path / "fstab"
    (copies if there else copies.parent).mkdir(parents=True)
    fstab.write_text(f"UUID=1 {tmp_path}/{at} ext4 defaults 0 2\n")
    deleting = ["sh", "-c", DELETE, "sh", str(copies), UUID, ".gestion-backup", "/nowhere", place_script()]
    binding = 'mount --bind "$1" /etc/fstab && shift && exec "$@"'
    argv = ["unshare", "-m", "sh", "-c", binding, "sh", str(fstab), *deleting]
    code = subprocess.run(argv, check=False, timeout=30, capture_output=True).returncode
    assert (code, copies.exists()) == ((10, False) if at == "elsewhere" else (15, there))


@pytest.mark.parametrize(
    ("known", "there", "code"),
    [("disk", False, 15), ("disk", True, 15), ("disk/copies", True, 15), ("/", False, 10)],
)
def test_a_disk_that_no_fstab_has_is_known_by_where_it_was_mounted_when_the_copies_were_made(
    tmp_path: Path, known: str, there: bool, code: int
):
    """As a pool of ZFS that was not imported after a boot, or one file system of it for each backup, with its key."""
    copies = tmp_path / "disk/copies"
    (copies if there else copies.parent).mkdir(parents=True)
    argv = ["sh", "-c", DELETE, "sh", str(copies), UUID, ".gestion-backup", "/nowhere", place_script()]
    done = subprocess.run([*argv, str(tmp_path / known)], check=False, timeout=30, capture_output=True)
    assert (done.returncode, copies.exists()) == (code, there)


def test_of_a_disk_that_has_gone_for_good_the_row_goes_by_what_the_refusal_says(tmp_path: Path):
    needs_root()
    copies, table = tmp_path / "a disk/copies", tmp_path / "fstab"
    table.write_text(f"UUID=1 {tmp_path}/a\\040disk ext4 defaults 0 2\n")
    deleting = ["sh", "-c", DELETE, "sh", str(copies), UUID, ".gestion-backup", "/nowhere", place_script()]
    binding = 'mount --bind "$1" /etc/fstab && shift && exec "$@"'
    argv = ["unshare", "-m", "sh", "-c", binding, "sh", str(table), *deleting, str(tmp_path / "a disk")]
    assert subprocess.run(argv, check=False, timeout=30, capture_output=True).returncode == 15
    subprocess.run(["sh", "-c", gone_for_good(str(copies), UUID)], check=True, timeout=30)
    assert subprocess.run(argv, check=False, timeout=30, capture_output=True).returncode == 0
    assert not copies.exists()


def test_where_a_disk_was_mounted_is_read_as_findmnt_writes_it():
    assert mounted_at(r"/media/B\xc3\xbcro\x20A ext4 5eed /dev/sdb1") == "/media/Büro A"
    assert mounted_at("/media/Büro ext4 5eed /dev/sdb1") == "/media/Büro"
    assert (mounted_at(""), mounted_at("m ext2/ext3 9817d5066f21fa91")) == ("", "")
