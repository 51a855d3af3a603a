"""Pulling: fast-forward only, of the expected branch, by git itself."""

import fcntl
import os
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from django.conf import settings
from django.utils.translation import gettext as _

from githooks.models import Pull, Repository
from jobs.run import Run

SECONDS = 120.0  # for each git command
# Nothing of the repository runs here, nobody is asked anything, and file names come as they are.
OPTIONS = ("-c", "core.hooksPath=/dev/null", "-c", "core.fsmonitor=false", "-c", "submodule.recurse=false")


class PullFailed(Exception):  # noqa: N818  # its text is a sentence for the job's page
    """The repository is as it was."""


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
    with alone(folder):
        _pull(run, row, folder)


def _pull(run: Run, row: Repository, folder: Path) -> None:
    before = _git(run, folder, "rev-parse", "--verify", "HEAD")
    try:
        after = _forward(run, row, folder)
    except PullFailed as error:
        note = {"before": before, "after": before, "error": str(error)[:2000]}
        Pull.objects.create(repository=row, asked_by=run.job.actor_name, **note)
        raise
    Pull.objects.create(repository=row, asked_by=run.job.actor_name, before=before, after=after)
    run.log(_("Nothing new.") if before == after else f"{before[:12]} → {after[:12]}")


@contextmanager
def alone(folder: Path) -> Iterator[None]:
    """One pull of a folder at a time, over all workers of this machine. Raises PullFailed for no folder."""
    try:
        handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    except OSError as error:
        raise PullFailed(_("%(folder)s: %(words)s") % {"folder": folder, "words": error.strerror}) from error
    try:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield
    finally:
        os.close(handle)


def _forward(run: Run, row: Repository, folder: Path) -> str:
    current = checked_out(folder)
    wanted = row.branch or current
    if not wanted or current != wanted:
        raise PullFailed(
            _("%(folder)s has “%(current)s” checked out, not “%(wanted)s”.")
            % {"folder": folder, "current": current, "wanted": wanted or _("a branch")}
        )
    with run.step(_("Fetch")):
        _git(run, folder, "fetch", "--no-tags", "--no-recurse-submodules", "origin", f"refs/heads/{wanted}")
    with run.step(_("Fast-forward")):
        _git(run, folder, "merge", "--ff-only", "--no-stat", "FETCH_HEAD")
    return _git(run, folder, "rev-parse", "--verify", "HEAD")


def checked_out(folder: Path) -> str:
    """The branch that is checked out; empty where there is none, or no repository."""
    done = _run(folder, "symbolic-ref", "--quiet", "--short", "HEAD")
    return done.stdout.decode(errors="replace").strip() if done.returncode == 0 else ""


def _git(run: Run, folder: Path, *words: str) -> str:
    run.check_stop()
    done = _run(folder, *words)
    if done.stderr:
        run.output("err", done.stderr)
    if done.returncode:
        said = done.stderr.decode(errors="replace").strip().splitlines()
        raise PullFailed(_("git said: %s") % (said[-1] if said else done.returncode))
    return done.stdout.decode(errors="replace").strip()


def _run(folder: Path, *words: str) -> subprocess.CompletedProcess[bytes]:
    argv: Sequence[str] = ("git", *OPTIONS, "-C", str(folder), *words)
    kept = {name: os.environ[name] for name in ("PATH", "HOME", "SSH_AUTH_SOCK") if name in os.environ}
    env = {**kept, "LC_ALL": "C", "GIT_TERMINAL_PROMPT": "0", "GIT_SSH_COMMAND": "ssh -oBatchMode=yes"}
    try:
        return subprocess.run(
            argv, env=env, stdin=subprocess.DEVNULL, capture_output=True, timeout=SECONDS, check=False
        )
    except subprocess.TimeoutExpired as error:
        raise PullFailed(_("git did not end within %d seconds.") % SECONDS) from error
    except OSError as error:
        raise PullFailed(_("git cannot be run: %s") % error) from error
