"""The lab's cluster on disk: what `/etc/pve` is to Proxmox. It outlives the API's process."""

import json
import re
import secrets
import threading
import uuid
from pathlib import Path

from lab import record
from lab.addresses import INSIDE, mac_address
from lab.container import PROXMOX
from lab.errors import LabError
from lab.pve.world import Grant, Guest, Node, Storage, Token, User, Volume, World
from lab.record import HostRecord, LabRecord
from lab.system import run

OWN_ROLE = "Gestion"
OWN_USER = "gestion@pve"
TEMPLATE = "local:vztmpl/debian-12-lab_12.0-1_amd64.tar.zst"
PRIVILEGES = """Datastore.AllocateSpace Datastore.Audit SDN.Use Sys.Audit VM.Allocate VM.Audit VM.Backup
VM.Clone VM.Config.CPU VM.Config.Disk VM.Config.Memory VM.Config.Network
VM.Config.Options VM.PowerMgmt VM.Snapshot"""


def state_folder(lab: str) -> Path:
    """Return where a lab's cluster keeps what it knows."""
    return record.lab_folder(lab) / "pve"


def load_world(lab: str) -> World:
    """Return the cluster as written down. Raises LabError if its API has never run."""
    try:
        return World.from_json(json.loads((state_folder(lab) / "cluster.json").read_text()))
    except FileNotFoundError as error:
        raise LabError(
            f"The lab “{lab}” has no Proxmox API. Bring it up: python -m lab up --lab {lab}"
        ) from error


class State:
    """Keeps the world of a lab in step with what is on disk, and with the lab's own hosts."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.folder = state_folder(name)
        self.folder.mkdir(exist_ok=True, mode=0o700)
        self.world = load_world(name) if (self.folder / "cluster.json").exists() else _new_world(name)
        self._lock = threading.Lock()
        self._saved = ""
        self._seen = (0, 0)
        self._lab = self._read()
        self.refresh()
        self.save()

    def lab(self) -> LabRecord:
        """Return the lab as it is written down now. Raises LabError if it is gone."""
        file = record.lab_folder(self.name) / "lab.json"
        try:
            info = file.stat()
        except FileNotFoundError as error:
            raise LabError(f"The lab “{self.name}” is gone.") from error
        version = (info.st_mtime_ns, info.st_ino)  # two that are written at once may share the time
        if version != self._seen:
            self._seen, self._lab = version, self._read()
        return self._lab

    def save(self) -> None:
        """Write the world down if it has changed, whole or not at all."""
        with self._lock:
            text = json.dumps(self.world.to_json(), indent=1)
            if text == self._saved:
                return
            new = self.folder / "cluster.json.new"
            new.touch(mode=0o600)
            new.write_text(text)
            new.rename(self.folder / "cluster.json")
            self._saved = text

    def refresh(self) -> None:
        """Take in nodes and containers that the lab has got, and forget those it has lost."""
        lab, world = self.lab(), self.world
        with world.lock:
            for host in lab.hosts:
                if host.role == PROXMOX and host.name not in world.nodes:
                    world.nodes[host.name] = _node(host)
            hosts = {guest.host for guest in world.guests.values()}
            for host in lab.hosts:
                if host.behind and host.name not in hosts:
                    guest = _guest(lab, host, world)
                    world.guests[guest.vmid] = guest
            folder = lab.folder / "lxc"
            gone = [guest.vmid for guest in world.guests.values() if _is_gone(guest, folder, lab)]
            for vmid in gone:
                del world.guests[vmid]

    def forget_host(self, guest: Guest) -> None:
        """Strike a host of the lab's own off the lab's record: its container has been destroyed."""
        with record.locked(self.name):
            lab = record.load(self.name)
            if lab and any(host.name == guest.host for host in lab.hosts):
                hosts = tuple(host for host in lab.hosts if host.name != guest.host)
                record.save(LabRecord(**{**vars(lab), "hosts": hosts}))

    def _read(self) -> LabRecord:
        found = record.load(self.name)
        if not found:
            raise LabError(f"There is no lab “{self.name}”.")
        return found


def _new_world(name: str) -> World:
    """Return the cluster of a new lab. Nobody knows its secrets but who may read its folder."""
    world = World(cluster=name, auth_delay=3.0)
    template = Volume(TEMPLATE, "vztmpl", 126_515_062)
    world.storages["local"] = Storage(
        "local", "dir", ["vztmpl", "backup", "iso"], volumes={TEMPLATE: template}
    )
    world.storages["local-lvm"] = Storage("local-lvm", "lvmthin", ["rootdir", "images"])
    world.users["root@pam"] = User("root@pam", secrets.token_urlsafe(18))
    token = Token("panel", str(uuid.uuid4()), privsep=False)
    world.users[OWN_USER] = User(OWN_USER, secrets.token_urlsafe(18), tokens={"panel": token})
    world.roles[OWN_ROLE] = set(PRIVILEGES.split())
    world.acl.append(Grant("/", OWN_USER, OWN_ROLE))
    return world


def _node(host: HostRecord) -> Node:
    cpus = int(run(["nproc"]).stdout)
    total = re.search(r"MemTotal:\s+(\d+) kB", Path("/proc/meminfo").read_text())
    return Node(host.name, host.address, None, cpus, int(total[1]) << 10 if total else 0)


def _guest(lab: LabRecord, host: HostRecord, world: World) -> Guest:
    """Return the guest that a host of the lab's own is; its id is the end of its address, if that is free."""
    vmid = int(host.address.rpartition(".")[2])
    while vmid in world.guests:
        vmid += 100
    mac = mac_address(lab.name, host.name).upper()
    address = f"{host.address}/{INSIDE.network.prefixlen}"
    config = {
        "arch": "amd64",
        "hostname": host.name,
        "memory": 1024,
        "net0": f"name=eth0,bridge=vmbr0,gw={INSIDE.ip},hwaddr={mac},ip={address},type=veth",
        "onboot": 1,
        "ostype": "debian",
        "rootfs": f"local-lvm:vm-{vmid}-disk-0,size=8G",
        "swap": 512,
        "unprivileged": 1,
    }
    return Guest(vmid, str(host.behind), config=config, host=host.name)


def _is_gone(guest: Guest, folder: Path, lab: LabRecord) -> bool:
    """Return whether a guest was a host of the lab's own, and is one no more."""
    made_here = guest.host == f"{guest.node}-ct{guest.vmid}" or not guest.host
    return not made_here and all(host.name != guest.host for host in lab.hosts)
