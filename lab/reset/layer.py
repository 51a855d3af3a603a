"""What a host has written over its base, as a list by which any change is seen."""

import os
import stat
from dataclasses import dataclass
from pathlib import Path

VOLATILE = ("dev", "proc", "run", "sys", "var/lib/systemd/random-seed", "var/lib/systemd/timers")
"""Written by systemd whenever it likes, or below a mount of the host's own."""


@dataclass(frozen=True)
class Entry:
    """A path of the layer. `marks` are what any write changes, of the content or of what belongs to it."""

    inode: int
    mode: int
    size: int
    whiteout: bool
    opaque: bool
    marks: tuple[object, ...]

    @property
    def is_folder(self) -> bool:
        """Whether it is a folder."""
        return stat.S_ISDIR(self.mode)


Layer = dict[str, Entry]


def scan(upper: Path) -> Layer:
    """Return every path of a layer, relative to it, but for the volatile ones."""
    found: Layer = {}
    folders = [""]
    while folders:
        folder = folders.pop()
        try:
            items = list(os.scandir(upper / folder))
        except FileNotFoundError:
            if not folder:
                raise
            del found[folder]  # likewise, of a folder that went with what was in it
            continue
        for item in items:
            path = f"{folder}/{item.name}" if folder else item.name
            if path in VOLATILE:
                continue
            try:
                found[path] = _entry(item)
            except FileNotFoundError:  # it went while we looked, and so it is no part of the layer
                continue
            if found[path].is_folder:
                folders.append(path)
    return found


def changed(before: Layer, now: Layer) -> list[str]:
    """Return the paths that are not what they were, new and gone ones as well, folders before what is in them."""
    return sorted(path for path in before.keys() | now.keys() if before.get(path) != now.get(path))


def _is_its_own(attribute: str) -> bool:
    """Return whether the file system keeps an attribute for itself; `chattr +i`, which it keeps too, is a person's."""
    return attribute.startswith("trusted.overlay.") and attribute != "trusted.overlay.protattr"


def _entry(item: os.DirEntry[str]) -> Entry:
    """The marks of a layer: https://docs.kernel.org/filesystems/overlayfs.html#whiteouts-and-opaque-directories."""
    info = item.stat(follow_symlinks=False)
    if not stat.S_ISDIR(info.st_mode):
        whiteout = stat.S_ISCHR(info.st_mode) and info.st_rdev == 0
        marks = (info.st_ino, info.st_ctime_ns)
        return Entry(info.st_ino, info.st_mode, info.st_size, whiteout, False, marks)
    # The file system writes marks of its own to folders, even when they are read: their change time tells nothing.
    attributes = os.listxattr(item.path)
    own = {name: os.getxattr(item.path, name) for name in attributes if not _is_its_own(name)}
    flags = (info.st_uid, info.st_gid, info.st_mtime_ns, tuple(sorted(own.items())))
    return Entry(0, info.st_mode, 0, False, "trusted.overlay.opaque" in attributes, flags)
