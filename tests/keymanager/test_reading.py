"""Public keys are read from a server's unix users, and offered: whatever lies there."""

import os
import subprocess
import tempfile
from pathlib import Path

import pytest

from hosts.host import Result
from keymanager.models import Key, OfferedKey
from keymanager.reading import read_from
from tests.attackers import needs_root
from tests.keymanager.fleets import ed25519_blob, make_key, make_server, unit

pytestmark = [pytest.mark.django_db, pytest.mark.services]


class Shell:
    """A host that is this machine's sh, with people whose homes lie below a folder."""

    name = "shell"

    def __init__(self, homes: Path, uid: int | None = None) -> None:
        uid = os.getuid() if uid is None else uid
        self.homes = homes
        tools = homes / "tools"
        tools.mkdir()
        getent = tools / "getent"
        # As getent(1): asked for `passwd -- NAME`, it says a line of /etc/passwd.
        getent.write_text(
            f'#!/bin/sh\n[ -d "{homes}/$3" ] && echo "$3:x:{uid}:{uid}::{homes}/$3:/bin/false"\n'
        )
        getent.chmod(0o755)
        self.path = f"{tools}:/usr/bin:/bin"

    def run(self, argv, *, stdin=b"", timeout=60.0, on_output=None, survive=False) -> Result:
        """Run it here."""
        done = subprocess.run(argv, input=stdin, capture_output=True, env={"PATH": self.path}, check=False)
        return Result(done.returncode, done.stdout, done.stderr, tuple(argv), self.name)

    def read(self, path: str) -> bytes | None:
        """Not needed."""
        raise NotImplementedError

    def close(self) -> None:
        """Nothing to do."""


def ssh_folder(homes: Path, user: str) -> Path:
    folder = homes / user / ".ssh"
    folder.mkdir(parents=True)
    return folder


def line(seed: str) -> str:
    return f"ssh-ed25519 {ed25519_blob(seed.encode())} {seed}\n"


def test_keys_of_each_unix_user_are_offered_once_and_those_known_are_not(tmp_path):
    server = make_server("s", "root", "deploy", "nobody-here")
    shell = Shell(tmp_path)
    (ssh_folder(tmp_path, "root") / "id_ed25519.pub").write_text(line("root-key"))
    folder = ssh_folder(tmp_path, "deploy")
    (folder / "id_rsa.pub").write_text(line("known"))
    (folder / "id_ed25519.pub").write_text(line("deploy-key") + line("second line"))
    (folder / "authorized_keys").write_text(line("not this"))
    make_key(unit(server, "deploy"), "known")
    assert read_from(shell, server) == (2, [])
    assert read_from(shell, server) == (0, [])
    offered = {(row.unix_user.name, row.line.split()[-1]) for row in OfferedKey.objects.all()}
    assert offered == {("root", "root-key"), ("deploy", "deploy-key")}
    assert Key.objects.count() == 1


def test_a_file_as_windows_writes_it_is_read(tmp_path):
    server = make_server("s", "root")
    shell = Shell(tmp_path)
    (ssh_folder(tmp_path, "root") / "id_ed25519.pub").write_bytes(
        b"\xef\xbb\xbf" + line("root-key").strip().encode() + b"\r\n"
    )
    assert read_from(shell, server) == (1, [])
    assert OfferedKey.objects.get().line == line("root-key").strip()


def test_a_file_is_read_as_its_unix_user_and_a_pipe_holds_nobody_up():
    needs_root()
    server = make_server("s", "daemon", "other")
    with tempfile.TemporaryDirectory(prefix="gestion-homes-", dir="/run") as name:
        homes = Path(name)
        homes.chmod(0o755)
        folder = ssh_folder(homes, "daemon")
        (folder / "id_own.pub").write_text(line("own"))
        (folder / "id_of_root.pub").write_text(line("of-root"))
        (folder / "id_of_root.pub").chmod(0o600)
        os.mkfifo(folder / "id_pipe.pub")
        assert read_from(Shell(homes, uid=1), server)[0] == 1
    assert OfferedKey.objects.get().line.endswith(" own")


def test_nobody_can_have_a_key_offered_for_somebody_else_by_the_name_of_a_file_or_by_a_link(tmp_path):
    server = make_server("s", "root", "mallory")
    shell = Shell(tmp_path)
    ssh_folder(tmp_path, "root")
    folder = ssh_folder(tmp_path, "mallory")
    forged = line("forged").strip().replace("/", "+")
    for name in (
        f"id_x\nroot\t/root/.ssh/id\t{forged}.pub".replace("/", "_"),
        "id_\\0root\\0.pub",
        "id_ $(id).pub",
    ):
        (folder / name).write_text("nothing")
    (folder / "id_link.pub").symlink_to("/etc/passwd")
    (folder / "id_nul.pub").write_bytes(b"x\0root\0/p\0" + line("forged").encode())
    new, wrong = read_from(shell, server)
    assert new == 0
    assert len(wrong) == 4
    assert not any("root:x" in words for words in wrong)


def test_a_private_key_in_the_place_of_a_public_one_is_told_without_its_text(tmp_path):
    server = make_server("s", "root")
    shell = Shell(tmp_path)
    (ssh_folder(tmp_path, "root") / "id_x.pub").write_text("-----BEGIN OPENSSH PRIVATE KEY-----\nc2VjcmV0\n")
    _new, wrong = read_from(shell, server)
    assert "private key" in wrong[0]
    assert "c2VjcmV0" not in wrong[0]
