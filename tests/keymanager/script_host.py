"""The hosts' script as it is, run by root in a mount namespace of its own: /etc, /home, /root and /var/lib are
a test's folders, everything else is this machine's.
"""

import os
import shutil
import subprocess
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from keymanager.protocol import FIRST, LAST
from tests.keymanager.fake_panel import FakePanel
from tests.keymanager.fleets import ed25519_blob

needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="becomes other users and mounts, so it needs root")
# Of this process of pytest alone: tests look for what runs as these users, and would find what others' hosts run.
ANNA = 100_000 + 2 * os.getpid()
BEN = ANNA + 1
ADA = f"ssh-ed25519 {ed25519_blob(b'ada')} ada@laptop"
BOB = f"ssh-ed25519 {ed25519_blob(b'bob')} bob@desk"
_FROM_ETC = ("nsswitch.conf", "ld.so.cache", "alternatives", "localtime", "shells")
_ENTER = """
mount --make-rprivate / && cd "$1" && for part in etc home root var/lib; do
	mount --bind "$part" "/$part" || exit 99
done
cd "$2" && shift 2 && exec "$@"
"""
Done = subprocess.CompletedProcess[bytes]


@dataclass
class ScriptHost:
    """A host in a folder, with the unix users root, anna and ben."""

    folder: Path
    panel: FakePanel
    script: Path = field(init=False)

    def __post_init__(self) -> None:
        etc = self.folder / "etc"
        for name in ("etc/gestion", "home", "root", "var/lib"):
            (self.folder / name).mkdir(parents=True, mode=0o755)
        for name in _FROM_ETC:
            source = Path("/etc", name)
            if source.is_dir():
                shutil.copytree(source, etc / name, symlinks=True)
            elif source.exists():
                shutil.copy(source, etc / name)
        users = [("root", 0, "/root"), ("anna", ANNA, "/home/anna"), ("ben", BEN, "/home/ben")]
        (etc / "passwd").write_text("".join(f"{n}:x:{u}:{u}::{home}:/bin/sh\n" for n, u, home in users))
        (etc / "group").write_text("".join(f"{n}:x:{u}:\n" for n, u, _home in users))
        for _name, uid, home in users:
            path = self.folder / home.lstrip("/")
            path.mkdir(exist_ok=True)
            path.chmod(0o700)
            os.chown(path, uid, uid)
        self.script = self.folder / "etc/gestion/gestion-keys"
        self.roll_out()

    def roll_out(self) -> None:
        """Put the files there, as the panel would have them now."""
        for file in self.panel.files():
            path = self.script if file.path.endswith("sbin/gestion-keys") else None
            if file.path.startswith("/etc/gestion/"):
                path = self.folder / file.path.lstrip("/")
            if path is not None:
                path.write_bytes(file.content)
                path.chmod(file.mode)

    def start(self, *argv: str, cwd: str = "/", **more) -> subprocess.Popen[bytes]:
        """Begin a command on this host, as root."""
        command = ["unshare", "--mount", "sh", "-c", _ENTER, "sh", str(self.folder), cwd, *argv]
        return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, **more)

    def begin(self, *arguments: str, **more) -> subprocess.Popen[bytes]:
        """Begin a run of the script."""
        return self.start("sh", "/etc/gestion/gestion-keys", *arguments, **more)

    def run(self, *arguments: str, **more) -> tuple[int, str]:
        """Run the script to its end: its status and its words."""
        process = self.begin(*arguments, **more)
        said, _none = process.communicate(timeout=120)
        return process.returncode, said.decode(errors="replace")

    def state(self, name: str) -> Path:
        """A file of the script's own."""
        return self.folder / "var/lib/gestion/keys" / name

    def keys(self, user: str = "root") -> str | None:
        """What stands in authorized_keys2 between the markers; None: no such file."""
        home = self.folder / ("root" if user == "root" else f"home/{user}")
        with suppress(FileNotFoundError, NotADirectoryError):
            text = (home / ".ssh/authorized_keys2").read_bytes()
            assert text.startswith(FIRST)
            assert text.endswith(LAST)
            return text[len(FIRST) : -len(LAST)].decode(errors="surrogateescape")
        return None
