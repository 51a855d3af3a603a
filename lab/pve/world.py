"""What a cluster has: nodes, storages, people and their rights, guests. From a world file, or a test."""

import json
import threading
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Self

from .errors import died

Json = dict[str, Any]
PLAIN = ("cluster", "version", "pools", "statistics", "auth_delay", "lock_timeout", "durations")


@dataclass
class Node:
    """A machine of the cluster. `refuses`: the words with which calls for it end in 595; None, it answers."""

    name: str
    address: str = "127.0.0.1"
    refuses: str | None = None
    cores: int = 8
    memory: int = 32 << 30


@dataclass
class Volume:
    """A file of a storage: a template, a backup, an image. Sizes in bytes, times in Unix seconds."""

    volid: str
    content: str
    size: int = 100_000
    ctime: int = 1_700_000_000
    vmid: int | None = None


@dataclass
class Storage:
    """A storage, the same on every node. Plain folders ("dir") know no snapshots."""

    name: str
    type: str = "dir"
    content: list[str] = field(default_factory=list)
    disabled: bool = False
    total: int = 256 << 30
    used: int = 32 << 30
    volumes: dict[str, Volume] = field(default_factory=dict)


@dataclass
class Token:
    """An API token. With `privsep` it has only rights of its own, and never more than its user's."""

    name: str
    secret: str
    privsep: bool = True
    expire: int = 0
    comment: str = ""


@dataclass
class User:
    """A person or a program: "app@pve"."""

    id: str
    password: str | None = None
    enabled: bool = True
    tokens: dict[str, Token] = field(default_factory=dict)


@dataclass
class Grant:
    """A line of the ACL: a role for a user or token on a path and, if it propagates, below."""

    path: str
    who: str
    role: str
    propagate: bool = True


@dataclass
class Guest:
    """A container ("lxc") or machine ("qemu"). `lost_disk`: its image is missing, as on a bad storage.

    `interfaces` is what it says itself of its network while it runs, as the API hands it on: of a container instead
    of what follows from its configuration; of a machine None where no guest agent answers.
    """

    vmid: int
    node: str
    kind: str = "lxc"
    config: Json = field(default_factory=dict)
    pending: Json = field(default_factory=dict)
    snapshots: dict[str, Json] = field(default_factory=dict)
    running: bool = False
    lost_disk: bool = False
    interfaces: list[Json] | None = None
    host: str = ""
    """With real containers: the name of the lab's host that it is."""

    @property
    def name(self) -> str:
        """Its host name."""
        return str(self.config.get("hostname") or self.config.get("name") or f"CT{self.vmid}")


