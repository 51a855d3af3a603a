"""The root file system all hosts stand on: Debian, unpacked once, cached, and never written to again."""

import fcntl
import hashlib
import os
import shutil
import subprocess
from pathlib import Path

from .errors import LabError
from .system import ENVIRONMENT, require_tools

SUITE = "bookworm"
RECIPE = Path(__file__).parent / "recipe"
DEBIAN_SOURCES = Path("/etc/apt/sources.list.d/debian.sources")


def cache_folder() -> Path:
    """Return where bases are kept: `LAB_CACHE`, or /var/cache/gestion-lab."""
    return Path(os.environ.get("LAB_CACHE", "/var/cache/gestion-lab"))


def recipe_key() -> str:
    """Return the key of the present recipe: another package list or another finish makes another base."""
    parts = [SUITE.encode(), *((RECIPE / name).read_bytes() for name in ("packages", "finish"))]
    return hashlib.sha256(b"\0".join(parts)).hexdigest()[:12]


def packages() -> list[str]:
    """Return the Debian packages the base holds beside the essential ones."""
    lines = (RECIPE / "packages").read_text().splitlines()
    return [line.strip() for line in lines if line.strip() and not line.startswith("#")]


def ready_base() -> Path:
    """Return the base's folder, building it first where it is missing (half a minute and the network).

    Raises LabUnavailable without mmdebstrap, LabError with its last words if it fails.
    """
    folder = cache_folder()
    base = folder / f"{SUITE}-{recipe_key()}"
    if base.is_dir():
        return base
    require_tools({"mmdebstrap": "mmdebstrap"})
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / "build.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not base.is_dir():
            _build(base, lock.fileno())
    return base


def _build(base: Path, lock: int) -> None:
    half = base.with_name(base.name + ".half")
    shutil.rmtree(half, ignore_errors=True)
    print(f"lab: building the hosts' root file system in {base} (once; about half a minute) …", flush=True)
    # mmdebstrap's hooks want an executable file, whatever the checkout made of its mode.
    hook = f'sh "{RECIPE / "finish"}" "$1"'
    argv = ["mmdebstrap", "--mode=root", "--variant=minbase", "--include=" + ",".join(packages())]
    argv += [f"--customize-hook={hook}", SUITE, str(half), *mirror()]
    # It holds the lock itself too: should we be killed, no other builder may begin before it has ended.
    done = subprocess.run(
        argv,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        env=build_environment(),
        pass_fds=[lock],
        check=False,
    )
    if done.returncode:
        shutil.rmtree(half, ignore_errors=True)
        raise LabError("The lab's root file system could not be built:\n" + done.stderr.strip()[-2000:])
    half.rename(base)


def mirror() -> list[str]:
    """Return where packages come from: `LAB_MIRROR`, this machine's Debian sources, or Debian's servers."""
    if mirror := os.environ.get("LAB_MIRROR"):
        return [mirror]
    same_suite = SUITE in Path("/etc/os-release").read_text()
    return [str(DEBIAN_SOURCES)] if same_suite and DEBIAN_SOURCES.exists() else []


def build_environment() -> dict[str, str]:
    """Return the environment that mmdebstrap runs in: the caller's proxies, and nothing else of its."""
    proxies = {name: value for name, value in os.environ.items() if name.lower().endswith("_proxy")}
    return {**ENVIRONMENT, **proxies}
