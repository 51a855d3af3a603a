"""What a host should hold: files, how its own tools check them, how they are activated and proved."""

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

_NAME = re.compile(r"[a-z_][a-z0-9_.-]{0,31}\$?", re.ASCII)
_KIND = re.compile(r"[a-z][a-z0-9-]{0,40}", re.ASCII)


class BadState(ValueError):  # noqa: N818 - a mistake in our own code, named like BadConnection
    """A State that no host can hold; a mistake of the room that made it."""


@dataclass(frozen=True)
class File:
    """A whole file of ours. Folders above it are made (0755 root). `secret`: its bytes are shown nowhere."""

    path: str
    content: bytes = field(repr=False)
    mode: int = 0o644
    owner: str = "root"
    group: str = "root"
    secret: bool = False

    def __post_init__(self) -> None:
        check_path(self.path)
        if not 0 <= self.mode <= 0o7777:
            raise BadState(f"{self.mode:o} is not a file mode")
        if not (_NAME.fullmatch(self.owner) and _NAME.fullmatch(self.group)):
            raise BadState(f"{self.owner}:{self.group} are not a unix user and group")


@dataclass(frozen=True)
class Link:
    """A symbolic link of ours."""

    path: str
    target: str

    def __post_init__(self) -> None:
        check_path(self.path)
        if not self.target or "\0" in self.target:
            raise BadState(f"{self.target!r} cannot be a link's target")


@dataclass(frozen=True)
class Absent:
    """Nothing must be at this path."""

    path: str

    def __post_init__(self) -> None:
        check_path(self.path)


Item = File | Link | Absent


@dataclass(frozen=True)
class Staged:
    """Stands in a Command's argv for the path where an item lies before it counts."""

    path: str


STAGED = Staged  # as the rooms write it: Command(("sshd", "-t", "-f", STAGED("/etc/ssh/sshd_config")))


@dataclass(frozen=True)
class Command:
    """A command run on the host: argv as it is, no shell. Exit code 0 is success. `timeout` is in seconds.

    `in_place` (checks only): run with the new files in place, before activation; otherwise on the staged files.
    `always`: of a proof, that it is true of the old state as well ("the service is active"), so it proves a put-back
    too; of a staged check, that it looks at more than the files it names, so it is run also when those stay.
    """

    argv: tuple[str | Staged, ...]
    timeout: float = 30.0
    in_place: bool = False
    always: bool = False

    def __post_init__(self) -> None:
        if not self.argv or any(isinstance(word, str) and "\0" in word for word in self.argv):
            raise BadState(f"{self.argv!r} is not an argv")
        if self.timeout <= 0:
            raise BadState("a command needs a timeout above 0 seconds")


@dataclass(frozen=True)
class TcpProbe:
    """From the panel: a TCP connection to host:port succeeds within `timeout` seconds (tried again until then)."""

    host: str
    port: int
    timeout: float = 10.0


@dataclass(frozen=True)
class HttpProbe:
    """From the panel: GET url answers with `expect_status` and a body that contains `expect_body`.

    Redirects are not followed. `connect_to` is the address to go to in place of the URL's host (the Host header and
    the name in TLS stay the URL's); `verify` False accepts any certificate.
    """

    url: str
    expect_status: int = 200
    expect_body: bytes = b""
    connect_to: str | None = None
    verify: bool = True
    timeout: float = 10.0


@dataclass(frozen=True)
class AskProbe:
    """From the panel: `ask` gives "" when all is well, else what is wrong. At most `tries` times, a second apart."""

    ask: Callable[[], str]
    tries: int = 2  # few: what it does may count as an attack


Probe = TcpProbe | HttpProbe | AskProbe


@dataclass(frozen=True)
class State:
    """All that a host should hold of one kind. Files of this kind that it holds beyond `items` are removed.

    `looks` say at every plan whether what is active on the host is what the files say (a service that runs, rules that
    are there): one that fails makes the plan not empty, its words part of the difference, and the same apply mends it.

    The order on the host: staged checks, swap, in-place checks, activate, proofs; then the probes, by the panel. When
    activation had begun and anything fails, the old files come back, and `put_back` (None: `activate` again), the
    in-place checks and the `always` proofs run on them. `can_cut_off`: the host undoes by itself after `undo_seconds`
    unless the panel confirms over a new connection; States with probes wait for the panel's word in the same way.

    `left_out` are sentences about what should be here too, and no file can say: the rest is applied, and they are told.
    """

    kind: str
    items: tuple[Item, ...]
    checks: tuple[Command, ...] = ()
    activate: tuple[Command, ...] = ()
    proofs: tuple[Command, ...] = ()
    probes: tuple[Probe, ...] = ()
    can_cut_off: bool = False
    undo_seconds: int = 60
    put_back: tuple[Command, ...] | None = None
    looks: tuple[Command, ...] = ()
    left_out: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if not _KIND.fullmatch(self.kind):
            raise BadState(f"{self.kind!r} cannot be a kind's name")
        paths = {item.path for item in self.items}
        if len(paths) != len(self.items):
            raise BadState("two items have the same path")
        for path in paths:
            if any(above in paths for above in _above(path)):
                raise BadState(f"{path} lies below another item")
        self._check_commands({item.path for item in self.items if not isinstance(item, Absent)})
        if self.undo_seconds < 5:
            raise BadState("undo_seconds must be at least 5")

    def _check_commands(self, staged: set[str]) -> None:
        for command in (*self.checks, *self.activate, *self.proofs, *self.looks, *(self.put_back or ())):
            for word in command.argv:
                if isinstance(word, Staged) and (command not in self.checks or command.in_place):
                    raise BadState("STAGED belongs into a staged check only")
                if isinstance(word, Staged) and word.path not in staged:
                    raise BadState(f"no item is staged for {word.path}")

    @property
    def waits_for_panel(self) -> bool:
        """Whether the host keeps the new state only after the panel's word."""
        return self.can_cut_off or bool(self.probes)


def check_path(path: str) -> None:
    """Raise BadState unless path is absolute, in its shortest form, and of lengths that Linux takes."""
    parts = path.split("/")[1:]
    plain = all(
        part not in {"", ".", ".."} and len(part.encode(errors="surrogateescape")) < 256 for part in parts
    )
    if (
        not path.startswith("/")
        or not plain
        or "\0" in path
        or len(path.encode(errors="surrogateescape")) > 4000
    ):
        raise BadState(f"{path!r} is not an absolute path in its shortest form")


def _above(path: str) -> Iterator[str]:
    while (path := path.rpartition("/")[0]) != "":
        yield path