@dataclass
class World:
    """A cluster and all that is in it. Hold `lock` for more than one step."""

    cluster: str = "lab"
    version: str = "9.2.11"
    nodes: dict[str, Node] = field(default_factory=dict)
    storages: dict[str, Storage] = field(default_factory=dict)
    users: dict[str, User] = field(default_factory=dict)
    roles: dict[str, set[str]] = field(default_factory=dict)
    acl: list[Grant] = field(default_factory=list)
    pools: dict[str, list[int]] = field(default_factory=dict)
    guests: dict[int, Guest] = field(default_factory=dict)
    statistics: bool = True
    """Whether the nodes tell each other how they are; without, cluster/resources knows nothing."""
    auth_delay: float = 3.0
    """Seconds until a refused login is answered."""
    lock_timeout: float = 10.0
    """Seconds that a change waits for another on the same guest."""
    durations: dict[str, float] = field(default_factory=dict)
    """Seconds that a task of some type takes ("vzcreate": 1.5), with simulated containers."""
    lock: threading.RLock = field(default_factory=threading.RLock, repr=False, compare=False)

    @classmethod
    def load(cls, path: Path | str) -> Self:
        """Read a world file; docs/lab-pve.md says what is in it."""
        return cls.from_json(json.loads(Path(path).read_text()))

    @classmethod
    def from_json(cls, data: Json) -> Self:
        """Build the world that a world file describes. Raises TypeError for words it does not know."""
        data = {key: value for key, value in data.items() if key != "faults"}
        parts: Json = {
            "nodes": {item["name"]: Node(**item) for item in data.pop("nodes", [])},
            "storages": {item["name"]: _storage(item) for item in data.pop("storages", [])},
            "users": {item["id"]: _user(item) for item in data.pop("users", [])},
            "roles": {name: set(privileges) for name, privileges in data.pop("roles", {}).items()},
            "acl": [Grant(**item) for item in data.pop("acl", [])],
            "guests": {item["vmid"]: Guest(**item) for item in data.pop("guests", [])},
        }
        return cls(**parts, **data)

    def to_json(self) -> Json:
        """Return what `from_json` reads. Others may change guests meanwhile."""
        with self.lock:
            data = {name: getattr(self, name) for name in PLAIN}
            data["nodes"] = [asdict(node) for node in self.nodes.values()]
            data["storages"] = [
                {
                    **vars(storage),
                    "volumes": [dict(vars(volume)) for volume in list(storage.volumes.values())],
                }
                for storage in self.storages.values()
            ]
            data["users"] = [
                {**vars(user), "tokens": [dict(vars(token)) for token in list(user.tokens.values())]}
                for user in self.users.values()
            ]
            data["roles"] = {name: sorted(privileges) for name, privileges in self.roles.items()}
            data["acl"] = [dict(vars(grant)) for grant in self.acl]
            # A copy of a dictionary is made in one step; a walk through it is not.
            data["guests"] = [
                {
                    **vars(guest),
                    **{name: dict(getattr(guest, name)) for name in ("config", "pending", "snapshots")},
                }
                for guest in self.guests.values()
            ]
        return data

    @classmethod
    def example(cls, containers: int = 3, *, node: str = "pve1", **more: Any) -> Self:
        """Return a small world with a token for everything: `root@pam!panel`, secret "secret"."""
        world = cls(auth_delay=0.0, **more)
        world.nodes[node] = Node(node)
        template = Volume("local:vztmpl/debian-12-standard_12.7-1_amd64.tar.zst", "vztmpl", 126_515_062)
        world.storages["local"] = Storage("local", "dir", ["vztmpl", "backup", "iso"])
        world.storages["local"].volumes[template.volid] = template
        world.storages["local-lvm"] = Storage("local-lvm", "lvmthin", ["rootdir", "images"])
        tokens = {"panel": Token("panel", "secret", privsep=False)}
        world.users["root@pam"] = User("root@pam", "secret", tokens=tokens)
        for number in range(containers):
            vmid = 101 + number
            world.guests[vmid] = Guest(
                vmid, node, config=_example_config(vmid, number), running=number % 4 < 3
            )
        return world

    def node(self, name: str) -> Node:
        """Return a node. Raises ApiError as Proxmox does for a name it cannot look up."""
        if name not in self.nodes:
            failed = f"hostname lookup '{name}' failed - failed to get address info for: {name}"
            raise died(f"{failed}: Name or service not known")
        return self.nodes[name]

    def storage(self, name: str) -> Storage:
        """Return a storage. Raises ApiError."""
        if name not in self.storages:
            raise died(f"storage '{name}' does not exist")
        return self.storages[name]

    def guest(self, node: str, vmid: int, kind: str = "lxc") -> Guest:
        """Return a guest of a node. Raises ApiError, as Proxmox does, with the path of its configuration."""
        found = self.guests.get(vmid)
        if not found or found.node != node or found.kind != kind:
            folder = "lxc" if kind == "lxc" else "qemu-server"
            raise died(f"Configuration file 'nodes/{node}/{folder}/{vmid}.conf' does not exist")
        return found

    def guests_of(self, node: str, kind: str) -> Iterator[Guest]:
        """Yield a node's guests by number."""
        with self.lock:
            found = [guest for guest in self.guests.values() if guest.node == node and guest.kind == kind]
        yield from sorted(found, key=lambda guest: guest.vmid)

    def major(self) -> int:
        """Return the main version: 7, 8 or 9."""
        return int(self.version.partition(".")[0])


def _storage(item: Json) -> Storage:
    volumes = [Volume(**volume) for volume in item.pop("volumes", [])]
    return Storage(**item, volumes={volume.volid: volume for volume in volumes})


def _user(item: Json) -> User:
    tokens = [Token(**token) for token in item.pop("tokens", [])]
    return User(**item, tokens={token.name: token for token in tokens})


def _example_config(vmid: int, number: int) -> Json:
    address = f"10.{number // 200}.{number % 200 // 100}.{100 + number % 100}"
    mac = f"BC:24:11:{number >> 16 & 255:02X}:{number >> 8 & 255:02X}:{number & 255:02X}"
    net = f"name=eth0,bridge=vmbr0,gw=10.0.0.1,hwaddr={mac},ip={address}/24,type=veth"
    rootfs = f"local-lvm:vm-{vmid}-disk-0,size=8G"
    return {
        "arch": "amd64",
        "cores": 2,
        "hostname": f"ct{vmid}",
        "memory": 1024,
        "net0": net,
        "onboot": 1,
        "ostype": "debian",
        "rootfs": rootfs,
        "swap": 512,
        "unprivileged": 1,
    }
