"""What apply sends to the host: one stream of data for the script, which finds no text of a command in it."""

from collections.abc import Collection, Iterable, Mapping

from hosts import wire
from hosts.changes import Seen, manifest_text, seen_text, wanted
from hosts.state import Absent, Command, File, Item, Link, Staged, State


def stage_folder(path: str, run: str) -> str:
    """Give the folder in which an item lies before it counts: on the same file system as its place."""
    return f"{path.rpartition('/')[0]}/.gestion-{run}"


def job(
    state: State,
    run: str,
    seen: Mapping[str, Seen],
    changed: Mapping[str, bool],
    expected: bytes,
    *,
    inactive: bool = False,
) -> bytes:
    """Encode an apply. `changed`: path → whether a foreign file there is to be kept aside; `inactive`: see Plan."""
    items: dict[str, Item] = {path: Absent(path) for path in seen}
    items.update({item.path: item for item in state.items})
    moved = {path for path in changed if wanted(items[path]).entry != seen[path].entry}
    folders = sorted({path.rpartition("/")[0] for path in moved})
    groups = _groups(state) if moved or inactive else list[tuple[Command, ...]]([()] * 6)
    groups[0] = tuple(check for check in groups[0] if moved and _concerned(check, moved))
    wait = state.undo_seconds if (moved or inactive) and state.waits_for_panel else 0
    parts = [
        wire.lines("apply", state.kind, run, wait),
        wire.text(expected),
        wire.text(b"".join(seen_text(wanted(items[path])) for path in seen)),
        wire.text(manifest_text(run, state.items)),
        wire.lines(len(folders)),
        *(wire.text(folder) for folder in folders),
        wire.lines(len(seen)),
        *(
            _item(items[path], folders, moved=path in moved, foreign=changed.get(path, False))
            for path in seen
        ),
        *(commands_text(group, run, moved) for group in groups),
        wire.lines("end"),
        *(item.content for path in seen if path in moved and isinstance(item := items[path], File)),
        wire.lines("end"),
    ]
    return b"".join(parts)


def allowed_seconds(state: State) -> float:
    """Say how long an apply may take at most, with a put-back at its end."""
    commands = (*state.checks, *state.activate, *state.proofs, *(state.put_back or state.activate))
    return 120 + 2 * sum(command.timeout + 5 for command in commands)


def _groups(state: State) -> list[tuple[Command, ...]]:
    return [
        tuple(check for check in state.checks if not check.in_place),
        tuple(check for check in state.checks if check.in_place),
        state.activate,
        state.proofs,
        state.activate if state.put_back is None else state.put_back,
        tuple(proof for proof in state.proofs if proof.always),
    ]


def _concerned(check: Command, moved: Collection[str]) -> bool:
    """Whether a staged check reads something that is staged now; what it read before, it has let pass."""
    staged = [word.path for word in check.argv if isinstance(word, Staged)]
    return not staged or any(path in moved for path in staged)


def _item(item: Item, folders: list[str], *, moved: bool, foreign: bool) -> bytes:
    path = wire.text(item.path)
    if not moved:
        return path + wire.lines("0 same")
    folder = folders.index(item.path.rpartition("/")[0]) + 1
    flag = "foreign" if foreign else "ours"
    if isinstance(item, Link):
        return path + wire.lines(f"{folder} link {flag}") + wire.text(item.target)
    if isinstance(item, Absent):
        return path + wire.lines(f"{folder} absent {flag}")
    # A shell makes files with 666 less its umask, which spares a chmod for all but programs
    plain = item.mode & ~0o666 == 0
    mask = f"{0o666 & ~item.mode:03o}" if plain else "077"
    mode = "-" if plain else f"{item.mode:o}"
    owner = "-" if (item.owner, item.group) == ("root", "root") else f"{item.owner}:{item.group}"
    digest = wanted(item).sha256
    return path + wire.lines(f"{folder} file {len(item.content)} {mask} {mode} {owner} {digest} {flag}")


def commands_text(commands: Iterable[Command], run: str = "", moved: Collection[str] = ()) -> bytes:
    """Encode commands as the script reads them.

    `run` is where what they name as staged lies; what is not `moved` lies in its place already.
    """
    listed = list(commands)
    parts = [wire.lines(len(listed))]
    for command in listed:
        parts.append(wire.lines(f"{command.timeout:g}", len(command.argv)))
        for word in command.argv:
            if isinstance(word, Staged):
                staged = f"{stage_folder(word.path, run)}/new/{word.path.rpartition('/')[2]}"
                parts.append(wire.text(staged if word.path in moved else word.path, rooted=True))
            else:
                parts.append(wire.text(word))
    return b"".join(parts)
