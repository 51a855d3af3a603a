"""A whole lab: bring it up, find it, add hosts to it, take it down."""

import secrets
import shutil
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from ipaddress import IPv4Network
from pathlib import Path
from types import TracebackType
from typing import Self, TypeVar

from . import addresses, record
from .base import ready_base
from .container import PROXMOX, Container, install_wire
from .errors import LabError
from .host import LabHost
from .network import guard, make_bridge, require_free
from .record import HostRecord, LabRecord
from .roles import check_role, furnish
from .sweep import clear_machine, sweep
from .system import allow_many_hosts, require_lab, require_root, require_writable_layers

SIDE_BY_SIDE = 8
T = TypeVar("T")


@dataclass(frozen=True)
class HostSpec:
    """A host one wants: its name, its role, the Proxmox host it is behind, and its own disk's size if any."""

    name: str
    role: str = "plain"
    behind: str | None = None
    disk_mb: int | None = None


DEFAULT_FLEET = (
    HostSpec("pve1", PROXMOX),
    HostSpec("proxy", "nginx", behind="pve1"),
    HostSpec("web1", behind="pve1"),
    HostSpec("backup1", "backup"),
    HostSpec("files1", "samba"),
    HostSpec("pve2", PROXMOX),
)


class Fleet:
    """A lab. `fleet["pve1"]` is a host; as a context manager it is taken down at the end."""

    def __init__(self, lab: LabRecord) -> None:
        self._hosts: dict[str, LabHost] = {}
        self._know(lab)

    @classmethod
    def up(
        cls,
        name: str = "demo",
        network: str | None = None,
        authorized_keys: Sequence[str] = (),
        hosts: Sequence[HostSpec] = DEFAULT_FLEET,
        *,
        fresh: bool = False,
    ) -> Self:
        """Bring a lab up and return when every host's sshd answers; one that is up or was kept is completed.

        `network` may be left out for the labs demo and test, and for one that exists. `authorized_keys` are
        public key lines for root on every host. `fresh` clears whatever an earlier run left. Raises
        LabUnavailable if this machine cannot run labs, LabError otherwise (a network that overlaps with
        another lab's, for instance).
        """
        addresses.check_lab_name(name)
        require_lab()
        require_writable_layers(record.state_folder())
        with record.locked(name):
            if fresh or (record.lab_folder(name).exists() and not record.load(name)):
                sweep(name)
            fleet = cls(_claim(name, network))
            guard()
            allow_many_hosts()
            make_bridge(name, IPv4Network(fleet.network))
            install_wire(record.lab_folder(name))
            fleet._trust(authorized_keys)
            fleet._make([spec for spec in hosts if spec.name not in fleet._hosts])
            fleet._start()
            ensure_api(fleet._lab)
        return fleet

    @classmethod
    def find(cls, name: str) -> Self | None:
        """Return the lab called `name` if there is one, up or kept; None if not."""
        lab = record.load(addresses.check_lab_name(name))
        return cls(lab) if lab else None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.down()

    def __getitem__(self, name: str) -> LabHost:
        """Return a host by its name. Raises LabError if there is none."""
        self._lab.host(name)
        return self._hosts[name]

    def __iter__(self) -> Iterator[LabHost]:
        return iter(self._hosts.values())

    @property
    def name(self) -> str:
        """The lab's name."""
        return self._lab.name

    @property
    def network(self) -> str:
        """The lab's network, as in "198.51.100.0/27"."""
        return self._lab.network

    @property
    def panel_address(self) -> str:
        """This machine's own address on the lab's bridge, where a panel would listen for the hosts."""
        return addresses.panel_address(IPv4Network(self._lab.network))

    def add_host(
        self, name: str, role: str = "plain", *, behind: str | None = None, disk_mb: int | None = None
    ) -> LabHost:
        """Add a host and start it; returns when its sshd answers. Raises LabError."""
        return self.add_hosts([HostSpec(name, role, behind, disk_mb)])[0]

    def add_hosts(self, specs: Sequence[HostSpec]) -> list[LabHost]:
        """Add hosts and start them side by side; returns when every sshd answers. Raises LabError."""
        with record.locked(self.name):
            current = record.load(self.name)
            if not current:
                raise LabError(f"The lab “{self.name}” is not up any more.")
            self._know(current)
            self._make(specs)
            self._start([spec.name for spec in specs])
            ensure_api(self._lab)
        return [self._hosts[spec.name] for spec in specs]

    def remove_hosts(self, names: Sequence[str]) -> None:
        """Remove hosts for good, those behind them first. Raises LabError."""
        with record.locked(self.name):
            current = record.load(self.name) or self._lab
            self._know(current)
            for name in sorted(names, key=lambda name: not current.host(name).behind):
                host = self._hosts.pop(name)
                host.container.destroy()
                if host.parent:
                    host.parent.children.remove(host)
            self._write(
                replace(current, hosts=tuple(host for host in current.hosts if host.name not in names))
            )

    def down(self, *, keep: bool = False) -> None:
        """Take the lab down and leave nothing; `keep` leaves its hosts' disks and keys for the next `up`."""
        take_down(self.name, keep=keep)

    def _know(self, lab: LabRecord) -> None:
        """Take in the record, with hosts another process may have added."""
        self._lab = lab
        for host in lab.hosts:
            if host.name not in self._hosts:
                parent = self._hosts[host.behind] if host.behind else None
                self._hosts[host.name] = LabHost(Container(lab, host), parent)

    def _trust(self, keys: Sequence[str]) -> None:
        """Write down the administrator's keys, and give them to the hosts that are there already."""
        keys = [key.strip() for key in keys if key.strip()]
        new = [key for key in keys if key not in self._lab.authorized_keys]
        self._write(replace(self._lab, authorized_keys=(*self._lab.authorized_keys, *new)))
        if new and self._hosts:
            self._start()
            for host in self:
                host.trust(new)

    def _make(self, specs: Sequence[HostSpec]) -> None:
        """Write the new hosts down, then make all that are not made yet."""
        lab = self._lab
        for spec in specs:
            lab = replace(lab, hosts=(*lab.hosts, _place(lab, spec)))
        self._write(lab)
        _each(_complete, [Container(lab, host) for host in lab.hosts])

    def _write(self, lab: LabRecord) -> None:
        record.save(lab)
        self._know(lab)

    def _start(self, names: Sequence[str] = ()) -> None:
        """Start hosts side by side, all unless named, those in front first, and wait for them all."""
        hosts = [host for host in self if not names or host.name in names]
        _each(LabHost.switch_on, [host for host in hosts if not host.parent])
        _each(LabHost.switch_on, [host for host in hosts if host.parent])
        _each(LabHost.wait_ready, hosts)


