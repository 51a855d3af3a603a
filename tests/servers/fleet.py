"""A fleet in memory: what SERVERS_TRANSPORT names in tests. Each address is a MemoryHost with a host key."""

import base64
import hashlib
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from hosts.address import Address
from hosts.errors import HostKeyChanged, HostKeyUnknown, LoginRefused, Unreachable
from hosts.host import Host
from hosts.memory import MemoryHost
from hosts.target import HostKey, Target

PATH = "tests.servers.fleet.MemoryTransport"


def host_key(seed: str) -> HostKey:
    """An ed25519 key line, different for each seed, with its right fingerprint."""
    blob = b"\0\0\0\x0bssh-ed25519\0\0\0\x20" + hashlib.sha256(seed.encode()).digest()
    digest = base64.b64encode(hashlib.sha256(blob).digest()).decode().rstrip("=")
    return HostKey(f"ssh-ed25519 {base64.b64encode(blob).decode()}", f"SHA256:{digest}")


@dataclass
class Machine:
    """One address: its files, its host key, and whether it is there and lets us in."""

    host: MemoryHost
    key: HostKey
    down: bool = False
    refuses: bool = False
    through: list[str] = field(default_factory=list)  # the gateway of every login
    logins: int = 0
    busy: threading.Event | None = None  # set while a command runs; see `slow`
    go_on: threading.Event | None = None


class Connection:
    """A connection to a machine; closing it leaves the machine alone."""

    def __init__(self, machine: Machine, name: str) -> None:
        self.machine, self.name = machine, name

    def run(self, argv, **options):
        if self.machine.busy and self.machine.go_on:
            self.machine.busy.set()
            assert self.machine.go_on.wait(20)
        if self.machine.down:
            raise Unreachable(self.name, "no route to host")
        return self.machine.host.run(argv, **options)

    def read(self, path):
        return self.machine.host.read(path)

    def close(self):
        pass


class MemoryFleet:
    """All machines, by address text."""

    def __init__(self) -> None:
        self.machines: dict[str, Machine] = {}

    def add(self, connection: str, **options) -> Machine:
        made = Machine(MemoryHost(name=connection), host_key(connection), **options)
        self.machines[connection] = made
        return made

    def login(self, target: Target, name: str) -> Connection:
        machine = self.reach(target.address, target.gateway)
        if not target.known_keys:
            raise HostKeyUnknown(name, key=machine.key.key, fingerprint=machine.key.fingerprint)
        if machine.key.key not in target.known_keys:
            raise HostKeyChanged(name, expected="old", found=machine.key.fingerprint, key=machine.key.key)
        if machine.refuses:
            raise LoginRefused(name, "permission denied (publickey)")
        machine.logins += 1
        machine.through.append(target.gateway.address.text if target.gateway else "")
        return Connection(machine, name)

    def reach(self, address: Address, gateway: Target | None) -> Machine:
        if gateway:
            self.reach(gateway.address, gateway.gateway)
        machine = self.machines.get(address.text)
        if machine is None or machine.down:
            raise Unreachable(address.host, "no route to host")
        return machine


FLEET = MemoryFleet()


class MemoryTransport:
    """Reaches the fleet in memory."""

    @contextmanager
    def connect(self, target: Target, name: str) -> Iterator[Host]:
        yield FLEET.login(target, name)

    def fresh(self, target: Target, name: str) -> Host:
        return FLEET.login(target, name)

    def host_key(self, address: Address, gateway: Target | None) -> HostKey:
        return FLEET.reach(address, gateway).key
