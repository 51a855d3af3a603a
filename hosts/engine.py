"""Plan and apply: the one life cycle of everything that Gestion puts on a host. How it works: docs/engine.md."""

import hashlib
import secrets
import time
from collections.abc import Callable
from dataclasses import dataclass, field

from hosts import answers, probes, wire
from hosts.bounds import last_words
from hosts.changes import Change, Seen, compare, read_content, read_manifest, read_seen, wanted
from hosts.errors import (
    Busy,
    ForeignFile,
    HostKeyChanged,
    HostKeyUnknown,
    Interrupted,
    LoginRefused,
    RollbackFailed,
    TimedOut,
    Unreachable,
)
from hosts.host import Host
from hosts.job import allowed_seconds, commands_text, job
from hosts.state import File, Item, State

__all__ = ["Change", "Outcome", "Plan", "Recovered", "apply", "plan", "recover"]

LOOK_SECONDS = 120.0  # for a plan or a question, a put-back of an interrupted apply included
# A new state that cuts us off may also lead us to another server: until the host has undone it, that is no news.
AWAY = (Unreachable, Interrupted, TimedOut, HostKeyChanged, HostKeyUnknown, LoginRefused)
PAUSE = 0.5  # seconds between two tries to reach a host again
PATIENCE = 30.0  # seconds that a host may be out of reach, or over its undo time, before we give up


@dataclass(frozen=True)
class Recovered:
    """How an apply ended: `state` "old", "new" or "broken" (RollbackFailed); not yet ended: "running", "waiting".

    `now` True if it was this look that finished it. `stage` is the step at which it failed.
    """

    kind: str
    run: str
    state: str
    stage: str = ""
    words: str = ""
    now: bool = False


@dataclass(frozen=True)
class Plan:
    """What one host holds of one State, and what apply would change. `run` names the apply on the host.

    `inactive`: the words with which a look of the State failed (they say little while files differ as well).
    """

    state: State
    run: str
    changes: tuple[Change, ...]
    fingerprint: str
    seen: dict[str, Seen] = field(repr=False)
    expected: bytes = field(repr=False)
    recovered: tuple[Recovered, ...] = ()
    inactive: str = ""

    @property
    def empty(self) -> bool:
        """Whether the host already holds what it should."""
        return not self.changes and not self.inactive

    @property
    def differing(self) -> tuple[Change, ...]:
        """The changes of what is there: without what is right, and is only to be recorded as ours."""
        return tuple(change for change in self.changes if not change.recorded)

    @property
    def foreign(self) -> tuple[str, ...]:
        """Paths of files that are not ours and lie where ours should go."""
        return tuple(change.path for change in self.changes if change.foreign)

    @property
    def diff(self) -> str:
        """All changes as unified text, without secrets; bounded for each file."""
        if self.inactive and not self.differing:
            return f"--- active on the host\n+++ as its files say\n{self.inactive}\n"
        return "".join(change.diff for change in self.changes)


@dataclass(frozen=True)
class Outcome:
    """How apply ended: in the new state, all else is an error. `kept` is the folder of adopted files on the host."""

    changed: bool
    said: str
    kept: str | None = None


def plan(host: Host, state: State) -> Plan:
    """Compare what the host holds with what it should hold, in one round trip; writes nothing.

    But what an interrupted apply left is put back first (`Plan.recovered`). Raises Busy while another apply is on,
    RollbackFailed if what was left cannot be put back, and what Host.run raises.
    """
    items = sorted(state.items, key=lambda item: item.path)
    question = wire.lines("plan", state.kind, len(items))
    question += b"".join(wire.text(item.path) + wire.lines(_hash_or_secret(item)) for item in items)
    question += commands_text(state.looks)
    seconds = LOOK_SECONDS + sum(look.timeout + 5 for look in state.looks)
    reader = answers.ask(host, question, "plan", seconds)
    with answers.garbled_is_an_error(host, reader):
        left, done, manifest = reader.text(), reader.text(), reader.text()
        expected = reader.text()
        recovered = _recovered(done)
        if left:
            raise Busy(host.name, left.decode().strip())
        if any(one.state == "broken" for one in recovered):
            raise RollbackFailed(host.name, "\n".join(one.words for one in recovered))
        owned = read_manifest(manifest)
        paths = list(dict.fromkeys([*(item.path for item in items), *owned]))
        lines = wire.Reader(expected)
        seen = {path: read_seen(lines) for path in paths}
        sent = [paths[int(number) - 1] for number in reader.line().split(maxsplit=len(paths))]
        inactive = last_words(reader.text())
        contents = {path: read_content(reader, seen[path]) for path in sent}
    changes = tuple(compare(state, seen, owned, contents))
    fingerprint = hashlib.sha256(manifest + expected).hexdigest()
    return Plan(
        state, secrets.token_hex(8), changes, fingerprint, seen, manifest + expected, recovered, inactive
    )


