"""What a lab is, on disk: written before anything is made, so that a crashed lab can be found and cleared."""

import contextlib
import fcntl
import json
import os
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from ipaddress import IPv4Network
from pathlib import Path

from .errors import LabError
from .system import require_root


@dataclass(frozen=True)
class HostRecord:
    """A host as planned. Behind a Proxmox host, `address` is on vmbr0 and `ssh_port` is forwarded to sshd."""

    name: str
    role: str
    address: str
    behind: str | None = None
    ssh_port: int = 22
    disk_mb: int | None = None


@dataclass(frozen=True)
class LabRecord:
    """A lab as planned: its network, the root file system its hosts stand on, and its hosts."""

    name: str
    network: str
    base: str
    salt: str
    authorized_keys: tuple[str, ...] = ()
    hosts: tuple[HostRecord, ...] = ()

    @property
    def folder(self) -> Path:
        """The lab's folder."""
        return lab_folder(self.name)

    def host(self, name: str) -> HostRecord:
        """Return the host called `name`. Raises LabError if there is none."""
        for host in self.hosts:
            if host.name == name:
                return host
        known = ", ".join(host.name for host in self.hosts) or "none"
        raise LabError(f"The lab “{self.name}” has no host “{name}”. It has: {known}.")


def state_folder() -> Path:
    """Return where labs live: `LAB_STATE`, or /var/lib/gestion-lab. Not on an overlay file system."""
    return Path(os.environ.get("LAB_STATE", "/var/lib/gestion-lab"))


def lab_folder(name: str) -> Path:
    """Return the folder of one lab."""
    return state_folder() / name


def load(name: str) -> LabRecord | None:
    """Return the record of the lab called `name`, or None if there is no such lab."""
    try:
        data = json.loads((lab_folder(name) / "lab.json").read_text())
    except FileNotFoundError:
        return None
    except PermissionError:
        require_root()
        raise
    hosts = tuple(HostRecord(**host) for host in data.pop("hosts"))
    return LabRecord(**{**data, "authorized_keys": tuple(data["authorized_keys"]), "hosts": hosts})


def save(record: LabRecord) -> None:
    """Write the record, whole or not at all."""
    record.folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    new = record.folder / "lab.json.new"
    new.write_text(json.dumps(asdict(record), indent=1))
    new.rename(record.folder / "lab.json")


def own(name: str) -> None:
    """Note for whom a lab is made, before it is: the run of tests that `LAB_OWNER` names, if any."""
    if owner := os.environ.get("LAB_OWNER"):
        lab_folder(name).mkdir(parents=True, exist_ok=True, mode=0o700)
        (lab_folder(name) / "owner").write_text(owner)


def owner(name: str) -> str:
    """Return for whom a lab was made; empty for one that stays until somebody takes it down."""
    try:
        return (lab_folder(name) / "owner").read_text()
    except FileNotFoundError:
        return ""


def all_names() -> list[str]:
    """Return the names of all labs of this machine, also of half-made ones."""
    folder = state_folder()
    return sorted(path.name for path in folder.iterdir() if path.is_dir()) if folder.is_dir() else []


def require_no_overlap(name: str, network: IPv4Network) -> None:
    """Raise LabError if another lab, up or only kept, holds a network that overlaps with `network`."""
    for other in all_names():
        record = load(other) if other != name else None
        if record and IPv4Network(record.network).overlaps(network):
            raise LabError(
                f"The lab “{other}” has {record.network}, which overlaps with {network}. Take another "
                f"network, or take that lab down: python -m lab down --lab {other}"
            )


@contextlib.contextmanager
def locked(name: str) -> Iterator[None]:
    """Hold the lock of one lab (or ".claims", for choosing a network), waiting for whoever has it."""
    path = Path("/run/lock") / f"gestion-lab-{name}"
    path.parent.mkdir(parents=True, exist_ok=True)
    while True:
        with path.open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            # Whoever had it may have removed the file; then ours is a lock on nothing.
            if not _is_file(path, lock.fileno()):
                continue
            try:
                yield
            finally:
                path.unlink(missing_ok=True)
            return


def _is_file(path: Path, descriptor: int) -> bool:
    try:
        return path.stat().st_ino == os.fstat(descriptor).st_ino
    except FileNotFoundError:
        return False
