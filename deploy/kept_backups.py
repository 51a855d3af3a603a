"""The backups that root keeps: signed when they come from the panel's user, and proven before they are restored.

The panel's user makes a backup, and may be somebody else by now. So root takes a copy away from that user at once
and signs it, with a key that the user cannot read; and a restore tells by the signature that nobody has changed
it since. The signature is Ed25519 (RFC 8032) over the SHA-256 of the file, in a last block after the end of
the tar, where tar does not look. Run by root as `python -I`: it imports nothing of the panel, and what it reads of a
backup is bytes.

    kept_backups.py key                    make the key, if there is none; print its public half
    kept_backups.py keep                   take what the panel's user has made
    kept_backups.py take FILE TARGET       prove FILE, and copy it to where the panel's user may read it
    kept_backups.py put-secrets FILE ENV   put lines of secrets into the file of settings
"""

import argparse
import hashlib
import importlib.util
import os
import pwd
import re
import shutil
import stat
import sys
from base64 import urlsafe_b64decode, urlsafe_b64encode
from datetime import UTC, datetime
from pathlib import Path
from typing import IO

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

KEEP = 14
NAME = re.compile(r"gestion-\d{8}T\d{6}Z\.tar")
BLOCK = 512  # bytes, tar's
MARK = b"gestion-backup-seal-1 "
SEAL = re.compile(MARK + rb"([\w-]{43}) ([\w-]{86})\n\0+")
PURPOSE = b"gestion backup 1\0"
MOST_SECRETS = 64 * 1024  # bytes
LINE = re.compile(r"([A-Z_]+)=(?:[A-Za-z0-9_.,:;=+/@%^~-]+|\"(?:[^\"\\]|\\[\"\\])+\")")


class RefusedError(Exception):
    """It is not done; the text says why, and what to do."""


def text_of(raw: bytes) -> str:
    """Base64 for command lines (RFC 4648, section 5), without padding."""
    return urlsafe_b64encode(raw).rstrip(b"=").decode()


def bytes_of(text: bytes | str) -> bytes:
    """The bytes of such a text. Raises ValueError."""
    raw = text.encode() if isinstance(text, str) else text
    return urlsafe_b64decode(raw + b"=" * (-len(raw) % 4))


def signing_key(path: Path) -> Ed25519PrivateKey:
    """This machine's key, made on first use; root's alone."""
    if not path.exists():
        half = path.with_suffix(".new")
        half.unlink(missing_ok=True)
        with _new(half, 0o600) as out:
            out.write(text_of(Ed25519PrivateKey.generate().private_bytes_raw()).encode())
        half.rename(path)
    return Ed25519PrivateKey.from_private_bytes(bytes_of(path.read_bytes().strip()))


def public_of(key: Ed25519PrivateKey) -> str:
    """What one notes elsewhere; it is no secret."""
    return text_of(key.public_key().public_bytes_raw())


