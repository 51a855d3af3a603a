"""Real hosts for the tests of this room."""

from collections.abc import Callable, Iterator

import pytest

from hosts.address import parse_connection
from hosts.ssh import SSHHost
from hosts.target import Target
from lab import Fleet, LabHost
from tests.lab_fixtures import LabKey

Reach = Callable[[LabHost], SSHHost]


@pytest.fixture(scope="session")
def machine(fleet: Fleet) -> LabHost:
    """A host with nginx that the tests of this room have for themselves."""
    return fleet.add_host("engine1", "nginx")


@pytest.fixture(scope="session")
def target_of(lab_key: LabKey) -> Callable[..., Target]:
    """How to reach a host of the lab, its key pinned."""

    def target(host: LabHost, **more: object) -> Target:
        fields: dict = {
            "known_keys": (host.host_key,),
            "private_key": lab_key.private,
            "connect_timeout": 20.0,
        }
        return Target(parse_connection(host.connection), **{**fields, **more})

    return target


@pytest.fixture
def reach(target_of: Callable[..., Target]) -> Iterator[Reach]:
    """New connections to hosts of the lab, closed at the end."""
    made: list[SSHHost] = []

    def connect(host: LabHost) -> SSHHost:
        made.append(SSHHost(target_of(host), host.name))
        return made[-1]

    yield connect
    for host in made:
        host.close()


@pytest.fixture
def host(machine: LabHost, reach: Reach) -> SSHHost:
    """A connection to this room's host."""
    return reach(machine)


def logged(machine: LabHost, unit: str, words: str) -> bytes:
    """What a unit of the host has logged with these words until now: its journal lags behind on a busy machine."""
    machine.exec(["journalctl", "--sync"])
    return machine.exec(["journalctl", "-u", unit, "-g", words]).stdout
