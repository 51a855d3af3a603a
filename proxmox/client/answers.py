"""What an API answers, in our own types: the same for PVE 7, 8 and 9."""

from dataclasses import dataclass
from typing import Any

Json = dict[str, Any]
LARGEST = 2.0**63  # what a row can hold; JSON may say 1e999


@dataclass(frozen=True)
class Version:
    """A version of Proxmox VE."""

    text: str

    @property
    def major(self) -> int:
        """7, 8, 9 …; 0 if it cannot be told."""
        head = self.text.partition(".")[0]
        return int(head) if head.isascii() and head.isdecimal() and len(head) < 6 else 0


@dataclass(frozen=True)
class NodeStatus:
    """How a node is. Memory and disk in bytes, uptime in seconds, cpu from 0 to 1."""

    uptime: int
    cpu: float
    cpus: int
    memory: int
    memory_used: int
    swap: int
    swap_used: int
    disk: int
    disk_used: int
    version: str

    @classmethod
    def of(cls, answer: Json) -> "NodeStatus":
        """From GET /nodes/{node}/status."""
        memory, swap, disk = (_table(answer.get(name)) for name in ("memory", "swap", "rootfs"))
        return cls(
            uptime=_whole(answer.get("uptime")),
            cpu=_number(answer.get("cpu")),
            cpus=_whole(_table(answer.get("cpuinfo")).get("cpus")),
            memory=_whole(memory.get("total")),
            memory_used=_whole(memory.get("used")),
            swap=_whole(swap.get("total")),
            swap_used=_whole(swap.get("used")),
            disk=_whole(disk.get("total")),
            disk_used=_whole(disk.get("used")),
            version=str(answer.get("pveversion", "")).removeprefix("pve-manager/").partition("/")[0],
        )


@dataclass(frozen=True)
class GuestNow:
    """A container ("lxc") or machine ("qemu") as it is now. Bytes, seconds; cpu is 0 to 1 of its `cpus`."""

    vmid: int
    kind: str
    name: str
    status: str
    """ "running", "stopped", "paused" …"""
    uptime: int = 0
    cpu: float = 0.0
    cpus: float = 0.0
    memory: int = 0
    memory_used: int = 0
    swap: int = 0
    swap_used: int = 0
    disk: int = 0
    disk_used: int = 0
    lock: str = ""
    tags: tuple[str, ...] = ()
    is_template: bool = False

    @property
    def runs(self) -> bool:
        """Whether it is on."""
        return self.status != "stopped"

    @classmethod
    def of(cls, kind: str, answer: Json) -> "GuestNow":
        """From an entry of GET /nodes/{node}/lxc or qemu, or from a guest's status/current."""
        vmid = _whole(answer.get("vmid"))  # PVE 7 lists it as text
        return cls(
            vmid=vmid,
            kind=kind,
            name=str(answer.get("name") or f"{'CT' if kind == 'lxc' else 'VM'}{vmid}"),
            status=str(answer.get("status", "")),
            uptime=_whole(answer.get("uptime")),
            cpu=_number(answer.get("cpu")),
            cpus=_number(answer.get("cpus")),
            memory=_whole(answer.get("maxmem")),
            memory_used=_whole(answer.get("mem")),
            swap=_whole(answer.get("maxswap")),
            swap_used=_whole(answer.get("swap")),
            disk=_whole(answer.get("maxdisk")),
            disk_used=_whole(answer.get("disk")),
            lock=str(answer.get("lock") or ""),
            tags=tuple(tag for tag in str(answer.get("tags") or "").replace(",", ";").split(";") if tag),
            is_template=bool(_whole(answer.get("template"))),
        )


@dataclass(frozen=True)
class Storage:
    """A storage as the node sees it, in bytes."""

    name: str
    type: str
    content: tuple[str, ...]
    """What it may hold: "rootdir" (containers' disks), "vztmpl" (templates), "backup", "images", "iso"."""
    is_active: bool
    total: int
    used: int
    available: int

    @classmethod
    def of(cls, answer: Json) -> "Storage":
        """From an entry of GET /nodes/{node}/storage."""
        return cls(
            name=str(answer.get("storage", "")),
            type=str(answer.get("type", "")),
            content=tuple(word for word in str(answer.get("content", "")).split(",") if word),
            is_active=bool(_whole(answer.get("enabled", 1))) and bool(_whole(answer.get("active", 1))),
            total=_whole(answer.get("total")),
            used=_whole(answer.get("used")),
            available=_whole(answer.get("avail")),
        )


@dataclass(frozen=True)
class Volume:
    """A file of a storage, such as the template `local:vztmpl/debian-12-standard_12.7-1_amd64.tar.zst`."""

    volid: str
    content: str
    size: int

    @property
    def file_name(self) -> str:
        """Its name without storage and folder."""
        return self.volid.rpartition("/")[2]

    @classmethod
    def of(cls, answer: Json) -> "Volume":
        """From an entry of GET /nodes/{node}/storage/{storage}/content."""
        return cls(str(answer.get("volid", "")), str(answer.get("content", "")), _whole(answer.get("size")))


@dataclass(frozen=True)
class TaskNow:
    """A task. `exit_status` is empty while it runs."""

    upid: str
    type: str
    vmid: str
    user: str
    started: int
    exit_status: str

    @property
    def ended(self) -> bool:
        """Whether it is at its end, well or not."""
        return bool(self.exit_status)

    @property
    def went_well(self) -> bool:
        """OK, or OK with warnings."""
        return self.exit_status == "OK" or self.exit_status.startswith("WARNINGS")

    @classmethod
    def of_status(cls, answer: Json) -> "TaskNow":
        """From GET /nodes/{node}/tasks/{upid}/status."""
        ended = answer.get("status") == "stopped"
        return cls._made(answer, str(answer.get("exitstatus") or "unexpected status") if ended else "")

    @classmethod
    def of_list(cls, answer: Json) -> "TaskNow":
        """From an entry of GET /nodes/{node}/tasks, which calls the exit status "status"."""
        status = str(answer.get("status") or "")
        ended = bool(answer.get("endtime")) and status != "RUNNING"
        return cls._made(answer, (status or "unexpected status") if ended else "")

    @classmethod
    def _made(cls, answer: Json, exit_status: str) -> "TaskNow":
        user = str(answer.get("user", ""))
        if answer.get("tokenid") and "!" not in user:
            user = f"{user}!{answer['tokenid']}"
        return cls(
            upid=str(answer.get("upid", "")),
            type=str(answer.get("type", "")),
            vmid=str(answer.get("id", "")),
            user=user,
            started=_whole(answer.get("starttime")),
            exit_status=exit_status,
        )


def _table(value: Any) -> Json:
    return value if isinstance(value, dict) else {}


def _whole(value: Any) -> int:
    return int(_number(value))


def _number(value: Any) -> float:
    try:
        number = float(value)
    except (TypeError, ValueError, OverflowError):
        return 0.0
    return number if abs(number) < LARGEST else 0.0
