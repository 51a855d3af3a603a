"""A git host's repository, and the clone that the panel pulls; both real."""

import subprocess
from pathlib import Path

import pytest

from githooks.models import Repository


def git(folder: Path, *words: str) -> str:
    """Run git in a folder."""
    name = ("-c", "user.name=Ada", "-c", "user.email=ada@example.org")
    argv = ["git", *name, "-C", str(folder), *words]
    return subprocess.run(argv, check=True, capture_output=True, text=True).stdout.strip()


class Origin:
    """The git host's side: a working copy that pushes to a bare repository, and the panel's clone of that."""

    def __init__(self, folder: Path) -> None:
        self.bare, self.work, self.clone = folder / "bare.git", folder / "work", folder / "clone"
        git(folder, "init", "--bare", "-b", "main", str(self.bare))
        git(folder, "clone", str(self.bare), str(self.work))
        git(self.work, "checkout", "-b", "main")
        self.push("README", "first\n")
        git(folder, "clone", str(self.bare), str(self.clone))

    def push(self, name: str, text: str, branch: str = "main") -> str:
        """Push a file; returns the commit."""
        (self.work / name).write_text(text)
        git(self.work, "add", name)
        git(self.work, "commit", "-m", f"Change {name}")
        git(self.work, "push", "origin", f"HEAD:{branch}")
        return git(self.work, "rev-parse", "HEAD")

    @property
    def pulled(self) -> str:
        """The commit that the clone is at."""
        return git(self.clone, "rev-parse", "HEAD")


@pytest.fixture
def origin(tmp_path) -> Origin:
    return Origin(tmp_path)


@pytest.fixture
def repository(db, settings, origin) -> Repository:
    settings.GIT_REPOS = {"scripts": str(origin.clone)}
    return Repository.objects.create(key="scripts")
