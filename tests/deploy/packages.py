"""What install.sh fetches from the network, brought into lab hosts, which have none: Debian packages and wheels.

Both are kept beside the lab's root file system, and made again when what is wanted changes.
"""

import fcntl
import hashlib
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

from lab import LabHost
from lab.base import cache_folder
from tests.panel import ROOT

DEBIAN = ["python3-venv", "ca-certificates", "postgresql-client", "postgresql", "redis-server", "caddy"]


def debian_repository(host: LabHost) -> Path:
    """A folder that apt takes as a repository, with all that the host lacks of DEBIAN."""
    base = Path(host.container.lab.base)
    key = hashlib.sha256(f"{base.name} {base.stat().st_mtime} {DEBIAN}".encode()).hexdigest()[:12]
    return _made(cache_folder() / f"install-debs-{key}", lambda folder: _download_debs(base, folder))


def wheels() -> Path:
    """A folder with the wheels of requirements.txt."""
    key = hashlib.sha256((ROOT / "requirements.txt").read_bytes()).hexdigest()[:12]
    return _made(cache_folder() / f"install-wheels-{key}", _download_wheels)


def _made(folder: Path, make: Callable[[Path], None]) -> Path:
    folder.parent.mkdir(parents=True, exist_ok=True)
    with folder.with_suffix(".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not folder.is_dir():
            half = folder.with_suffix(".half")
            shutil.rmtree(half, ignore_errors=True)
            half.mkdir()
            make(half)
            half.rename(folder)
    return folder


def _download_debs(base: Path, folder: Path) -> None:
    (folder / "partial").mkdir()
    argv = ["apt-get", "install", "--download-only", "--yes", "--quiet", "--no-install-recommends"]
    argv += ["-o", f"Dir::State::status={base}/var/lib/dpkg/status", "-o", f"Dir::Cache::archives={folder}"]
    argv += ["-o", "Debug::NoLocking=1", "-o", "APT::Sandbox::User=root", *DEBIAN]
    try:
        subprocess.run(argv, check=True, capture_output=True, timeout=300)
    except subprocess.CalledProcessError:  # its lists are missing, or older than what the mirror has
        subprocess.run(["apt-get", "update", "--quiet"], check=True, capture_output=True, timeout=300)
        subprocess.run(argv, check=True, capture_output=True, timeout=300)
    (folder / "partial").rmdir()
    entries = []
    for deb in sorted(folder.glob("*.deb")):
        control = subprocess.run(
            ["dpkg-deb", "--field", deb], check=True, capture_output=True, text=True
        ).stdout.strip()
        digest = hashlib.sha256(deb.read_bytes()).hexdigest()
        entries.append(f"{control}\nFilename: ./{deb.name}\nSize: {deb.stat().st_size}\nSHA256: {digest}\n")
    (folder / "Packages").write_text("\n".join(entries))


def _download_wheels(folder: Path) -> None:
    argv = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--require-hashes"]
    argv += ["--only-binary", ":all:", "-r", str(ROOT / "requirements.txt"), "-d", str(folder)]
    subprocess.run(argv, check=True, capture_output=True, timeout=600)


def bring(host: LabHost, source: Path, target: str) -> None:
    """Copy a folder onto a running host."""
    shutil.copytree(source, f"/proc/{host.container.pid()}/root{target}", dirs_exist_ok=True)


def bring_debian(host: LabHost) -> None:
    """Give the host its repository, as its only one."""
    bring(host, debian_repository(host), "/srv/debs")
    root = Path(f"/proc/{host.container.pid()}/root")
    for old in (root / "etc/apt/sources.list.d").glob("*"):
        old.unlink()
    (root / "etc/apt/sources.list").write_text("deb [trusted=yes] file:/srv/debs ./\n")
    (root / "etc/apt/apt.conf.d/90lab").write_text('APT::Sandbox::User "root";\n')


def bring_panel(host: LabHost, target: str = "/srv/gestion") -> None:
    """Copy this checkout onto the host, as one would who has unpacked a release there."""
    tracked = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT, check=True, capture_output=True,
    ).stdout  # fmt: skip
    tree = subprocess.run(
        ["tar", "--create", "--null", "--no-recursion", "--verbatim-files-from", "--files-from=-"],
        cwd=ROOT, check=True, capture_output=True, input=tracked,
    ).stdout  # fmt: skip
    host.exec(["mkdir", "-p", target])
    host.exec(["tar", "-x", "--no-same-owner", "-C", target], stdin=tree, timeout=60)
    for part in ("@tabler/core/dist/css", "htmx.org/dist"):
        bring(host, ROOT / "node_modules" / part, f"{target}/node_modules/{part}")
    shutil.copy(
        ROOT / "node_modules/installed",
        f"/proc/{host.container.pid()}/root{target}/node_modules/installed",
    )
