"""Fixtures for jobs."""

import pytest

from accounts.actors import Actor
from tests.jobs import works


@pytest.fixture(autouse=True)
def bench():
    """A fresh bench for the test's works."""
    works.bench.runs.clear()
    works.bench.started.clear()
    works.bench.go_on.clear()
    return works.bench


@pytest.fixture
def actor(admin) -> Actor:
    """The admin, acting."""
    return Actor(admin, admin.username, "192.0.2.7")
