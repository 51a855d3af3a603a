"""Putting a host's files back, through the mount that it works on.

Never beneath it: "changes to the underlying filesystems while part of a mounted overlay filesystem are not allowed"
(https://docs.kernel.org/filesystems/overlayfs.html#changes-to-underlying-filesystems).

Paths are strings relative to the host's root, for they are keys of its layer and opened by `dir_fd`, which pathlib has
not: hence `os` and the exceptions from PTH.
"""

import fcntl
import os
import shutil
import stat
import struct
from dataclasses import dataclass
from pathlib import Path

from .layer import Layer, changed
from .rooted import in_root

GET_FLAGS, SET_FLAGS = 0x80086601, 0x40086602  # FS_IOC_GETFLAGS and FS_IOC_SETFLAGS, ioctl_iflags(2)
IMMUTABLE_AND_APPEND = 0x30
LOGS = "var/log/"


@dataclass(frozen=True)
class Source:
    """Where a path is as it was: its place below one of two opened folders."""

    folder: int
    info: os.stat_result


class Files:
    """The files of a host as they were: a copy of its layer with the list of it, over the base."""

    def __init__(self, base: Path, copy: Path, layer: Layer) -> None:
        self.base, self.copy, self.layer = base, copy, layer
        self._names: dict[str, set[str]] = {}
        for path in layer:
            self._names.setdefault(os.path.dirname(path), set()).add(os.path.basename(path))  # noqa: PTH119, PTH120

    def put_back(self, pid: int, before: Layer, now: Layer) -> list[str]:
        """Have every path that differs be as it was, on the host whose init is `pid`; returns these paths."""
        paths = changed(before, now)
        if paths:
            folders = [os.open(folder, os.O_RDONLY | os.O_DIRECTORY) for folder in (self.copy, self.base)]
            try:
                work = _Work(self.layer, self._names, *folders)
                in_root(pid, lambda: work.do(paths, before, now))
            finally:
                for folder in folders:
                    os.close(folder)
        return paths


class _Work:
    """One putting back, in a thread whose root is the host's."""

    def __init__(self, layer: Layer, names: dict[str, set[str]], copy: int, base: int) -> None:
        self.layer, self.names, self.copy, self.base = layer, names, copy, base

    def do(self, paths: list[str], before: Layer, now: Layer) -> None:
        """Put back each path, folders first; a folder that is made anew brings all that was in it."""
        whole: set[str] = set()
        for path in paths:
            if not whole.isdisjoint(_above(path)):
                continue
            _make_mutable(path)
            was, is_now = before.get(path), now.get(path)
            hides = bool(is_now and is_now.opaque and not (was and was.opaque))
            if path.startswith(LOGS) and was and is_now and was.inode == is_now.inode and not was.is_folder:
                # What writes it has it open, and goes on.
                os.truncate(path, min(was.size, is_now.size))
            elif self.put(path, whole=hides):
                whole.add(path)

    def put(self, path: str, *, whole: bool) -> bool:
        """Have a path be as it was, and all below it if `whole`; returns whether all below it was put too."""
        source, have = self.wanted(path), _look(path)
        if source is None:
            _remove(path, have)
            return True
        if not stat.S_ISDIR(source.info.st_mode):
            _remove(path, have)
            _copy(path, source)
            return True
        if have is None or not stat.S_ISDIR(have.st_mode):
            _remove(path, have)
            os.mkdir(path)  # noqa: PTH102
            whole = True
        if whole:
            self._put_all(path)
        _dress(path, source)
        return whole

    def _put_all(self, path: str) -> None:
        wanted = self.children(path)
        for name in set(os.listdir(path)) - wanted:  # noqa: PTH208
            _remove(f"{path}/{name}", _look(f"{path}/{name}"))
        for name in sorted(wanted):
            self.put(f"{path}/{name}", whole=True)

    def wanted(self, path: str) -> Source | None:
        """Return where a path is as it was; None if there was none."""
        if entry := self.layer.get(path):
            return None if entry.whiteout else _source(self.copy, path)
        return None if self._hidden(path) else _source(self.base, path)

    def children(self, path: str) -> set[str]:
        """Return the names that a folder had."""
        names = set(self.names.get(path, ()))
        entry = self.layer.get(path)
        if not (entry and entry.opaque) and not self._hidden(path):
            found = _source(self.base, path)
            if found and stat.S_ISDIR(found.info.st_mode):
                names |= set(_list(self.base, path))
        return {name for name in names if self.wanted(f"{path}/{name}")}

    def _hidden(self, path: str) -> bool:
        """Return whether the layer hid what the base has at a path, by one of the folders above it."""
        entries = [entry for folder in _above(path) if (entry := self.layer.get(folder))]
        return any(entry.opaque or not entry.is_folder for entry in entries)


