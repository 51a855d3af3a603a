"""What a backup copied when one of its copies was made: server, folder and what is left out may have changed since."""

from collections.abc import Iterable
from dataclasses import asdict, dataclass
from typing import Any

from django.utils import timezone
from django.utils.translation import gettext as _

from backups.desired_plans import patterns_of
from backups.models import Backup, BackupRun, BackupState
from pages.second_word import SecondWordNeeded, ask


@dataclass(frozen=True)
class Copied:
    """Where a copy is from, and what was left out of it, as rsync's patterns."""

    source_id: int
    source: str  # its name then
    folder: str
    left_out: tuple[str, ...]


def copied_now(backup: Backup) -> Copied:
    """What a run that begins now copies."""
    patterns = patterns_of(backup.excludes, system=backup.leaves_out_system)
    return Copied(backup.source_id, backup.source.name, backup.source_folder, patterns)


def copied_at(backup: Backup, at: int) -> Copied:
    """What the copy of this time is of."""
    return _copied(backup, getattr(backup, "state", None), at)


def _copied(backup: Backup, state: BackupState | None, at: int) -> Copied:
    then = state.copied_then(at) if state else None
    return Copied(**{**then, "left_out": tuple(then["left_out"])}) if then else copied_now(backup)


def is_elsewhere(backup: Backup, at: int) -> bool:
    """Whether the copy of this time is of another server or folder than what is copied now."""
    return _is_elsewhere(copied_at(backup, at), copied_now(backup))


def _is_elsewhere(was: Copied, now: Copied) -> bool:
    same = was.source_id == now.source_id or was.source == now.source  # renamed, or made anew
    return not same or was.folder != now.folder


def elsewhere(backup: Backup, state: BackupState, at: int) -> str:
    """What the copy of this time is of ("web1:/srv") where that is another server or folder than now; else empty."""
    if not state.earlier:
        return ""
    was = _copied(backup, state, at)
    return f"{was.source}:{was.folder}" if _is_elsewhere(was, copied_now(backup)) else ""


def is_incomplete(backup: Backup, at: int) -> bool:
    """Whether the run that made the copy of this time could not read everything."""
    state = getattr(backup, "state", None)
    return state is not None and at in state.incomplete


def note_change(before: Backup, after: Backup) -> None:
    """Keep what was copied until now, for the copies that are there; in the transaction that changes the backup.

    Raises SecondWordNeeded where there are copies of another server or folder than is copied from now on.
    """
    was = copied_now(before)
    if was == copied_now(after) or not before.may_have_copies():
        return
    state = BackupState.objects.select_for_update().get_or_create(backup=before)[0]
    if _is_elsewhere(was, copied_now(after)):
        if state.copies:
            ask(SecondWordNeeded(_warnings(before, after)))
        # So that it is due, and not good, until it has copied that.
        state.rotated = {level: at for level, at in state.rotated.items() if level != after.lowest}
    # The clock of the backup server may be ahead of ours.
    until = max([int(timezone.now().timestamp()), *(at for _name, at in state.copies)])
    entry = {"until": until, "copied": {**asdict(was), "left_out": list(was.left_out)}}
    state.earlier = [*state.earlier, entry]
    state.save(update_fields=["earlier", "rotated"])


def _warnings(before: Backup, after: Backup) -> list[str]:
    names = {"before": before, "after": after}
    return [
        _("The copies of %(before)s stay, and go one by one as those of %(after)s come.") % names,
        _("To keep them, make a new backup, and switch this one off."),
    ]


def note_copy(state: BackupState, run: BackupRun, *, whole: bool) -> None:
    """Keep what is known of the copy that this run has just made, and forget what concerns none that is left."""
    times = [at for _name, at in state.copies]
    if not times:
        return
    made = max(times)
    begun = (run.started_at or run.asked_at).timestamp()
    # A run that had begun before the backup was changed went on as it was.
    earlier = [
        {**entry, "until": max(entry["until"], made if begun <= entry["until"] else 0)}
        for entry in state.earlier
    ]
    state.earlier = _needed(earlier, min(times))
    state.incomplete = [at for at in state.incomplete if at in times]
    if not whole and made not in state.incomplete:
        state.incomplete.append(made)


def _needed(earlier: Iterable[dict[str, Any]], oldest: int) -> list[dict[str, Any]]:
    return [entry for entry in earlier if entry["until"] >= oldest]
