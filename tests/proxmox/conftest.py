"""Fixtures for the tests of this room: a simulated Proxmox API, its host in the inventory, a client."""

from collections.abc import Iterator

import pytest

from lab.pve import PveServer
from proxmox.client import NodeApi
from servers.models import Server
from tests.proxmox.panel_side import endpoint, host_row, simulated


@pytest.fixture
def pve() -> Iterator[PveServer]:
    """An API with three containers that run: ct101, ct102, ct103."""
    with simulated() as running:
        yield running


@pytest.fixture
def host(db, pve: PveServer) -> Server:
    """Its host in the inventory."""
    return host_row(pve)


@pytest.fixture
def api(pve: PveServer) -> Iterator[NodeApi]:
    """A client of it."""
    with NodeApi(endpoint(pve)) as made:
        yield made