def apply(
    host: Host, plan: Plan, *, adopt: bool = False, reconnect: Callable[[], Host] | None = None
) -> Outcome:
    """Make the host hold what the plan says, in one round trip, or leave it as it was and raise why.

    `adopt`: foreign files may be replaced; they are kept aside, `Outcome.kept` names the folder. `reconnect` gives a
    new connection: for the proof of a kind that can cut us off (None: `host` is closed and used again), and to ask
    for the end when the connection is lost in the middle (None: Interrupted is raised, and `recover` tells later).

    Raises ForeignFile, Drift, Busy (nothing was touched); CheckFailed, WriteFailed, DiskFull, ActivationFailed,
    ProofFailed, RolledBack (the old state is there); RollbackFailed (it is not); Interrupted (not known yet).
    """
    if plan.empty:
        return Outcome(changed=False, said="Nothing to do: the host holds what it should.")
    blocked = tuple(change.path for change in plan.changes if change.foreign and (change.folder or not adopt))
    if blocked:
        raise ForeignFile(host.name, paths=blocked)
    kept = f"/var/lib/gestion/kept/{plan.run}" if plan.foreign else None
    said = _said(plan, kept)
    secret = [item.content for item in plan.state.items if isinstance(item, File) and item.secret]
    changed = {change.path: change.foreign for change in plan.changes}
    data = job(plan.state, plan.run, plan.seen, changed, plan.expected, inactive=bool(plan.inactive))
    end = time.monotonic() + plan.state.undo_seconds + PATIENCE
    try:
        answer = answers.ask_end(host, data, allowed_seconds(plan.state))
    except (Interrupted, TimedOut):
        if reconnect is None:
            raise
        answer = _ask_again(reconnect, plan, end + allowed_seconds(plan.state))
    if answer.state == "waiting":
        answer = _decide(host, plan, reconnect, end)
    answers.raise_unless_new(host.name, answer, plan.state, secret)
    return Outcome(changed=True, said=said, kept=kept)


def recover(host: Host) -> list[Recovered]:
    """Finish what interrupted applies left, and say how the last ones of each kind ended (compare `Plan.run`)."""
    reader = answers.ask(host, wire.lines("recover"), "recover", LOOK_SECONDS)
    with answers.garbled_is_an_error(host, reader):
        left, done = reader.text().decode(), _recovered(reader.text())
        found = list(done)
        for line in left.splitlines():
            run, state, *words = line.split(" ", 2)
            found.append(Recovered("", run, state, words=" ".join(words)))
        while not reader.done:
            kind, last, *words = reader.text().decode(errors="replace").split("\n")
            run, state, stage, *_ = [*last.split(" "), "", ""]
            # a full disk may have kept the host from writing how it ended
            if state and run not in {one.run for one in found}:
                found.append(Recovered(kind, run, state, stage, last_words("\n".join(words))))
    return found


def _hash_or_secret(item: Item) -> str:
    if isinstance(item, File) and item.secret:
        return "secret"
    return wanted(item).sha256 or "none"


def _recovered(data: bytes) -> tuple[Recovered, ...]:
    reader, found = wire.Reader(data), []
    while not reader.done:
        kind, run, state, stage = reader.line().split(" ")
        found.append(Recovered(kind, run, state, stage, last_words(reader.text()), now=True))
    return tuple(found)


def _said(plan: Plan, kept: str | None) -> str:
    said = f"{len(plan.changes)} changed, checked, active and proved."
    if not plan.changes:
        said = "Made active again as the files say, and proved."
    return f"{said} The files that were there are kept in {kept}." if kept else said


def _decide(host: Host, plan: Plan, reconnect: Callable[[], Host] | None, end: float) -> answers.Answer:
    """Prove the new state over a new connection and from outside, then tell the host to keep it or not."""
    again = reconnect
    if plan.state.can_cut_off and again is None:
        host.close()
    elif not plan.state.can_cut_off:
        again = None
    words = probes.failing(plan.state.probes, max(plan.state.undo_seconds - 5, 1))
    question = wire.lines("refuse" if words else "confirm", plan.run) + wire.text(words)
    while True:
        try:
            answer = answers.ask_end(again() if again else host, question, LOOK_SECONDS)
        except AWAY as error:
            if time.monotonic() > end:
                raise Interrupted(host.name, error.words) from error
            time.sleep(PAUSE)
        else:
            return answer


def _ask_again(reconnect: Callable[[], Host], plan: Plan, end: float) -> answers.Answer:
    """Ask how the apply ended whose connection was lost; waits while it is running."""
    words = ""
    while time.monotonic() < end:
        try:
            found = {one.run: one for one in recover(reconnect())}
        except AWAY as error:
            words = error.words
        else:
            one = found.get(plan.run)
            if one is None:
                return answers.Answer("old", "transfer", 0, "The connection was lost before the apply began.")
            if one.state != "running":
                return answers.Answer(one.state, one.stage, 0, one.words)
        time.sleep(PAUSE)
    raise Interrupted("", words)
