"""DATA_DIR and what lies in it is for the panel's user alone: modes are mended at every start of every process.

Uses the standard library alone: the settings call it before anything else of the panel is there.
"""

import glob
import os
import stat
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

PRIVATE = 0o077  # the mode bits that others have
OURS = ("gestion.sqlite3*", "test.sqlite3*", "panel.lock", "panel.log", "broker", "broker/*", "broker/.*",
        ".gestion-*", "gestion-*.tar")  # fmt: skip
# Folders that a machine or its people share. Made private, they would shut out others; /tmp and its like are told
# by their sticky bit.
SHARED = frozenset(map(Path, (
    "/", "/bin", "/boot", "/dev", "/etc", "/home", "/lib", "/media", "/mnt", "/opt", "/root", "/run", "/srv", "/usr",
    "/usr/local", "/var", "/var/backups", "/var/cache", "/var/lib", "/var/log", "/var/spool",
)))  # fmt: skip


class ForeignFolderError(Exception):
    """The folder is another user's; the text says what to do."""


def keep_private() -> None:
    """Let this process and all that it starts make files for its own user alone (umask(2))."""
    os.umask(PRIVATE)


def is_shared(folder: Path) -> bool:
    """Whether others have a right to be in this folder."""
    real = folder.resolve()
    return real in SHARED or bool(real.stat().st_mode & stat.S_ISVTX)


def close(folder: Path, secrets: list[str]) -> None:
    """Take from others what they may do with the folder and with the panel's files in it.

    `secrets` are the settings that may have a file there. What cannot be mended is left for `too_open` to tell.
    Raises ForeignFolderError where root would leave files in another user's folder that the panel cannot use.
    """
    found = folder.stat()
    if os.geteuid() == 0 != found.st_uid:
        raise ForeignFolderError(
            f"DATA_DIR, {folder}, belongs to the user with the number {found.st_uid}, and this runs as root. "
            "Run it as that user (`gestion COMMAND` does), or set DATA_DIR to another folder."
        )
    for path in [] if is_shared(folder) else [folder]:
        _close(path)
    for path in _inside(folder, secrets):
        _close(path)


def close_database(path: Path) -> None:
    """The same for a database of SQLite's that is elsewhere, with what SQLite puts beside it."""
    for one in path.parent.glob(f"{glob.escape(path.name)}*"):
        _close(one)


def too_open(folder: Path, secrets: list[str]) -> list[Path]:
    """What others may still look into."""
    return [path for path in (folder, *_inside(folder, secrets)) if _mode(path) & PRIVATE]


def _inside(folder: Path, secrets: list[str]) -> Iterator[Path]:
    for pattern in (*OURS, *(f"{name.lower()}*" for name in secrets)):
        yield from folder.glob(pattern)


def _mode(path: Path) -> int:
    """The mode; 0 for a link, whose target is not ours to judge, and for what has gone."""
    try:
        found = path.lstat().st_mode
    except OSError:
        return 0
    return 0 if stat.S_ISLNK(found) else found


def _close(path: Path) -> None:
    """By a descriptor that opens nothing (O_PATH, open(2)): no link is followed, and no lock of SQLite's is lost."""
    try:
        handle = os.open(path, os.O_PATH | os.O_NOFOLLOW)
    except OSError:
        return
    try:
        found = os.fstat(handle)
        if found.st_mode & PRIVATE and found.st_uid == os.geteuid() and not stat.S_ISLNK(found.st_mode):
            with suppress(OSError):  # such as a file system that is read-only here
                os.chmod(f"/proc/self/fd/{handle}", stat.S_IMODE(found.st_mode) & ~PRIVATE)  # noqa: PTH101
    finally:
        os.close(handle)
