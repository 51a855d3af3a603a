"""What is on a container's disk: unpacked from the lab's base, copied, kept."""

import ctypes
import secrets
import shutil
from ipaddress import IPv4Network
from pathlib import Path
from typing import Any

from lab.addresses import panel_address
from lab.container import Container
from lab.errors import LabError
from lab.pve.errors import TaskError
from lab.pve.hypervisor import Unpacked
from lab.roles import Writer, make_host_key
from lab.system import copy_tree, run

Json = dict[str, Any]
ALPHABET = "./0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"


def unpack(container: Container, wanted: Unpacked) -> None:
    """Make a new container's disk: the base, with an identity, a password and keys of its own."""
    if container.folder.exists():
        shutil.rmtree(container.folder)
    container.make()
    put = Writer(Path(container.lab.base), container.upper).put
    put("etc/machine-id", secrets.token_hex(16) + "\n", 0o444)
    make_host_key(container)
    if wanted.ssh_keys:
        put("root/.ssh/authorized_keys", wanted.ssh_keys.rstrip("\n") + "\n", 0o600)
        (container.upper / "root/.ssh").chmod(0o700)
    if wanted.password:
        shadow = (Path(container.lab.base) / "etc/shadow").read_text().splitlines()
        lines = [
            _with_password(line, wanted.password) if line.startswith("root:") else line for line in shadow
        ]
        put("etc/shadow", "\n".join(lines) + "\n", 0o640)
        shutil.chown(container.upper / "etc/shadow", group=_group(container, "shadow"))


def fingerprint(container: Container) -> str:
    """Return the fingerprint of its SSH host key, as Proxmox tells it in the log of a create."""
    key = container.upper / "etc/ssh/ssh_host_ed25519_key.pub"
    return run(["ssh-keygen", "-lf", str(key)]).stdout.split()[1]


def name(container: Container, config: Json) -> None:
    """Write the host's name and name servers, as every start does."""
    put = Writer(Path(container.lab.base), container.upper).put
    hostname = str(config["hostname"])
    panel = panel_address(IPv4Network(container.lab.network))
    put("etc/hostname", f"{hostname}\n")
    put("etc/hosts", f"127.0.0.1\tlocalhost\n127.0.1.1\t{hostname}\n::1\tlocalhost\n{panel}\tpanel\n")
    lines = [f"search {config['searchdomain']}"] if config.get("searchdomain") else []
    lines += [f"nameserver {word}" for word in str(config.get("nameserver") or "").replace(",", " ").split()]
    if lines:
        put("etc/resolv.conf", "\n".join(lines) + "\n")


def copy(source: Path, target: Path) -> None:
    """Copy a disk with all that belongs to it. Raises TaskError."""
    if target.exists():
        shutil.rmtree(target)
    try:
        copy_tree(source, target)
    except LabError as error:
        raise TaskError(str(error)) from error


def replace_disk(container: Container, source: Path) -> None:
    """Make a copy of another disk a stopped container's own."""
    copy(source, container.upper)
    for folder in (container.folder / "disk").iterdir():
        if folder.name != "upper":
            # The file system's own scratch space belongs to the disk that was.
            shutil.rmtree(folder)
            folder.mkdir()


def new_identity(container: Container) -> None:
    """Give a clone a machine id of its own; its host key stays that of its source, as Proxmox leaves it."""
    put = Writer(Path(container.lab.base), container.upper).put
    put("etc/machine-id", secrets.token_hex(16) + "\n", 0o444)


def used(container: Container) -> int:
    """Return the bytes that the container has written."""
    return int(run(["du", "-s", "-B1", str(container.upper)], check=False).stdout.split()[0] or 0)


def _with_password(line: str, password: str) -> str:
    crypt = ctypes.CDLL("libcrypt.so.1").crypt
    crypt.restype = ctypes.c_char_p
    salt = "".join(secrets.choice(ALPHABET) for _ in range(16))
    hashed = crypt(password.encode(), f"$6${salt}$".encode())
    fields = line.split(":")
    return ":".join([fields[0], hashed.decode(), *fields[2:]])


def _group(container: Container, name: str) -> int:
    for line in (Path(container.lab.base) / "etc/group").read_text().splitlines():
        if line.startswith(f"{name}:"):
            return int(line.split(":")[2])
    return 0