def _above(path: str) -> list[str]:
    """Return the folders above a path, the outermost first."""
    parts = path.split("/")
    return ["/".join(parts[:length]) for length in range(1, len(parts))]


def _source(folder: int, path: str) -> Source | None:
    try:
        return Source(folder, os.stat(path, dir_fd=folder, follow_symlinks=False))
    except (FileNotFoundError, NotADirectoryError):
        return None


def _list(folder: int, path: str) -> list[str]:
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW, dir_fd=folder)
    try:
        return os.listdir(descriptor)  # noqa: PTH208
    finally:
        os.close(descriptor)


def _look(path: str) -> os.stat_result | None:
    try:
        return os.lstat(path)
    except (FileNotFoundError, NotADirectoryError):
        return None


def _remove(path: str, info: os.stat_result | None) -> None:
    if info is None:
        return
    if not stat.S_ISDIR(info.st_mode):
        _make_mutable(path)
        os.unlink(path)  # noqa: PTH108
        return
    try:
        shutil.rmtree(path)
    except PermissionError:
        for folder, _folders, files in os.walk(path):
            for name in (folder, *(f"{folder}/{file}" for file in files)):
                _make_mutable(name)
        shutil.rmtree(path)


def _make_mutable(path: str) -> None:
    """Take `chattr +i` and `+a` away, with which nothing else can be undone."""
    info = _look(path)
    if not info or not (stat.S_ISREG(info.st_mode) or stat.S_ISDIR(info.st_mode)):
        return
    descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
    try:
        flags = struct.unpack("i", fcntl.ioctl(descriptor, GET_FLAGS, struct.pack("i", 0)))[0]
        if flags & IMMUTABLE_AND_APPEND:
            fcntl.ioctl(descriptor, SET_FLAGS, struct.pack("i", flags & ~IMMUTABLE_AND_APPEND))
    except OSError:  # this file system knows no such flags
        pass
    finally:
        os.close(descriptor)


def _copy(path: str, source: Source) -> None:
    """Make what is no folder anew, where nothing is."""
    mode = source.info.st_mode
    if stat.S_ISLNK(mode):
        os.symlink(os.readlink(path, dir_fd=source.folder), path)  # noqa: PTH211
    elif stat.S_ISREG(mode):
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW, dir_fd=source.folder)
        with open(descriptor, "rb") as old, open(path, "xb") as new:  # noqa: PTH123
            shutil.copyfileobj(old, new)
    else:
        os.mknod(path, mode, source.info.st_rdev)
    _dress(path, source)


def _dress(path: str, source: Source) -> None:
    """Give a path the owner, mode, extended attributes and time that it had."""
    info = source.info
    os.chown(
        path, info.st_uid, info.st_gid, follow_symlinks=False
    )  # which takes capabilities and setuid away
    if stat.S_ISREG(info.st_mode) or stat.S_ISDIR(info.st_mode):
        _dress_attributes(path, source)  # an access list that goes would have taken the mode for its own
    if not stat.S_ISLNK(info.st_mode):
        os.chmod(path, stat.S_IMODE(info.st_mode))  # noqa: PTH101
    os.utime(path, ns=(info.st_atime_ns, info.st_mtime_ns), follow_symlinks=False)


def _dress_attributes(path: str, source: Source) -> None:
    descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW, dir_fd=source.folder)
    try:
        wanted = {name: os.getxattr(descriptor, name) for name in _attributes(descriptor)}
    finally:
        os.close(descriptor)
    for name in set(_attributes(path)) - wanted.keys():
        os.removexattr(path, name, follow_symlinks=False)
    for name, value in wanted.items():
        os.setxattr(path, name, value, follow_symlinks=False)


def _attributes(path: str | int) -> list[str]:
    follow = isinstance(path, int)
    return [
        name for name in os.listxattr(path, follow_symlinks=follow) if not name.startswith("trusted.overlay.")
    ]
