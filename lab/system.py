"""This machine: running its tools, and whether it can hold a lab at all."""

import contextlib
import os
import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path

from .errors import LabError, LabUnavailable

TOOLS = {
    "lxc-start": "lxc",
    "lxc-attach": "lxc",
    "ip": "iproute2",
    "iptables": "iptables",
    "ssh-keygen": "openssh-client",
    "nsenter": "util-linux",
}
# Nothing of the caller's environment may leak into hosts, and sbin may be missing from a user's PATH.
ENVIRONMENT = {"PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "LANG": "C.UTF-8"}
INOTIFY_INSTANCES = 1024


def is_zombie(pid: int) -> bool:
    """Return whether a process has ended, also where nobody has heard of its end yet."""
    with contextlib.suppress(OSError):
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z"
    return True


def run(
    argv: Sequence[str], *, check: bool = True, timeout: float = 60.0, stdin: str = ""
) -> subprocess.CompletedProcess[str]:
    """Run a tool of this machine; its output is text. Raises LabError with the tool's words if it fails."""
    try:
        done = subprocess.run(
            argv,
            input=stdin,
            capture_output=True,
            text=True,
            timeout=timeout,
            env=ENVIRONMENT,
            check=False,
        )
    except subprocess.TimeoutExpired as error:
        raise LabError(f"`{' '.join(argv)}` did not end within {timeout:g} seconds.") from error
    if check and done.returncode:
        raise LabError(f"`{' '.join(argv)}` failed: {(done.stderr or done.stdout).strip()}")
    return done


def copy_tree(source: Path, target: Path) -> None:
    """Copy a folder with all that belongs to it; what goes while it is copied is no part of it. Raises LabError."""
    done = run(["cp", "-a", "--reflink=auto", str(source), str(target)], check=False, timeout=600)
    trouble = [line for line in done.stderr.splitlines() if not line.endswith(": No such file or directory")]
    if done.returncode and (trouble or not target.is_dir()):
        raise LabError(f"command 'cp' failed: {done.stderr.strip()}")


def require_lab() -> None:
    """Raise LabUnavailable, with what to do, if this machine cannot run a lab."""
    require_root()
    require_tools(TOOLS)
    hierarchies = Path("/proc/self/mounts").read_text()
    if "name=systemd" not in hierarchies and not Path("/sys/fs/cgroup/cgroup.controllers").exists():
        raise LabUnavailable(
            "The lab needs control groups for its hosts' systemd, and there are none here. As root: "
            "mkdir -p /sys/fs/cgroup/systemd; "
            "mount -t cgroup -o none,name=systemd cgroup /sys/fs/cgroup/systemd"
        )


def require_root() -> None:
    """Raise LabUnavailable unless we are root."""
    if os.geteuid() != 0:
        raise LabUnavailable(
            "The lab starts real hosts and needs root: run it as root, or with sudo. "
            "Without it the panel runs all the same; there are just no hosts to show."
        )


def require_tools(tools: dict[str, str]) -> None:
    """Raise LabUnavailable if a tool is missing; `tools` maps each command to its Debian package."""
    missing = {package for tool, package in tools.items() if not shutil.which(tool, path=ENVIRONMENT["PATH"])}
    if missing:
        raise LabUnavailable(
            "The lab needs more packages. As root: apt-get install --no-install-recommends "
            + " ".join(sorted(missing))
        )


def require_writable_layers(folder: Path) -> None:
    """Raise LabUnavailable if hosts' disks in `folder` would be overlays over an overlay."""
    folder.mkdir(parents=True, exist_ok=True)
    if run(["stat", "-f", "-c", "%T", str(folder)]).stdout.strip() == "overlayfs":
        raise LabUnavailable(
            f"{folder} is on an overlay file system, which cannot hold the hosts' disks. "
            "Name a folder on another one (ext4, xfs, tmpfs) by LAB_STATE=…"
        )


def allow_many_hosts() -> None:
    """Raise the limit on inotify instances: all hosts count as root, and systemd takes a few each."""
    limit = Path("/proc/sys/fs/inotify/max_user_instances")
    if int(limit.read_text()) < INOTIFY_INSTANCES:
        limit.write_text(str(INOTIFY_INSTANCES))
