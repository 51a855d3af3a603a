"""The archive: a tar of `manifest.json`, the database, and, unless left out, `secrets.env` and `settings.env`."""

import hashlib
import io
import json
import os
import re
import tarfile
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from cryptography.fernet import InvalidToken
from django.conf import settings
from django.core.exceptions import ImproperlyConfigured
from django.db import connection
from django.db.migrations.recorder import MigrationRecorder

from accounts.fields import EncryptedTextField
from gestion.panel_backup import database, members, secrets_file

FORMAT = 1
NAME = "gestion-%Y%m%dT%H%M%SZ.tar"
PATTERN = "gestion-????????T??????Z.tar"
SEALED = "what the encryption keys of this backup can read"
# What a manifest says in words: it is shown on terminals, and compared with names of our own.
WORDS = {
    "version": re.compile(r"[0-9A-Za-z.+-]{1,40}"),
    "made_at": re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\+00:00"),
    "url": re.compile(r"https?://\S{1,500}"),
    "seal": re.compile(r"[!-~]{1,1000}"),
}
DIGEST = re.compile(r"[0-9a-f]{64}")
MIGRATION = re.compile(r"\w{1,100}")


class ArchiveError(Exception):
    """The file is no backup of a panel, or it is damaged; the text says which."""


@dataclass(frozen=True)
class Archive:
    """An archive that has been read and verified, unpacked into a folder of its own."""

    manifest: dict[str, Any]
    folder: Path

    @property
    def database(self) -> Path:
        """The database's copy."""
        return self.folder / str(self.manifest["database"])

    @property
    def secrets(self) -> dict[str, str]:
        """The secrets by their settings' names; none if they were left out."""
        path = self.folder / "secrets.env"
        return secrets_file.read(path.read_text()) if path.exists() else {}

    def fits_our_keys(self) -> bool:
        """Whether GESTION_ENCRYPTION_KEYS can read the secrets in this database."""
        try:
            return EncryptedTextField().from_db_value(self.manifest["seal"], None, None) == SEALED
        except (ImproperlyConfigured, InvalidToken):
            return False


def own_secrets() -> dict[str, str]:
    """The secrets that this panel works with, by their settings' names."""
    found = {}
    for name in secrets_file.NAMES:
        value = getattr(settings, name, "")
        text = value if isinstance(value, str) else ",".join(value)
        if text:
            found[name] = text
    return found


def write(target: Path, *, with_secrets: bool) -> None:
    """Write the archive, 0600, verify it, and only then give it its name. Raises DatabaseCopyError, OSError."""
    with tempfile.TemporaryDirectory(prefix=".gestion-backup-", dir=target.parent) as name:
        folder = Path(name)
        contents = [database.file_name()]
        database.dump(folder / contents[0])
        if with_secrets:
            lines = [f"{name}={value}\n" for name, value in own_secrets().items()]
            (folder / "secrets.env").write_text("".join(lines))
            contents.append("secrets.env")
            if files := _settings_files():
                (folder / "settings.env").write_bytes(b"\n".join(path.read_bytes() for path in files))
                contents.append("settings.env")
        half = folder / "archive"
        _pack(half, folder, contents)
        with opened(half):
            pass
        half.rename(target)
    _sync(target.parent)


def _settings_files() -> list[Path]:
    """The files of settings that are there, the first last: of several it counts, and in one file the last line."""
    named = os.environ.get("GESTION_ENV_FILE", str(settings.BASE_DIR / ".env"))
    return [path for path in map(Path, reversed(named.split(":"))) if path.is_file()]


def _pack(half: Path, folder: Path, contents: list[str]) -> None:
    manifest = {
        "format": FORMAT,
        "version": settings.VERSION,
        "made_at": datetime.now(UTC).isoformat(timespec="seconds"),
        "url": settings.GESTION_URL,
        "database": contents[0],
        "migrations": sorted(map(list, MigrationRecorder(connection).applied_migrations())),
        "seal": EncryptedTextField().get_prep_value(SEALED),
        "sha256": {name: _digest_of(folder / name) for name in contents},
    }
    half.touch(mode=0o600, exist_ok=False)
    with half.open("wb") as out:
        with tarfile.open(fileobj=out, mode="w", format=tarfile.PAX_FORMAT) as tar:
            text = json.dumps(manifest, indent=1).encode()
            entry = tarfile.TarInfo("manifest.json")
            entry.size, entry.mode = len(text), 0o600
            tar.addfile(entry, io.BytesIO(text))
            for name in contents:
                tar.add(folder / name, name, filter=_anonymous)
        out.flush()
        os.fsync(out.fileno())


def _anonymous(entry: tarfile.TarInfo) -> tarfile.TarInfo:
    entry.uid = entry.gid = 0
    entry.uname = entry.gname = ""
    entry.mode = 0o600
    entry.mtime = int(entry.mtime)
    return entry


@contextmanager
def opened(path: Path, room: Path | None = None) -> Iterator[Archive]:
    """The archive, every byte verified, for as long as the block runs. Raises ArchiveError.

    It is unpacked into a new folder in `room`, or beside it.
    """
    with tempfile.TemporaryDirectory(prefix=".gestion-restore-", dir=room or path.parent) as name:
        folder = Path(name)
        try:
            with path.open("rb") as file:
                found = Archive(_manifest(folder, members.unpack(file, folder)), folder)
                _ = found.secrets  # that they are secrets of ours
        except (tarfile.TarError, ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
            raise ArchiveError(f"{path} is no backup of a panel, or it is damaged: {error}") from error
        yield found


def _manifest(folder: Path, names: set[str]) -> dict[str, Any]:
    manifest: dict[str, Any] = json.loads((folder / members.MANIFEST).read_text())
    if manifest["format"] != FORMAT:
        raise ValueError("its format is of another version of the panel")
    for name, word in WORDS.items():
        if not word.fullmatch(manifest[name]) or not manifest[name].isprintable():
            raise ValueError(f"its {name} is none")
    for app, name in manifest["migrations"]:
        if not (MIGRATION.fullmatch(app) and MIGRATION.fullmatch(name)):
            raise ValueError("its migrations are none")
    if {members.MANIFEST, *manifest["sha256"]} != names:
        raise ValueError("it does not hold what its list says")
    for name, digest in manifest["sha256"].items():
        if not DIGEST.fullmatch(digest) or _digest_of(folder / name) != digest:
            raise ValueError(f"{name} is not as it was written")
    if manifest["database"] not in names.intersection(members.DATABASES):
        raise ValueError("the database is missing")
    return manifest


def _digest_of(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _sync(folder: Path) -> None:
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def delete_older(folder: Path, keep: int) -> list[Path]:
    """Delete this folder's archives but the newest `keep`; returns those that went."""
    old = sorted(folder.glob(PATTERN))[:-keep]
    for path in old:
        path.unlink()
    return old
