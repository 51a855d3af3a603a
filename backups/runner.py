"""The panel's side of backup-run on a backup server: hand it its work, look how it stands, stop it."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field

from backups.desired_runner import RUNNER
from hosts.errors import CommandFailed
from hosts.host import Host, Result

START_SECONDS = 60.0
STOP_SECONDS = 90.0
LOOK_SECONDS = 30.0
NOT_THERE = 127  # of sh: no such program
_PROGRESS = re.compile(
    r"\s*(?P<bytes>[0-9][0-9,.]{0,24})\s+(?P<percent>[0-9]{1,3})%\s+(?P<rate>[0-9.,]{1,20}[kKMGT]?B/s)\s+"
    r"(?P<left>[0-9:]{1,15})(?:\s+\(xfr#[0-9]+, (?P<sure>to|ir)-chk=(?P<still>[0-9]{1,18})/(?P<all>[0-9]{1,18})\))?"
)


class NoRunner(CommandFailed):
    """The runner is not on the backup server: its rollout has not come through yet."""

    sentence = "%(host)s has not got its backup configuration yet. Look at its rollout “rsnapshot”."


@dataclass(frozen=True)
class Progress:
    """What rsync last told. `percent` is None while rsync is still finding files; `left` is in seconds."""

    bytes: int = 0
    percent: int | None = None
    rate: str = ""
    left: int | None = None


@dataclass(frozen=True)
class Look:
    """How a run stands. `facts` are the runner's own, the last of each name; `lists` all of those that come often."""

    known: bool
    alive: bool = False
    same_boot: bool = True
    facts: Mapping[str, str] = field(default_factory=dict)
    lists: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    progress: Progress | None = None
    output: bytes = b""

    @property
    def ended(self) -> bool:
        """Whether the runner itself has said how it ended."""
        return "state" in self.facts

    def number(self, name: str) -> int | None:
        """A fact as a number; None if it is not there."""
        text = self.facts.get(name, "")
        return int(text) if re.fullmatch(r"-?[0-9]{1,18}", text) else None


def work_text(work: Mapping[str, object]) -> bytes:
    """The work as backup-run reads it; raises ValueError for a value that is more than a line."""
    lines = []
    for name, value in work.items():
        text = "" if value is None else str(value)
        if any(character in text for character in "\n\r\0"):
            raise ValueError(f"{name} is more than one line")
        lines.append(f"{name}={text}\n")
    return "".join(lines).encode()


def start(host: Host, name: str, work: Mapping[str, object]) -> None:
    """Begin a run that goes on without us; if it has begun already, nothing happens. Raises HostError."""
    # Not to be ended with the connection, nor by a time-out of ours.
    _check(host.run([RUNNER, "start", name], stdin=work_text(work), timeout=START_SECONDS, survive=True))


def look(host: Host, name: str, offset: int = 0) -> Look:
    """How the run stands, and what it said from byte `offset` on (64 KiB at most). Raises HostError."""
    result = _check(host.run([RUNNER, "look", name, str(offset)], timeout=LOOK_SECONDS))
    return read_look(result.out)


def stop(host: Host, name: str) -> None:
    """End the run and all that it started there; returns when it is dead. Raises HostError."""
    _check(host.run([RUNNER, "stop", name], timeout=STOP_SECONDS))


def forget(host: Host, name: str) -> None:
    """Remove what is kept of an ended run. Raises HostError."""
    _check(host.run([RUNNER, "forget", name], timeout=LOOK_SECONDS))


def _check(result: Result) -> Result:
    if result.code == NOT_THERE:
        raise NoRunner(result.host, command=RUNNER, code=result.code)
    return result.check()


def read_look(answer: bytes) -> Look:
    """Read what `backup-run look` prints."""
    head, _, output = answer.partition(b"\noutput:\n")
    facts: dict[str, str] = {}
    lists: dict[str, list[str]] = {}
    # Alone a newline ends a line of sh: str.splitlines would find facts in the middle of what a host said.
    for line in head.decode(errors="replace").split("\n"):
        name, is_fact, value = line.partition("=")
        if is_fact:
            facts[name] = value
            lists.setdefault(name, []).append(value)
    return Look(
        known=facts.get("known") == "yes",
        alive=facts.get("alive") == "yes",
        same_boot=facts.get("boot") != "other",
        facts=facts,
        lists={name: tuple(values) for name, values in lists.items()},
        progress=read_progress(facts.get("progress", "")),
        output=output,
    )


def read_progress(line: str) -> Progress | None:
    """Read a line of rsync's --info=progress2; None if it is none.

    Of an unchanged file no byte is copied, so the share of files that were looked at counts as well.
    """
    found = _PROGRESS.match(line)
    if found is None:
        return None
    percent: int | None = int(found["percent"])
    if found["all"]:
        seen = (int(found["all"]) - int(found["still"])) * 100 // max(1, int(found["all"]))
        percent = None if found["sure"] == "ir" else max(percent or 0, seen)
    left = 0
    for part in found["left"].split(":"):
        left = left * 60 + int(part or 0)
    size = int(re.sub("[.,]", "", found["bytes"]))
    return Progress(size, percent, found["rate"], left)
