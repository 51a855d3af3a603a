"""Lab hosts for the tests of this room."""

from collections.abc import Iterator
from typing import Any, Protocol

import pytest

from hosts.address import parse_connection
from hosts.ssh import SSHHost, Target
from hosts.state import Command, File, State
from lab import Fleet, HostSpec, LabHost
from tests.lab_fixtures import LabKey

NGINX = "/etc/nginx/conf.d/gestion.conf"


def target(host: LabHost, key: LabKey, **options: Any) -> Target:
    """How to reach a lab host; its key pinned, and quick to notice a cut."""
    settings = {"known_keys": (host.host_key,), "connect_timeout": 3, "lost_after": 3} | options
    return Target(parse_connection(host.connection), private_key=key.private, **settings)


class Connect(Protocol):
    """Makes connections to lab hosts."""

    def __call__(self, host: LabHost, **options: Any) -> SSHHost: ...


@pytest.fixture
def connect(lab_key: LabKey) -> Iterator[Connect]:
    """Make connections to lab hosts that are closed at the end."""
    made: list[SSHHost] = []

    def new(host: LabHost, **options: Any) -> SSHHost:
        made.append(SSHHost(target(host, lab_key, **options), host.name))
        return made[-1]

    yield new
    for one in made:
        one.close()


@pytest.fixture(scope="session")
def plain(fleet: Fleet) -> LabHost:
    """A host with nginx and a small disk of its own, for this room alone."""
    return fleet.add_hosts([HostSpec("engine", disk_mb=64)])[0]


def nginx(content: bytes, **parts: Any) -> State:
    """A kind like the real one: checked in place, reloaded, proved by its service."""
    whole: dict[str, Any] = {
        "checks": (Command(("nginx", "-t"), in_place=True),),
        "activate": (Command(("systemctl", "reload", "nginx")),),
        "proofs": (Command(("systemctl", "is-active", "nginx"), always=True),),
    }
    return State("nginx", (File(NGINX, content),), **(whole | parts))


def page(words: str) -> bytes:
    """A configuration that answers on port 8080 with words."""
    return f"server {{ listen 8080; return 200 '{words}'; }}\n".encode()
