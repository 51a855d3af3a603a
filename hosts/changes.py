"""What is on a host beside what should be there: the changes that apply would make, and how they are shown."""

import difflib
import hashlib
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from hosts import wire
from hosts.bounds import CONTENT_BYTES, DIFFER_LINES
from hosts.state import Absent, File, Item, Link, State

_FILE = re.compile(r"f \S+ \S+ \S+ [0-9]{1,18} \S*", re.ASCII)  # mode, owner, group, size, SHA-256
DIFF_LINES = 400  # of one file; a page must stay readable
DIFF_CHARACTERS = 40_000


@dataclass(frozen=True)
class Seen:
    """What lies at a path: "a" nothing, "f" file, "l" link, "d" folder, "o" something else.

    `entry` is one line that says all that we compare; the host's script makes the same line.
    """

    type: str
    entry: str
    target: bytes = b""

    @property
    def mode(self) -> str:
        """What `stat` calls the mode, owner and group."""
        return " ".join(self.entry.split(" ")[1:4]) if self.type == "f" else ""

    @property
    def size(self) -> int:
        """The file's size in bytes."""
        return int(self.entry.split(" ")[4]) if self.type == "f" else 0

    @property
    def sha256(self) -> str:
        """The SHA-256 of the file's bytes, in hexadecimal."""
        return self.entry.split(" ")[5] if self.type == "f" else ""


@dataclass(frozen=True)
class Owned:
    """A line of the host's manifest: what we wrote at a path, and whether it is a secret."""

    entry: str
    secret: bool


@dataclass(frozen=True)
class Change:
    """What apply will do at one path.

    `before` and `after` are a file's bytes or a link's target; None: nothing there, or a secret, or too long to fetch.
    The modes are "644 root root", empty where nothing is there. `foreign`: something that is not ours lies there.
    `edited`: a file of ours that somebody changed or removed by hand. `recorded`: what is there is right, and is only
    to be recorded as ours. `diff` is text of bounded size, without secrets.
    """

    path: str
    before: bytes | None = field(repr=False)
    after: bytes | None = field(repr=False)
    before_mode: str = ""
    mode: str = ""
    foreign: bool = False
    edited: bool = False
    recorded: bool = False
    folder: bool = False
    diff: str = field(default="", repr=False)


def wanted(item: Item) -> Seen:
    """Say how a path looks when it holds what the item says."""
    if isinstance(item, File):
        digest = hashlib.sha256(item.content).hexdigest()
        size = len(item.content)
        return Seen("f", f"f {item.mode:o} {item.owner} {item.group} {size} {digest}")
    if isinstance(item, Link):
        target = item.target.encode(errors="surrogateescape")
        return link(target)
    return Seen("a", "a")


def link(target: bytes) -> Seen:
    """Say how a path looks that is a link to target."""
    return Seen("l", f"l {hashlib.sha256(target).hexdigest()}", target)


def read_seen(reader: wire.Reader) -> Seen:
    """Read what the host's script says of one path."""
    line = reader.line()
    if line.startswith("l "):
        reader.at -= len(line) - 1
        return link(reader.text())
    if line in {"a", "d", "o"}:
        return Seen(line, line)
    if _FILE.fullmatch(line):
        return Seen("f", line)
    raise wire.Garbled(line[:200])


def read_content(reader: wire.Reader, seen: Seen) -> bytes:
    """Read a file's bytes, which the host's script sends of short files only."""
    if seen.size > CONTENT_BYTES:
        raise wire.Garbled(f"{seen.size} bytes")
    return reader.take(seen.size)


def seen_text(seen: Seen) -> bytes:
    """Say it as the host's script does."""
    return b"l " + wire.text(seen.target) if seen.type == "l" else wire.lines(seen.entry)


def read_manifest(data: bytes) -> dict[str, Owned]:
    """Read the host's list of the files that it holds of a kind; an absent or torn one lists nothing."""
    owned: dict[str, Owned] = {}
    if data:
        reader = wire.Reader(data)
        reader.line()
        for _ in range(reader.count()):
            path = reader.path()
            entry, _, flag = reader.line().rpartition(" ")
            owned[path] = Owned(entry, flag == "secret")
    return owned


def manifest_text(run: str, items: tuple[Item, ...]) -> bytes:
    """Write the list that the host holds once `run` has ended well."""
    held = sorted((item for item in items if not isinstance(item, Absent)), key=lambda item: item.path)
    body = b"".join(wire.text(item.path) + wire.lines(f"{wanted(item).entry} {_flag(item)}") for item in held)
    return wire.lines(run, len(held)) + body


def _flag(item: Item) -> str:
    return "secret" if isinstance(item, File) and item.secret else "open"


