"""Looking into copies that hold what no program should open: pipes, devices, sockets, links, and names of any bytes."""

import os
import socket
import subprocess
import time
from contextlib import nullcontext
from pathlib import Path

import pytest
from django.urls import reverse

from accounts.models import AuditEntry
from backups.inside_copies import path_of, token_of
from backups.models import Backup, BackupState
from backups.reading_copies import NotInCopy, file_part, file_size, read_folder
from hosts.host import Result
from tests.attackers import needs_root

NAMES = (
    b"-rf",
    b"new\nline",
    b"quote\"'",
    b"back\\slash",
    b"\xff\xfe",
    b"$(id)",
    b"a;b",
    b"%2e%2e",
    b"tab\t",
)


class ThisMachine:
    """The backup server: commands run here."""

    name = "backup1"

    def run(self, argv, *, stdin=b"", timeout=60.0, on_output=None, survive=False) -> Result:
        done = subprocess.run(argv, input=stdin, capture_output=True, timeout=timeout, check=False)
        return Result(done.returncode, done.stdout, done.stderr, tuple(argv), self.name)

    def read(self, path: str) -> bytes | None:
        raise NotImplementedError

    def close(self) -> None:
        pass


class Here:
    """The way to this machine, in the place of SSH: what SERVERS_TRANSPORT names."""

    def connect(self, _target, _name):
        return nullcontext(ThisMachine())


@pytest.fixture
def copied(rows, tmp_path: Path) -> tuple[Backup, int]:
    """A backup whose only copy holds one of everything, and when that was made."""
    backup = rows.backup(destination_folder=str(tmp_path))
    (tmp_path / ".gestion-backup").write_text(f"{backup.uuid}\n")
    data = tmp_path / "hourly.0/data"
    data.mkdir(parents=True)
    for name in NAMES:
        (data / os.fsdecode(name)).write_bytes(b"content of " + name)
    os.mkfifo(data / "pipe")
    with socket.socket(socket.AF_UNIX) as made:
        made.bind(str(data / "socket"))
    (data / "link").symlink_to("/etc/passwd")
    (data / "up").symlink_to("..")
    (data / "suid").write_bytes(b"program")
    (data / "suid").chmod(0o6755)
    if os.geteuid() == 0:
        os.mknod(data / "disk", 0o060600, os.makedev(7, 0))
        os.mknod(data / "endless", 0o020600, os.makedev(1, 5))  # /dev/zero
    return backup, int((tmp_path / "hourly.0").stat().st_mtime)


def test_pipes_devices_sockets_and_links_are_listed_and_never_opened_or_followed(copied: tuple[Backup, int]):
    needs_root()
    backup, at = copied
    host = ThisMachine()
    began = time.monotonic()
    total, entries = read_folder(host, backup, at, "hourly.0", b"")
    kinds = {path_of(entry.path): entry.kind for entry in entries}
    assert total == len(entries) == len(NAMES) + 7
    assert {kinds[name] for name in (b"pipe", b"socket", b"link", b"up", b"disk", b"endless")} == set("pslbc")
    assert {entry.mode for entry in entries if entry.name == "suid"} == {"6755"}
    for name in (b"pipe", b"socket", b"link", b"up", b"disk", b"endless", b"nothing"):
        with pytest.raises(NotInCopy):
            file_size(host, backup, at, name)
        with pytest.raises(NotInCopy):
            file_part(host, backup, at, name, 0)
        with pytest.raises(NotInCopy):
            read_folder(host, backup, at, "hourly.0", name)
    assert time.monotonic() - began < 30


def test_a_file_of_any_name_or_mode_comes_byte_for_byte(copied: tuple[Backup, int]):
    backup, at = copied
    host = ThisMachine()
    for name in NAMES:
        assert path_of(token_of(name)) == name
        assert file_part(host, backup, at, name, 0) == b"content of " + name
        assert file_size(host, backup, at, name) == len(b"content of " + name)
    assert file_part(host, backup, at, b"suid", 4) == b"ram"


def test_a_download_is_saved_and_never_shown_by_the_browser(
    copied: tuple[Backup, int], admin_client, settings
):
    backup, at = copied
    settings.SERVERS_TRANSPORT = f"{__name__}.Here"
    BackupState.objects.create(backup=backup, copies=[["hourly.0", at]])

    def ask(name: bytes):
        return admin_client.post(reverse("backups:download", args=[backup.pk, at, token_of(name)]))

    for name in NAMES:
        answer = ask(name)
        assert answer.status_code == 200
        assert answer["Content-Disposition"].startswith("attachment")
        assert not set("\r\n/") & set(answer["Content-Disposition"])
        assert (answer["Content-Type"], answer["X-Content-Type-Options"]) == (
            "application/octet-stream",
            "nosniff",
        )
        assert answer["Content-Length"] == str(len(b"content of " + name))
    for name in (b"pipe", b"socket", b"link"):
        assert ask(name).get("Content-Disposition") is None
    assert AuditEntry.objects.filter(verb="backup.download").count() == len(NAMES)
