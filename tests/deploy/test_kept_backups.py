"""Root's part of backups: what it takes from the panel's user, signs, proves, and writes into the settings."""

import grp
import io
import os
import pwd
import subprocess
import sys
import tarfile
from pathlib import Path

import pytest

from tests.panel import ROOT

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="needs root, as install.sh has it")
SCRIPT = ROOT / "deploy" / "kept_backups.py"
USER = pwd.getpwnam("nobody")  # stands for the panel's user


class Machine:
    """Folders and a key of one machine."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder / "backups"
        self.new = self.folder / "new"
        self.new.mkdir(parents=True)
        self.key = folder / "backup.key"
        self.target = folder / "taken"
        os.chown(self.new, USER.pw_uid, USER.pw_gid)

    def run(self, *argv: object, good: bool = True) -> str:
        """The script, as install.sh calls it; what it says."""
        done = subprocess.run(
            [sys.executable, "-I", SCRIPT, *map(str, argv), "--folder", self.folder, "--key-file", self.key,
             "--user", USER.pw_name],
            capture_output=True, text=True, check=False, timeout=60,
        )  # fmt: skip
        assert (done.returncode == 0) is good, done.stdout + done.stderr
        assert "Traceback" not in done.stderr
        return done.stdout + done.stderr

    def make(self, name: str = "gestion-20260101T000000Z.tar", content: bytes = b"rows") -> Path:
        """A backup as the panel's user leaves it."""
        path = self.new / name
        with tarfile.open(path, "w") as tar:
            entry = tarfile.TarInfo("manifest.json")
            entry.size = len(content)
            tar.addfile(entry, io.BytesIO(content))
        os.chown(path, USER.pw_uid, USER.pw_gid)
        return path

    def kept(self) -> list[Path]:
        return sorted(self.folder.glob("gestion-*.tar"))

    def take(self, path: Path, *options: str, good: bool = True) -> str:
        return self.run("take", path, self.target, *options, good=good)


@pytest.fixture
def machine(tmp_path) -> Machine:
    (tmp_path / "machine").mkdir()
    return Machine(tmp_path / "machine")


@pytest.fixture
def other(tmp_path) -> Machine:
    (tmp_path / "other").mkdir()
    return Machine(tmp_path / "other")


def test_what_is_kept_is_roots_signed_and_still_a_tar(machine):
    made = machine.make().read_bytes()
    assert machine.run("key").strip() in machine.run("keep")
    (kept,) = machine.kept()
    assert (kept.stat().st_uid, kept.stat().st_mode & 0o777) == (0, 0o600)
    assert machine.key.stat().st_mode & 0o777 == 0o600
    assert list(machine.new.iterdir()) == []
    assert kept.read_bytes()[:-512] == made
    assert (
        subprocess.run(["tar", "-xOf", kept, "manifest.json"], capture_output=True, check=True).stdout
        == b"rows"
    )
    machine.take(kept)
    assert machine.target.read_bytes() == made
    assert machine.target.stat().st_mode & 0o777 == 0o640
    assert machine.target.stat().st_gid == USER.pw_gid


@pytest.mark.parametrize("at", [0, 300, 600, 5000, -512, -490, -440, -400, -1])
def test_one_changed_byte_anywhere_is_found(machine, at):
    machine.make()
    machine.run("keep")
    (kept,) = machine.kept()
    whole = bytearray(kept.read_bytes())
    whole[at] ^= 1
    kept.write_bytes(whole)
    machine.take(kept, good=False)
    assert not machine.target.exists()


@pytest.mark.parametrize("harm", ["cut", "longer", "another seal", "no seal"])
def test_what_is_cut_lengthened_or_put_together_is_found(machine, harm):
    machine.make()
    machine.run("keep")
    (kept,) = machine.kept()
    whole = kept.read_bytes()
    body, seal = whole[:-512], whole[-512:]
    parts = {
        "cut": body[:-512] + seal,
        "longer": whole + seal,
        "another seal": body + b"x" * 512 + seal,
        "no seal": body,
    }
    kept.write_bytes(parts[harm])
    machine.take(kept, good=False)
    if harm != "no seal":  # nor does anybody get it through who takes it for an old one
        machine.take(kept, "--unsigned", good=False)
    assert not machine.target.exists()


def test_an_unsigned_one_is_taken_only_when_told_what_that_means(machine):
    made = machine.make()
    assert "decides who is an admin" in machine.take(made, good=False)
    machine.take(made, "--unsigned")
    assert machine.target.read_bytes() == made.read_bytes()


def test_another_machines_is_taken_with_the_key_that_was_noted(machine, other):
    machine.make()
    machine.run("keep")
    (kept,) = machine.kept()
    noted = machine.run("key").strip()
    words = other.take(kept, good=False)
    assert noted in words
    assert "not this machine's" in words
    other.take(kept, "--signed-by=" + other.run("key").strip(), good=False)
    other.take(kept, "--signed-by=", good=False)
    other.take(kept, f"--signed-by={noted}")
    assert other.target.read_bytes() == kept.read_bytes()[:-512]


