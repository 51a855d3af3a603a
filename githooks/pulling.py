"""Pulling: fast-forward only, of the expected branch, to a commit that is proved first where that is demanded."""

import fcntl
import os
import re
import time
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import takewhile
from pathlib import Path

from django.conf import settings
from django.utils.translation import gettext as _

from githooks.git import SECONDS, PullFailed, run_git
from githooks.models import Pull, Repository
from githooks.signers import must_be_signed, signer_of
from jobs.run import Run

# What git says last, whatever the reason was.
BESIDE = {
    "fatal: Could not read from remote repository.",
    "Please make sure you have the correct access rights",
    "and the repository exists.",
    "Please commit your changes or stash them before you merge.",
    "Please move or remove them before you merge.",
    "Aborting",
}
# What begins with one of these says why. A git host says its own reason as "remote:", GitLab in a frame of signs.
WHY = re.compile(r"(remote:\s*)?(error|fatal):", re.IGNORECASE)
# As ssh says of a key of ours that it cannot use, before the host lets nobody in.
UNUSED_KEY = ("Load key ", "no such identity: ")


def folder_of(repository: Repository) -> Path | None:
    """Its folder; None when the settings do not name it any more."""
    place = settings.GIT_REPOS.get(repository.key)
    return Path(place) if place else None


def pull(run: Run, *, repository: int) -> None:
    """The work: bring the folder to what the git host has. Raises PullFailed."""
    row = Repository.objects.get(pk=repository)
    folder = folder_of(row)
    if folder is None:
        raise PullFailed(_("GIT_REPOS does not name “%s” any more.") % row.key)
    note = Pull(repository=row, asked_by=run.job.actor_name)
    try:
        with alone(folder):
            note.before = note.after = _git(run, folder, "rev-parse", "--verify", "HEAD")
            note.after = _forward(run, row, folder)
    except PullFailed as error:
        note.error = str(error)[:2000]
        note.save()
        raise
    note.save()
    run.log(f"{note.before[:12]} → {note.after[:12]}" if note.changed else _("Nothing new."))


@contextmanager
def alone(folder: Path, patience: float = 3 * SECONDS) -> Iterator[None]:
    """One pull of a folder at a time, over all workers of this machine.

    Raises PullFailed for no folder, and when somebody else has it for more than `patience` seconds: whoever may read
    a folder can hold its lock for ever.
    """
    try:
        handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    except OSError as error:
        raise PullFailed(_("%(folder)s: %(words)s") % {"folder": folder, "words": error.strerror}) from error
    try:
        _lock(handle, folder, patience)
        yield
    finally:
        os.close(handle)


def _lock(handle: int, folder: Path, patience: float) -> None:
    end = time.monotonic() + patience
    while True:
        try:
            return fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if time.monotonic() > end:
                raise PullFailed(_("Another program keeps %s locked (see lslocks).") % folder) from None
            time.sleep(0.1)


def _forward(run: Run, row: Repository, folder: Path) -> str:
    current = checked_out(folder)
    wanted = row.branch or current
    if not wanted or current != wanted:
        raise PullFailed(
            _("%(folder)s has “%(current)s” checked out, not “%(wanted)s”.")
            % {"folder": folder, "current": current or "HEAD", "wanted": wanted or _("a branch")}
        )
    with run.step(_("Fetch")):
        _git(run, folder, "fetch", "--no-tags", "--no-recurse-submodules", "origin", f"refs/heads/{wanted}")
        # By its hash from here on: what is proved is what is merged.
        fetched = _git(run, folder, "rev-parse", "--verify", "FETCH_HEAD^{commit}")
    if must_be_signed(row) and fetched != _git(run, folder, "rev-parse", "--verify", "HEAD"):
        with run.step(_("Check the signature")):
            told = {"commit": fetched[:12], "person": signer_of(folder, fetched)}
            run.log(_("%(commit)s is signed by %(person)s.") % told)
    with run.step(_("Fast-forward")):
        _git(run, folder, "merge", "--ff-only", "--no-stat", "--no-verify-signatures", fetched)
    return _git(run, folder, "rev-parse", "--verify", "HEAD")


def checked_out(folder: Path) -> str:
    """The branch that is checked out; empty where there is none, or no repository."""
    return checked_out_or_why(folder)[0]


def checked_out_or_why(folder: Path) -> tuple[str, str]:
    """The branch that is checked out; where git cannot say one, why. Both are empty where there is none."""
    try:
        # Not --short, which calls a branch “heads/v1” beside a tag “v1”.
        done = run_git(folder, "symbolic-ref", "--quiet", "HEAD")
    except PullFailed as error:
        return "", str(error)
    if done.returncode == 0:
        return done.stdout.decode(errors="replace").strip().removeprefix("refs/heads/"), ""
    return "", reason_in(done.stderr)


def _git(run: Run, folder: Path, *words: str) -> str:
    run.check_stop()
    done = run_git(folder, *words)
    if done.stderr:
        run.output("err", done.stderr)
    if done.returncode:
        raise PullFailed(_("git said: %s") % (reason_in(done.stderr) or done.returncode))
    return done.stdout.decode(errors="replace").strip()


def reason_in(errors: bytes) -> str:
    """Why git failed, of all that it says: not the advice that it ends with."""
    lines = [line.rstrip() for line in errors.decode(errors="replace").splitlines()]
    lines = [line for line in lines if line.strip() not in BESIDE and not line.startswith("hint:")]
    lines = [line for line in lines if re.search(r"\w", line.removeprefix("remote:"))]
    at = next((at for at, line in enumerate(lines) if WHY.match(line)), len(lines) - 1)
    if at < 0:
        return ""
    which = [line.strip() for line in takewhile(lambda line: line.startswith("\t"), lines[at + 1 :])]
    if "Permission denied (" in lines[at]:
        which = [line for line in lines if line.startswith(UNUSED_KEY)]
    return f"{lines[at].strip()} {', '.join(which)}".strip()[:500]
