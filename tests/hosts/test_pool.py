"""Warm connections are reused, checked, and not kept for ever."""

from collections.abc import Callable, Iterator

import pytest

from hosts.pool import Pool
from hosts.ssh import SSHHost
from hosts.target import Target
from lab import LabHost
from tests.waiting import wait_for

pytestmark = pytest.mark.lab


@pytest.fixture
def pool() -> Iterator[Pool]:
    made = Pool()
    yield made
    made.close_all()


def session(host: SSHHost) -> str:
    """The host's port of the connection: another connection has another one."""
    return host.run(["sh", "-c", "echo $SSH_CONNECTION"]).text


def test_one_connection_serves_one_block_after_the_other(
    pool: Pool, machine: LabHost, target_of: Callable[..., Target]
) -> None:
    with pool.connect(target_of(machine), "first") as host:
        assert host.name == "first"
        first = session(host)
    with pool.connect(target_of(machine), "second") as host:
        assert host.name == "second"
        assert session(host) == first


def test_two_blocks_at_once_have_a_connection_each(
    pool: Pool, machine: LabHost, target_of: Callable[..., Target]
) -> None:
    with pool.connect(target_of(machine)) as one, pool.connect(target_of(machine)) as two:
        assert session(one) != session(two)


def test_a_connection_that_died_is_replaced_unseen(
    pool: Pool, machine: LabHost, target_of: Callable[..., Target]
) -> None:
    with pool.connect(target_of(machine)) as host:
        first = session(host)
    machine.exec(["pkill", "-f", "^sshd: root@notty"])  # and we may not have heard of it yet
    with pool.connect(target_of(machine)) as host:
        assert session(host) != first


def test_a_block_that_ends_by_an_error_leaves_no_connection(
    pool: Pool, machine: LabHost, target_of: Callable[..., Target]
) -> None:
    first = ""
    try:
        with pool.connect(target_of(machine)) as host:
            first = session(host)
            raise ValueError  # noqa: TRY301 - any error of the block's own
    except ValueError:
        pass
    with pool.connect(target_of(machine)) as host:
        assert session(host) != first


def test_what_is_not_used_is_closed_after_a_while(machine: LabHost, target_of: Callable[..., Target]) -> None:
    pool = Pool(idle_seconds=0.3)
    with pool.connect(target_of(machine)) as host:
        session(host)
    wait_for(lambda: not host.alive())
    with pool.connect(target_of(machine)) as again:
        session(again)
        assert again is not host
    pool.close_all()
    assert not again.alive()