def ensure_api(lab: LabRecord) -> None:
    """See that the Proxmox API answers in front of the lab's Proxmox hosts. Raises LabError."""
    from .pve.real.service import ensure  # it stands on the lab itself

    ensure(lab)


def take_down(name: str, *, keep: bool = False) -> None:
    """Take a lab down, also a half-made or crashed one, or one that is not there; see `Fleet.down`."""
    addresses.check_lab_name(name)
    require_root()
    with record.locked(name):
        if not keep:
            sweep(name)
            return
        if fleet := Fleet.find(name):
            _each(LabHost.stop, [host for host in fleet if not host.parent])
        clear_machine(name)


def _each(act: Callable[[T], None], things: Sequence[T]) -> None:
    with ThreadPoolExecutor(SIDE_BY_SIDE) as pool:
        list(pool.map(act, things))


def _claim(name: str, network: str | None) -> LabRecord:
    """Return the lab's record, a new one if there is none, with a network no other lab has."""
    if lab := record.load(name):
        if network and addresses.check_network(network) != IPv4Network(lab.network):
            raise LabError(
                f"The lab “{name}” has {lab.network}. Take it down first: python -m lab down --lab {name}"
            )
        if not Path(lab.base).is_dir():
            raise LabError(
                f"The base of the lab “{name}” is gone. Begin anew: python -m lab down --lab {name}"
            )
        return lab
    network = network or addresses.DEFAULT_NETWORKS.get(name)
    if not network:
        raise LabError(
            f"Which network shall the lab “{name}” have? Say --network 198.51.100.0/27, for instance."
        )
    chosen = addresses.check_network(network)
    base = ready_base()
    with record.locked(".claims"):
        record.require_no_overlap(name, chosen)
        require_free(chosen, name)
        lab = LabRecord(name, str(chosen), str(base), secrets.token_hex(8))
        record.own(name)
        record.save(lab)
    return lab


def _place(lab: LabRecord, spec: HostSpec) -> HostRecord:
    """Return the new host with its address. Raises LabError if there is no room or no sense in it."""
    name, role = addresses.check_host_name(spec.name), check_role(spec.role)
    if any(host.name == name for host in lab.hosts):
        raise LabError(f"The lab “{lab.name}” has a host “{name}” already.")
    if not spec.behind:
        taken = (host.address for host in lab.hosts if not host.behind)
        address = addresses.next_address(IPv4Network(lab.network), taken)
        return HostRecord(name, role, address, disk_mb=spec.disk_mb)
    if lab.host(spec.behind).role != PROXMOX:
        raise LabError(f"{spec.behind} is no Proxmox host; nothing can be behind it.")
    address, port = addresses.next_inside(host.address for host in lab.hosts if host.behind == spec.behind)
    return HostRecord(name, role, address, spec.behind, port, spec.disk_mb)


def _complete(container: Container) -> None:
    """Make a container that is not made, or only half."""
    made = container.folder / "made"
    if made.exists() and container.has_disk():
        return
    if container.folder.exists():
        container.unmount_disk()
        shutil.rmtree(container.folder)
    container.make()
    furnish(container)
    made.touch()
