"""setup.sh on a small project: what is there is left alone, what was interrupted is made anew."""

import shutil
import subprocess
from pathlib import Path

import pytest

from tests.named import ROOT


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A project that asks for no package, with its front end set up already."""
    shutil.copy(ROOT / "setup.sh", tmp_path)
    for name in ("requirements.txt", "requirements-dev.txt", "package-lock.json"):
        (tmp_path / name).write_text(f"# {name}\n")
    (tmp_path / "node_modules").mkdir()
    shutil.copy(tmp_path / "package-lock.json", tmp_path / "node_modules/installed")
    return tmp_path


def set_up(project: Path) -> str:
    """What it says it did, line by line; about Debian's packages, which are the machine's, nothing."""
    done = subprocess.run(
        [project / "setup.sh", "run"], capture_output=True, text=True, timeout=200, check=False
    )
    assert done.returncode == 0, done.stderr
    return "".join(line for line in done.stderr.splitlines(keepends=True) if "Debian" not in line)


def test_what_is_there_is_left_alone_and_what_was_interrupted_is_made_anew(project):
    """One test, since making an environment takes seconds."""
    made, left = "setup: installing Python packages into .venv\n", project / ".venv/left"
    (project / ".venv/bin").mkdir(parents=True)
    (project / ".venv/bin/python").symlink_to("/usr/bin/python3")  # killed before there was a pip
    left.touch()
    assert made in set_up(project)
    assert (project / ".venv/bin/pip").exists()
    assert not left.exists()

    assert set_up(project) == ""

    left.touch()
    (project / "requirements-dev.txt").write_text("# more is asked for: it is added to what is there\n")
    assert made in set_up(project)
    assert left.exists()

    (project / "requirements.txt").write_text("no-such-package-anywhere==1.0\n")  # refused: it has no hash
    interrupted = subprocess.run([project / "setup.sh", "run"], capture_output=True, check=False, timeout=200)
    assert interrupted.returncode != 0
    assert not (project / ".venv/installed").exists()  # so that the next one begins anew