def test_nothing_else_of_roots_gets_into_the_hands_of_the_panels_user(machine, tmp_path):
    secret = tmp_path / "shadow"
    secret.write_text("root:secret:1:\n")
    link = tmp_path / "link.tar"
    link.symlink_to(secret)
    for path in (secret, link, tmp_path, "/dev/zero"):
        machine.take(Path(path), "--unsigned", good=False)
        assert not machine.target.exists()
    os.mkfifo(tmp_path / "pipe.tar")
    machine.take(tmp_path / "pipe.tar", "--unsigned", good=False)


@pytest.mark.parametrize("trick", ["link", "hard link", "pipe", "folder", "holes"])
def test_what_the_panels_user_puts_there_instead_of_a_file_is_not_kept(machine, tmp_path, trick):
    path = machine.new / "gestion-20260101T000000Z.tar"
    secret = tmp_path / "shadow"
    secret.write_text("root:secret:1:\n")
    if trick == "link":
        path.symlink_to(secret)
    elif trick == "hard link":
        path.hardlink_to(secret)
    elif trick == "pipe":
        os.mkfifo(path)
    elif trick == "folder":
        path.mkdir()
    else:
        machine.make().open("r+b").truncate(2**43)
    machine.run("keep", good=False)
    assert machine.kept() == []
    assert sum(path.stat().st_size for path in machine.folder.glob(".half")) == 0


def test_the_folder_itself_cannot_be_turned_into_another(machine, tmp_path):
    machine.new.rmdir()
    machine.new.symlink_to("/etc")
    machine.run("keep", good=False)


def test_many_at_once_or_late_names_push_no_good_one_out(machine):
    good = machine.folder / "gestion-20260101T000000Z.tar"
    good.write_text("good")
    for day in range(10, 30):
        machine.make(f"gestion-999912{day}T000000Z.tar")
    machine.run("keep")
    assert good.exists()
    assert len(machine.kept()) == 2
    assert not any("9999" in path.name for path in machine.kept())
    for day in range(10, 30):
        (machine.folder / f"gestion-202602{day}T000000Z.tar").write_text("old")
    machine.make()
    machine.run("keep")
    assert len(machine.kept()) == 14
    assert not good.exists()


ENV = "# settings\nGESTION_URL=https://a/\nSECRET_KEY=old\nSECRET_KEY_FALLBACKS=kept\nSAMBA_SECRET_KEY=old\n"


@pytest.fixture
def env(tmp_path) -> Path:
    path = tmp_path / "gestion.env"
    path.write_text(ENV)
    os.chown(path, 0, grp.getgrgid(USER.pw_gid).gr_gid)
    return path


def test_secrets_take_the_place_of_those_that_are_there(machine, tmp_path, env):
    (tmp_path / "lines").write_text(
        'SECRET_KEY=new\nGESTION_ENCRYPTION_KEYS="a \\"b\\" \\\\ $(id) `id` %s"\n'
    )
    assert machine.run("put-secrets", tmp_path / "lines", env).split() == [
        "SECRET_KEY",
        "GESTION_ENCRYPTION_KEYS",
    ]
    assert env.read_text() == (
        "# settings\nGESTION_URL=https://a/\nSECRET_KEY_FALLBACKS=kept\nSAMBA_SECRET_KEY=old\n"
        'SECRET_KEY=new\nGESTION_ENCRYPTION_KEYS="a \\"b\\" \\\\ $(id) `id` %s"\n'
    )
    assert (env.stat().st_mode & 0o777, env.stat().st_gid) == (0o640, USER.pw_gid)
    (tmp_path / "lines").write_text("")
    machine.run("put-secrets", tmp_path / "lines", env)


@pytest.mark.parametrize(
    "line",
    ["X/e touch /root/owned;=x", "PATH=/tmp", "DATABASE_URL=x", "STATIC_ROOT=/etc", "SECRET_KEY=$PATH", "SECRET_KEY=",
     'SECRET_KEY="a"b"', 'SECRET_KEY="a\\"', 'SECRET_KEY="a\rPATH=b"', 'SECRET_KEY="a\x0bPATH=b"', "SECRET_KEY='a'",
     'SECRET_KEY="a\u2028PATH=b"', "SECRET_KEY=a b", "export SECRET_KEY=a", "SECRET_KEY=\udcff", "",
     "SECRET_KEY=a\nSECRET_KEY=b",
     'SECRET_KEY="' + "a" * 70_000 + '"'],
)  # fmt: skip
def test_a_line_that_is_no_secret_is_not_written(machine, tmp_path, env, line):
    (tmp_path / "lines").write_text(f"VM_PASS_SECRET=good\n{line}\n", newline="", errors="surrogateescape")
    machine.run("put-secrets", tmp_path / "lines", env, good=False)
    assert env.read_text() == ENV
