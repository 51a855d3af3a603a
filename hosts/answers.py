"""What the script on the host answers, and the error that each bad end is."""

import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

from hosts import wire
from hosts.bounds import last_words
from hosts.errors import (
    ActivationFailed,
    Busy,
    CheckFailed,
    CommandFailed,
    DiskFull,
    Drift,
    HostError,
    Interrupted,
    NotPlain,
    ProofFailed,
    RollbackFailed,
    RolledBack,
    WriteFailed,
)
from hosts.host import Host
from hosts.state import Command, Staged, State

MOST_SAID = 200  # characters of what a login says in place of our script
_NO_SHELL = {1, 2, 126, 127}
# How our script never ends without an answer: that is so, by timeout(1) (124), or by a signal.
_OF_ANOTHER = {*range(124)} - _NO_SHELL
# The tools' words, or df's line of a file system without room
_FULL = re.compile(r"No space left on device|Disk quota exceeded|\s0\s+100%\s")


@dataclass(frozen=True)
class Answer:
    """How an apply ended: state ("new", "old", "broken", "waiting"), the step, the command's number in it, words."""

    state: str
    stage: str
    command: int
    words: str


def ask(host: Host, data: bytes, kind: str, seconds: float) -> wire.Reader:
    """Start the script on the host with data, and give its answer after the first line."""
    result = host.run(wire.ARGV, stdin=data, timeout=seconds, survive=True)
    said, ours, rest = result.out.partition(f"gestion {kind}\n".encode())
    # Nothing was lost: a login said something, or did something else and came to its own end.
    if said if ours else result.code in _OF_ANOTHER:
        raise NotPlain(host.name, last_words(said)[-MOST_SAID:] or "no answer")
    if not ours:
        raise _no_answer(host, result.code, result.out, result.err)
    return wire.Reader(rest)


def ask_end(host: Host, data: bytes, seconds: float) -> Answer:
    """Start the script on the host with data that makes or decides an apply, and give how that ended."""
    result = host.run(wire.ARGV, stdin=data, timeout=seconds, survive=True)
    first, _, words = result.out.partition(b"\n")
    match = re.fullmatch(rb"gestion ([a-z0-9-]+) ([a-z]+) ([a-z]+) ([0-9]{1,9})", first)
    if match is None:
        raise _no_answer(host, result.code, result.out, result.err)
    return Answer(match[2].decode(), match[3].decode(), int(match[4]), last_words(words))


def _no_answer(host: Host, code: int, out: bytes, err: bytes) -> HostError:
    words = (err or out).decode(errors="replace")[-4000:].strip()
    if _FULL.search(words):
        return DiskFull(host.name, words)
    if code in _NO_SHELL:  # no shell for us, or one that cannot read the script: nothing was done
        return CommandFailed(host.name, words, command="sh", code=code)
    return Interrupted(host.name, words or f"no answer, code {code}")


@contextmanager
def garbled_is_an_error(host: Host, reader: wire.Reader) -> Iterator[None]:
    """Turn an answer in another form than agreed into an Interrupted."""
    try:
        yield
    except (wire.Garbled, ValueError, KeyError, IndexError) as error:
        raise Interrupted(host.name, f"an answer that cannot be read, at byte {reader.at}") from error


def raise_unless_new(name: str, answer: Answer, state: State, secrets: Sequence[bytes]) -> None:
    """Raise the error that the answer is; nothing for the new state. Secret files' lines are masked in its words."""
    if answer.state == "new":
        return
    words = _masked(answer.words, secrets)
    command = _command(answer, state)
    if answer.state != "old":
        raise RollbackFailed(name, words)
    if answer.stage == "busy":
        raise Busy(name, words)
    if answer.stage == "drift":
        raise Drift(name, words)
    if _FULL.search(words):
        raise DiskFull(name, words)
    if answer.stage in {"undone", "interrupted"}:
        raise RolledBack(name, words)
    if answer.stage in {"staged", "placed"}:
        raise CheckFailed(name, words, command=command)
    if answer.stage == "activate":
        raise ActivationFailed(name, words, command=command)
    if answer.stage in {"prove", "verify", "probe"}:
        raise ProofFailed(name, words, command=command)
    raise WriteFailed(name, words)


def _command(answer: Answer, state: State) -> str:
    groups: dict[str, tuple[Command, ...]] = {
        "staged": tuple(check for check in state.checks if not check.in_place),
        "placed": tuple(check for check in state.checks if check.in_place),
        "activate": state.activate,
        "prove": state.proofs,
    }
    group = groups.get(answer.stage, ())
    if not 1 <= answer.command <= len(group):
        return answer.stage
    return " ".join(w.path if isinstance(w, Staged) else w for w in group[answer.command - 1].argv)


def _masked(words: str, secrets: Sequence[bytes]) -> str:
    for secret in secrets:
        for line in secret.decode(errors="replace").splitlines():
            if len(line.strip()) >= 6:
                words = words.replace(line.strip(), "(secret)")
    return words
