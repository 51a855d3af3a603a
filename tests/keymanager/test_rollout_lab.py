"""The rollout kind "keys" on a real host, by the engine: applied, applied again, failed, and taken away."""

import pytest

from hosts import engine
from hosts.errors import ActivationFailed, HostError
from hosts.host import Result
from hosts.state import File, State
from keymanager.desired import CONF, CRON, KIND, SCRIPT, SIGNERS, Fetch, keys_state
from tests.keymanager.fake_panel import FakePanel, fake_panel
from tests.keymanager.fleets import ed25519_blob

pytestmark = pytest.mark.lab
ADA = f"ssh-ed25519 {ed25519_blob(b'ada')} ada@laptop"
BOB = f"ssh-ed25519 {ed25519_blob(b'bob')} bob@desk"
FILES = (SCRIPT, CONF, SIGNERS, CRON)


class Direct:
    """A lab host as the engine sees a host, without the network between."""

    name = "files1"

    def __init__(self, host) -> None:
        self.host = host

    def run(self, argv, *, stdin=b"", timeout=60.0, on_output=None, survive=False) -> Result:
        done = self.host.exec(list(argv), stdin=stdin, timeout=timeout)
        return Result(done.returncode, done.stdout, done.stderr, tuple(argv), self.name)

    def read(self, path: str) -> bytes | None:
        done = self.host.exec(["cat", path])
        return None if done.returncode else done.stdout

    def close(self) -> None:
        pass


@pytest.fixture(scope="module")
def panel(fleet):
    with fake_panel(fleet.panel_address) as one:
        yield one


@pytest.fixture
def host(fleet):
    return Direct(fleet["files1"])


def state_for(panel: FakePanel, **more) -> State:
    given = {"url": panel.url, "name": panel.name, "token": "gsk_test", "signers": panel.signers, **more}
    return keys_state(Fetch(**given, minute=panel.minute, plain_http=True, spread=0))


def roll_out(host: Direct, state: State) -> engine.Plan:
    plan = engine.plan(host, state)
    engine.apply(host, plan)
    return plan


def test_applied_it_has_fetched_and_applied_again_it_does_nothing(host, panel) -> None:
    panel.give({"root": [ADA]})
    plan = roll_out(host, state_for(panel))
    assert {change.path for change in plan.changes} == set(FILES)
    assert "gsk_test" not in plan.diff
    for item in state_for(panel).items:
        assert isinstance(item, File)
        assert host.read(item.path) == item.content
    assert ADA.encode() in (host.read("/root/.ssh/authorized_keys2") or b"")
    assert engine.plan(host, state_for(panel)).empty


def test_a_server_that_cannot_fetch_is_left_as_it_was(host, panel) -> None:
    panel.reply = (401, {}, b"no\n")
    with pytest.raises(ActivationFailed, match="401"):
        roll_out(host, state_for(panel))
    assert [host.read(path) for path in FILES] == [None] * 4


def test_new_settings_with_which_nothing_can_be_fetched_give_way_to_the_old_ones(host, panel) -> None:
    panel.give({"root": [ADA]})
    roll_out(host, state_for(panel))
    with pytest.raises(HostError):
        roll_out(host, state_for(panel, url="http://198.51.100.222:9/"))
    assert panel.url.encode() in (host.read(CONF) or b"")
    panel.give({"root": [BOB]})
    assert host.run([SCRIPT]).code == 0
    assert BOB.encode() in (host.read("/root/.ssh/authorized_keys2") or b"")


def test_taken_away_the_files_go_and_the_keys_stay(host, panel) -> None:
    panel.give({"root": [ADA]})
    roll_out(host, state_for(panel))
    roll_out(host, State(KIND, ()))
    assert [host.read(path) for path in FILES] == [None] * 4
    assert ADA.encode() in (host.read("/root/.ssh/authorized_keys2") or b"")
