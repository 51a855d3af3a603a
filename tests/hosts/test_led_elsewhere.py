"""A new state that leads the panel's own connection to another server is undone like one that cuts it."""

import pytest

from hosts import engine
from hosts.errors import HostKeyChanged, LoginRefused, RolledBack
from hosts.memory import MemoryHost
from hosts.state import File, State


@pytest.mark.parametrize(
    "error", [HostKeyChanged("pve1", expected="a", found="b"), LoginRefused("pve1", "no")]
)
def test_another_server_that_answers_is_waited_out(error):
    host = MemoryHost()
    state = State("nat", (File("/etc/rules", b"one\n"),), can_cut_off=True, undo_seconds=5)
    tries = []

    def again() -> MemoryHost:
        tries.append(error)
        if host.read("/etc/rules") is not None:  # until the host has undone it
            raise error
        return host

    with pytest.raises(RolledBack):
        engine.apply(host, engine.plan(host, state), reconnect=again)
    assert len(tries) > 1
    assert host.read("/etc/rules") is None
