"""Fixtures for scripts."""

from pathlib import Path

import pytest

from accounts.actors import Actor

GOOD = '''"""Scripts of a test."""
from fabric import Connection, task


@task
def hello(c: Connection, name: str, times: int = 1, loud: bool = False) -> None:
    """Say hello. [$AG:NeedGestion]

    More words.
    """
    for _ in range(times):
        c.run(f"echo hello; echo oh >&2")


def not_a_task(c):
    pass


@task
def user_only(c):
    """For a user. [$AG:NeedUser] [$AG:NeedKM]"""
'''


@pytest.fixture
def folder(settings, tmp_path: Path) -> Path:
    """A folder of scripts with one good file."""
    settings.FABRIC_FOLDER = str(tmp_path)
    (tmp_path / "greet.py").write_text(GOOD)
    return tmp_path


@pytest.fixture
def actor(admin) -> Actor:
    """The admin, acting."""
    return Actor(admin, admin.username, "192.0.2.7")
