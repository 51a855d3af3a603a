"""Plan and apply: the one life cycle of everything that Gestion puts on a host. How it works: docs/engine.md."""

from collections.abc import Callable
from dataclasses import dataclass, field

from hosts.host import Host
from hosts.state import State


@dataclass(frozen=True)
class Change:
    """What apply will do at one path. None stands for "no file there"; a link's bytes are its target.

    `diff` is bounded text and shows no secret. `foreign`: something lies there that is not ours. `edited`: a file of
    ours that somebody changed by hand.
    """

    path: str
    before: bytes | None = field(repr=False)
    after: bytes | None = field(repr=False)
    before_mode: str = ""
    mode: str = ""
    foreign: bool = False
    edited: bool = False
    diff: str = field(default="", repr=False)


@dataclass(frozen=True)
class Recovered:
    """How an earlier apply ended: `state` is "old" or "new"; `now` True if it was this look that put it back."""

    kind: str
    run: str
    state: str
    words: str = ""
    now: bool = False


@dataclass(frozen=True)
class Plan:
    """What one host holds of one State, and what apply would change. `run` names the apply on the host."""

    state: State
    run: str
    changes: tuple[Change, ...]
    fingerprint: str
    seen: bytes = field(repr=False)
    recovered: tuple[Recovered, ...] = ()

    @property
    def empty(self) -> bool:
        """Whether the host already holds what it should."""
        return not self.changes

    @property
    def diff(self) -> str:
        """All changes as unified text, of bounded size, without secrets."""
        return "".join(change.diff for change in self.changes)


@dataclass(frozen=True)
class Outcome:
    """How apply ended: always in the new state (everything else is an error). `kept`: where adopted files went."""

    changed: bool
    said: str
    kept: str | None = None


def plan(host: Host, state: State) -> Plan:
    """Compare what the host holds with what it should hold, in one round trip."""
    raise NotImplementedError


def apply(
    host: Host, plan: Plan, *, adopt: bool = False, reconnect: Callable[[], Host] | None = None
) -> Outcome:
    """Make the host hold what the plan says, in one round trip, or leave it as it was and raise why."""
    raise NotImplementedError


def recover(host: Host) -> list[Recovered]:
    """Finish what interrupted applies left, and say how the last apply of each kind ended."""
    raise NotImplementedError