def compare(
    state: State, seen: Mapping[str, Seen], owned: Mapping[str, Owned], contents: Mapping[str, bytes]
) -> Iterator[Change]:
    """Give a Change for each path whose bytes, mode, owner or ownership are not what the state says."""
    items: dict[str, Item] = {item.path: item for item in state.items}
    for path, now in seen.items():
        item = items.get(path, Absent(path))
        then = wanted(item)
        ours = owned.get(path)
        recorded = None if isinstance(item, Absent) else Owned(then.entry, _flag(item) == "secret")
        if now.entry != then.entry or ours != recorded:
            yield _change(item, now, then, ours, contents)


def difference_of(before: State | None, after: State | None) -> str:
    """The difference between two states of one kind, shown as that of a host that holds the first one."""
    old: dict[str, Item] = {item.path: item for item in (before.items if before else ())}
    paths = sorted(old.keys() | {item.path for item in (after.items if after else ())})
    seen = {path: wanted(old.get(path, Absent(path))) for path in paths}
    owned = {
        path: Owned(seen[path].entry, _flag(item) == "secret")
        for path, item in old.items()
        if not isinstance(item, Absent)
    }
    contents = {path: item.content for path, item in old.items() if isinstance(item, File)}
    then = after or State(kind=before.kind if before else "none", items=())
    return "".join(change.diff for change in compare(then, seen, owned, contents))


def _change(item: Item, now: Seen, then: Seen, ours: Owned | None, contents: Mapping[str, bytes]) -> Change:
    secret = (isinstance(item, File) and item.secret) or (ours is not None and ours.secret)
    before = now.target if now.type == "l" else contents.get(item.path)
    after = item.content if isinstance(item, File) else then.target if isinstance(item, Link) else None
    return Change(
        path=item.path,
        before=None if secret or now.type == "a" else before,
        after=None if secret else after,
        before_mode=now.mode,
        mode=then.mode,
        foreign=ours is None and now.type != "a" and now.entry != then.entry,
        edited=ours is not None and now.entry not in {ours.entry, then.entry},
        recorded=now.entry == then.entry,
        folder=now.type in {"d", "o"},
        diff=_diff(item.path, (now, before), (then, after), secret=secret),
    )


def _diff(path: str, old: tuple[Seen, bytes | None], new: tuple[Seen, bytes | None], *, secret: bool) -> str:
    shown = path.encode(errors="backslashreplace").decode().replace("\n", "\\n")
    head = f"--- {shown}{_about(old[0])}\n+++ {shown}{_about(new[0])}\n"
    if old[0].entry == new[0].entry:
        return head + " (as it is; now recorded as ours)\n"
    if old[0].sha256 and old[0].sha256 == new[0].sha256:
        return head + " (the same bytes)\n"
    if secret or not (_is_text(*old) and _is_text(*new)):
        return head + "".join(
            f"{sign}({_opaque(*side, secret=secret)})\n"
            for sign, side in (("-", old), ("+", new))
            if side[0].type != "a"
        )
    if any((data or b"").count(b"\n") > DIFFER_LINES for _seen, data in (old, new)):
        return head + " (too many lines to compare here)\n"
    body = list(difflib.unified_diff(_lines(old), _lines(new), lineterm="", n=3))[2:]
    if len(body) > DIFF_LINES:
        body = [*body[:DIFF_LINES], f"… {len(body) - DIFF_LINES} more lines"]
    text = "\n".join(body)
    if len(text) > DIFF_CHARACTERS:
        text = text[:DIFF_CHARACTERS] + "\n… more"
    return f"{head}{text}\n"


def _about(seen: Seen) -> str:
    kinds = {"a": "(absent)", "d": "(folder)", "o": "(device or socket)", "l": "(link)"}
    return "\t" + (kinds.get(seen.type) or seen.mode)


def _is_text(seen: Seen, data: bytes | None) -> bool:
    if seen.type in {"a", "l"}:
        return True
    if data is None or b"\0" in data or hashlib.sha256(data).hexdigest() != seen.sha256:
        return False
    try:
        data.decode()
    except UnicodeDecodeError:
        return False
    return True


def _lines(side: tuple[Seen, bytes | None]) -> list[str]:
    seen, data = side
    if seen.type == "l":
        return [f"-> {seen.target.decode(errors='replace')}"]
    text = (data or b"").decode()
    found = text.split("\n")
    return found[:-1] if text.endswith("\n") else [*found[:-1], f"{found[-1]} (no newline)"] if text else []


def _opaque(seen: Seen, data: bytes | None, *, secret: bool) -> str:
    if seen.type != "f":
        return "a link" if seen.type == "l" else "not a file"
    if secret:
        return f"secret, {seen.size} bytes"
    return f"binary, {seen.size} bytes" if data is not None else f"too long to show, {seen.size} bytes"
