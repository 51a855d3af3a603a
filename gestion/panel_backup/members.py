"""The members of an archive, read strictly: a few plain files of known names, each once, and nothing else.

`tarfile` takes links, devices, files with holes that grow without bound and headers of any length; an archive of
ours has none of them. What it may hold is the part of pax(1) that `tarfile` writes for plain files.
"""

import os
import re
from collections.abc import Iterator
from pathlib import Path
from tarfile import AREGTYPE, BLOCKSIZE, NUL, REGTYPE, XHDTYPE, TarInfo
from typing import IO

MANIFEST = "manifest.json"
DATABASES = ("database.sqlite3", "database.pgdump")
MIB = 1024 * 1024
# Bytes. A database has no limit of its own: nothing is compressed, so it cannot be more than the file is.
MOST = {MANIFEST: MIB, "secrets.env": MIB // 16, "settings.env": MIB}
LONGEST_HEADER = 4096  # bytes
HEADER = re.compile(rb"(?:\d+ (?:mtime|size)=[\d.]{1,30}\n)+")  # what pax(1) calls an extended header
SIZE = re.compile(rb"\d+ size=(\d{1,15})\n")


def unpack(file: IO[bytes], folder: Path) -> set[str]:
    """Write the members into `folder`, 0600; returns their names. Raises ValueError, HeaderError, OSError."""
    found: set[str] = set()
    for name, size in _headers(file):
        if name not in (*MOST, *DATABASES):
            raise ValueError(f"what is {name[:60]!r}?")
        if name in found:
            raise ValueError(f"{name} is there twice")
        if size < 0 or size > MOST.get(name, size):
            raise ValueError(f"{name} is too big")
        _copy(file, folder / name, size)
        _read(file, -size % BLOCKSIZE)
        found.add(name)
    return found


def _headers(file: IO[bytes]) -> Iterator[tuple[str, int]]:
    """Name and size of each member; the caller reads its content before it asks for the next."""
    size = None
    while (block := _read(file, BLOCKSIZE)).strip(NUL):
        entry = TarInfo.frombuf(block, "ascii", "strict")
        if entry.type == XHDTYPE and size is None:
            size = _size_in(file, entry.size)
            continue
        if entry.type not in {REGTYPE, AREGTYPE}:
            raise ValueError(f"{entry.name[:60]!r} is no plain file")
        yield entry.name, size or entry.size
        size = None


def _size_in(file: IO[bytes], length: int) -> int:
    """What an extended header says of the next member's size; 0 if it says nothing."""
    if not 0 < length <= LONGEST_HEADER:
        raise ValueError("a header is too long")
    text = _read(file, length)
    _read(file, -length % BLOCKSIZE)
    if not HEADER.fullmatch(text):
        raise ValueError("a header says what no backup says")
    found = SIZE.search(text)
    return int(found[1]) if found else 0


def _copy(file: IO[bytes], target: Path, size: int) -> None:
    with os.fdopen(os.open(target, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as out:
        while size:
            block = _read(file, min(size, MIB))
            out.write(block)
            size -= len(block)


def _read(file: IO[bytes], size: int) -> bytes:
    block = file.read(size)
    if len(block) < size:
        raise ValueError("it is cut short")
    return block