def keep(folder: Path, owner: str, key: Ed25519PrivateKey) -> Path:
    """Take the newest that the user `owner` has put into `folder`/new, sign it, and delete all but the newest 14.

    One at a time, and named by our own clock: that user cannot push good ones out with many or late ones.
    """
    spool = os.open(folder / "new", os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
    try:
        made = sorted(filter(NAME.fullmatch, os.listdir(spool)))  # noqa: PTH208 - by its descriptor
        if not made:
            raise RefusedError(f"There is no new backup in {folder / 'new'}.")
        target = folder / datetime.now(UTC).strftime("gestion-%Y%m%dT%H%M%SZ.tar")
        half = folder / ".half"
        half.unlink(missing_ok=True)
        with _plain_file(made[-1], spool, owner) as file, _new(half, 0o600) as out:
            digest = _copy(file, out, os.fstat(file.fileno()).st_size)
            out.write(_seal(digest, key))
        half.rename(target)
        for name in made:
            os.unlink(name, dir_fd=spool)
    finally:
        os.close(spool)
    for old in sorted(path for path in folder.iterdir() if NAME.fullmatch(path.name))[:-KEEP]:
        old.unlink()
    return target


def take(source: Path, target: Path, group: int, keys: set[str], *, unsigned: bool) -> None:
    """Copy a backup for the panel's user to read, as it was when one of `keys` signed it. Raises RefusedError."""
    target.unlink(missing_ok=True)
    try:
        with _plain_file(str(source)) as file, _new(target, 0o640) as out:
            size = os.fstat(file.fileno()).st_size
            _check_start(source, file)
            last = _last_block(file, size)
            signed = last.startswith(MARK)
            digest = _copy(file, out, size - BLOCK if signed else size)
            if signed or not unsigned:
                _prove(source, digest, last if signed else b"", keys)
            os.fchown(out.fileno(), -1, group)  # not before it is known to be a backup
    except BaseException:
        target.unlink(missing_ok=True)
        raise


def _prove(source: Path, digest: bytes, seal: bytes, keys: set[str]) -> None:
    found = SEAL.fullmatch(seal)
    if not found:
        raise RefusedError(
            f"{source} is not signed: it was made before backups were, or by hand, or somebody has changed it. "
            "Who has written it decides who is an admin of the panel from now on, and so who is root on your "
            "servers. If you know where it was all the time, say --unsigned."
        )
    name = found[1].decode()
    try:
        Ed25519PublicKey.from_public_bytes(bytes_of(name)).verify(bytes_of(found[2]), PURPOSE + digest)
    except (InvalidSignature, ValueError):
        raise RefusedError(
            f"{source} was changed after it was signed, or is damaged. Take another one."
        ) from None
    if name not in keys:
        raise RefusedError(
            f"{source} is signed with the key {name}, which is not this machine's. Compare it with what you have "
            f"noted of the machine that made it; if it is that one, say --signed-by {name}"
        )


def _seal(digest: bytes, key: Ed25519PrivateKey) -> bytes:
    text = MARK + f"{public_of(key)} {text_of(key.sign(PURPOSE + digest))}\n".encode()
    return text.ljust(BLOCK, b"\0")


def put_secrets(source: Path, env: Path) -> list[str]:
    """Put lines of secrets in the place of those in the file of settings; returns their names. Raises RefusedError."""
    with source.open("rb") as file:
        text = file.read(MOST_SECRETS + 1)
    if len(text) > MOST_SECRETS:
        raise RefusedError("These are too many secrets.")
    lines: dict[str, str] = {}
    for line in text.decode().split("\n")[:-1]:
        found = LINE.fullmatch(line)
        if not found or found[1] not in secret_names() or found[1] in lines or line.splitlines() != [line]:
            raise RefusedError("The restored secrets hold a line that is none.")
        lines[found[1]] = line
    kept = [line for line in env.read_text().split("\n") if line.split("=", 1)[0] not in lines]
    half = env.with_name(f".{env.name}.new")
    half.unlink(missing_ok=True)
    with _new(half, 0o640) as out:
        os.fchown(out.fileno(), -1, env.stat().st_gid)
        out.write("\n".join([*kept[:-1], *lines.values(), ""]).encode())
    half.rename(env)
    return list(lines)


def secret_names() -> set[str]:
    """The settings that are secrets, from the panel's own table of settings."""
    path = Path(__file__).resolve().parent.parent / "gestion" / "settings_table.py"
    spec = importlib.util.spec_from_file_location("settings_table", path)
    assert spec  # noqa: S101 - it is a file of ours
    assert spec.loader  # noqa: S101
    table = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = table
    spec.loader.exec_module(table)
    return {setting.name for setting in table.every_setting() if setting.kind == "secret"}


def _plain_file(name: str, folder: int | None = None, owner: str = "") -> "IO[bytes]":
    """A file to read that is no link, no pipe and, if `owner` says so, that user's. Raises RefusedError, OSError."""
    handle = os.open(name, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK, dir_fd=folder)
    file = os.fdopen(handle, "rb")
    found = os.fstat(handle)
    if not stat.S_ISREG(found.st_mode) or (owner and found.st_uid != pwd.getpwnam(owner).pw_uid):
        file.close()
        raise RefusedError(f"{name} is no plain file of the panel's user.")
    return file


def _new(path: Path, mode: int) -> "IO[bytes]":
    handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, mode)
    os.fchmod(handle, mode)
    return os.fdopen(handle, "wb")


def _check_start(source: Path, file: IO[bytes]) -> None:
    """So that nothing else that root may read gets into the hands of the panel's user."""
    if not file.read(BLOCK).startswith(b"manifest.json\0"):
        raise RefusedError(f"{source} is no backup of a panel.")


def _last_block(file: IO[bytes], size: int) -> bytes:
    file.seek(max(0, size - BLOCK))
    last = file.read(BLOCK)
    file.seek(0)
    return last


def _copy(file: IO[bytes], out: IO[bytes], size: int) -> bytes:
    """Copy this many bytes, down to the disk; returns their SHA-256. Raises RefusedError."""
    if size > shutil.disk_usage(f"/proc/self/fd/{out.fileno()}").free // 2:
        raise RefusedError("The backup would take more than half of what is free on this disk.")
    digest = hashlib.sha256()
    while size:
        block = file.read(min(size, 1024 * 1024))
        if not block:
            raise RefusedError("The backup became shorter while it was read.")
        digest.update(block)
        out.write(block)
        size -= len(block)
    out.flush()
    os.fsync(out.fileno())
    return digest.digest()


def main(arguments: list[str]) -> int:
    """Do what the command line says; 1 and a sentence on standard error where it is not done."""
    parser = argparse.ArgumentParser()
    parser.add_argument("task", choices=["key", "keep", "take", "put-secrets"])
    parser.add_argument("files", nargs="*", type=Path)
    parser.add_argument("--folder", type=Path, default=Path("/var/backups/gestion"))
    parser.add_argument("--key-file", type=Path, default=Path("/etc/gestion/backup.key"))
    parser.add_argument("--user", default="gestion")
    parser.add_argument("--signed-by", default="")
    parser.add_argument("--unsigned", action="store_true")
    wanted = parser.parse_args(arguments)
    key = signing_key(wanted.key_file)
    try:
        if wanted.task == "key":
            said = public_of(key)
        elif wanted.task == "keep":
            said = f"{keep(wanted.folder, wanted.user, key)}, signed with {public_of(key)}"
        elif wanted.task == "take":
            keys = {public_of(key), wanted.signed_by}
            source, target = wanted.files
            take(source, target, pwd.getpwnam(wanted.user).pw_gid, keys, unsigned=wanted.unsigned)
            said = f"{source} is taken"
        else:
            source, target = wanted.files
            said = " ".join(put_secrets(source, target))
    except (RefusedError, OSError, ValueError) as error:
        sys.stderr.write(f"{error}\n")
        return 1
    sys.stdout.write(f"{said}\n")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
